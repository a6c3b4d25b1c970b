//! The CTC topology: every frame reads one symbol, a label may last, and a blank may stand anywhere.

use crate::{Extent, Float, Log, Semiring, Table};

/// The CTC lattice of one utterance.
///
/// A path reads one of 2U + 1 states at every frame: blanks (even states) before, between and after the labels (odd
/// states). It may stay, move on by one, and pass over the blank between two labels that differ; equal neighbours need
/// the blank to be told apart. Which moves exist depends on the labels, so this is no [`Topology`](crate::Topology); it
/// shares [`Table`], in which node `(t, s)` says that `t` frames have been read, the last of them as state `s`.
///
/// # Source
///
/// Graves et al. 2006, "Connectionist temporal classification".
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Ctc<'a> {
    frames: usize,
    labels: &'a [u32],
}

impl<'a> Ctc<'a> {
    /// The lattice of these labels over so many frames. The labels are only ever compared with their neighbours.
    pub fn new(frames: usize, labels: &'a [u32]) -> Self {
        Self { frames, labels }
    }

    /// Frames T.
    pub fn frames(self) -> usize {
        self.frames
    }

    /// States 2U + 1.
    pub fn states(self) -> usize {
        2 * self.labels.len() + 1
    }

    /// The index of the label that a state reads; none for a blank.
    pub fn label(self, state: usize) -> Option<usize> {
        (state % 2 == 1).then_some(state / 2)
    }

    /// The fewest frames that have a path: one for each label and one between equal neighbours.
    pub fn shortest(self) -> usize {
        let repeats = self.labels.windows(2).filter(|pair| pair[0] == pair[1]).count();
        self.labels.len() + repeats
    }

    /// The states that may follow a state.
    pub fn next(self, state: usize) -> impl Iterator<Item = usize> {
        // From a label straight to the next one, if it is another.
        let skip = self.label(state).is_some_and(|u| {
            let next = self.labels.get(u + 1);
            next.is_some_and(|next| *next != self.labels[u])
        });
        (state..(state + 2).min(self.states())).chain(skip.then_some(state + 2))
    }

    /// The states a path may end in: the last blank and the last label.
    pub(crate) fn last(self) -> std::ops::Range<usize> {
        let states = self.states();
        states.saturating_sub(2)..states
    }

    fn extent(self) -> Extent {
        Extent {
            frames: self.frames,
            labels: self.states() - 1,
        }
    }

    /// Total weight of the paths from the start to each node. `weight(t, s)` is that of reading frame `t` as state `s`.
    ///
    /// # Equation
    ///
    /// ```text
    /// α(0, 0) = 1        α(t+1, s) = w(t, s) ⊗ ⊕ over s' → s of α(t, s')
    /// ```
    ///
    /// # Proved by
    ///
    /// `ctc_equals_brute_force`, `ctc_forward_total_equals_backward_total`.
    pub fn forward<S: Semiring>(self, weight: impl Fn(usize, usize) -> S) -> Table<S> {
        let mut alpha = Table::zeros(self.extent());
        *alpha.at_mut(0, 0) = S::ONE;
        for t in 0..self.frames {
            for state in 0..self.states() {
                let here = alpha.at(t, state);
                for next in self.next(state) {
                    let there = alpha.at_mut(t + 1, next);
                    *there = there.plus(here);
                }
            }
            for state in 0..self.states() {
                let there = alpha.at_mut(t + 1, state);
                *there = there.times(weight(t, state));
            }
        }
        alpha
    }

    /// Total weight of the paths from each node to the end.
    ///
    /// # Equation
    ///
    /// ```text
    /// β(T, 2U) = β(T, 2U−1) = 1        β(t, s) = ⊕ over s → s' of w(t, s') ⊗ β(t+1, s')
    /// ```
    ///
    /// # Proved by
    ///
    /// `ctc_forward_total_equals_backward_total`, `ctc_posteriors_sum_to_one_at_every_frame`.
    pub fn backward<S: Semiring>(self, weight: impl Fn(usize, usize) -> S) -> Table<S> {
        let mut beta = Table::zeros(self.extent());
        for state in self.last() {
            *beta.at_mut(self.frames, state) = S::ONE;
        }
        for t in (0..self.frames).rev() {
            let read: Vec<S> = (0..self.states())
                .map(|state| weight(t, state).times(beta.at(t + 1, state)))
                .collect();
            for state in 0..self.states() {
                let sum = self.next(state).fold(S::ZERO, |sum, next| sum.plus(read[next]));
                *beta.at_mut(t, state) = sum;
            }
        }
        beta
    }

    /// Total weight of all paths: [`Semiring::ZERO`] if there is none.
    ///
    /// # Proved by
    ///
    /// `ctc_equals_brute_force`, `ctc_has_a_path_from_the_shortest_length_on`.
    pub fn total<S: Semiring>(self, weight: impl Fn(usize, usize) -> S) -> S {
        self.total_of(&self.forward(weight))
    }

    fn total_of<S: Semiring>(self, alpha: &Table<S>) -> S {
        self.last()
            .fold(S::ZERO, |sum, state| sum.plus(alpha.at(self.frames, state)))
    }

    /// The probability that a path, drawn in proportion to its weight, reads frame `t` as state `s`.
    ///
    /// This is also the gradient of the log total with respect to `ln w(t, s)`.
    ///
    /// # Equation
    ///
    /// ```text
    /// γ(t, s) = exp(α(t+1, s) + β(t+1, s) − ln total)
    /// ```
    ///
    /// # Proved by
    ///
    /// `ctc_posteriors_equal_brute_force`, `ctc_posteriors_sum_to_one_at_every_frame`.
    pub fn posteriors<F: Float>(self, log_weight: impl Fn(usize, usize) -> F) -> CtcPosteriors<F> {
        let alpha = self.forward(|t, state| Log(log_weight(t, state)));
        let beta = self.backward(|t, state| Log(log_weight(t, state)));
        let log_total = self.total_of(&alpha).0;
        let states = self.states();
        // Without a path there is nothing to normalise by, and −∞ − −∞ would be NaN.
        let gamma = |t: usize, state: usize| {
            if log_total == F::NEG_INFINITY {
                return F::ZERO;
            }
            (alpha.at(t + 1, state).0 + beta.at(t + 1, state).0 - log_total).exp()
        };
        let values = (0..self.frames * states).map(|i| gamma(i / states, i % states));
        CtcPosteriors {
            states,
            log_total,
            values: values.collect(),
        }
    }
}

/// The state posteriors of a CTC lattice.
#[derive(Clone, Debug)]
pub struct CtcPosteriors<F> {
    states: usize,
    log_total: F,
    /// `[T, 2U+1]`.
    values: Vec<F>,
}

impl<F: Float> CtcPosteriors<F> {
    /// γ of reading frame `t` as state `s`.
    ///
    /// # Panics
    ///
    /// If there is no such frame or state.
    #[inline]
    pub fn state(&self, t: usize, state: usize) -> F {
        assert!(state < self.states, "state {state} of {}", self.states);
        self.values[t * self.states + state]
    }

    /// Natural logarithm of the total weight; −∞ if there is no path, and then every posterior is 0.
    pub fn log_total(&self) -> F {
        self.log_total
    }
}
