//! CTC's alignments of one utterance as a Markov chain, as [`Chain`](crate::chain::Chain) has the transducer's.
//!
//! After t frames a path has last read the blank before label u, the node C(t, u), or label u itself, the node L(t, u).
//! Both have two ways on, so one addition of logarithms each:
//!
//! ```text
//! C(t, u)   blank → C(t+1, u)      label u → L(t+1, u)
//! L(t, u)   stay, reading label u → L(t+1, u)      leave → C(t, u+1), or before an equal label blank → C(t+1, u+1)
//! ```
//!
//! To leave a label for the next or for the blank between them is to choose like one who stands at that blank already:
//! this is what makes a skip no third way.

use pulp::{Simd, WithSimd};

use crate::chain::{Flow, NEGLIGIBLE, part};
use crate::log_add::merge;

/// Rows are filled up to a multiple of this, so that no loop has a rest.
const LANES: usize = 8;

/// A number for each of the four arcs that leave C(t, u) and L(t, u).
#[derive(Clone, Copy, Default)]
pub(crate) struct Arcs {
    pub(crate) blank: f64,
    pub(crate) label: f64,
    pub(crate) stay: f64,
    pub(crate) leave: f64,
}

/// The transition probabilities of the alignments of one utterance.
pub(crate) struct CtcChain {
    frames: usize,
    labels: usize,
    /// U + 1, filled up: rows end with C(t, U), which reads blanks only, and with nodes that no path visits.
    width: usize,
    log_total: f64,
    /// By the label that is left: 1 if it is for a choice, 0 if an equal one follows and the blank is all there is.
    skip: Vec<f64>,
    /// `[T, width]` each.
    blank: Vec<f64>,
    label: Vec<f64>,
    stay: Vec<f64>,
    leave: Vec<f64>,
}

impl CtcChain {
    /// The backward recursion. `scores(t, row)` returns ln p of the blank and writes that of the labels.
    ///
    /// ```text
    /// C(T, U) = L(T, U−1) = 0      b(u) = blank(t) + C(t+1, u)      l(u) = label(t, u) + L(t+1, u)
    /// C(t, u) = ln (e^b(u) + e^l(u))      L(t, u) = ln (e^l(u) + e^{C(t, u+1) or b(u+1)})
    /// ```
    pub(crate) fn new(
        labels: &[u32],
        frames: usize,
        mut scores: impl FnMut(usize, &mut [f64]) -> f64,
    ) -> Self {
        let width = (labels.len() + 1).next_multiple_of(LANES);
        let mut skip = vec![1.0; width];
        for (skip, pair) in skip.iter_mut().zip(labels.windows(2)) {
            *skip = f64::from(u8::from(pair[0] != pair[1]));
        }
        let mut chain = Self {
            frames,
            labels: labels.len(),
            width,
            log_total: 0.0,
            skip,
            blank: vec![0.0; frames * width],
            label: vec![0.0; frames * width],
            stay: vec![0.0; frames * width],
            leave: vec![0.0; frames * width],
        };
        let nowhere = f64::NEG_INFINITY;
        // What lies beyond C(t, U) has no path to the end, and keeps none.
        let (mut choice, mut held) = (vec![nowhere; width + 1], vec![nowhere; width]);
        let (mut by_blank, mut by_label) = (choice.clone(), held.clone());
        choice[labels.len()] = 0.0;
        if let Some(last) = labels.len().checked_sub(1) {
            held[last] = 0.0;
        }
        let arch = pulp::Arch::new();
        for t in (0..frames).rev() {
            let score = scores(t, &mut by_label[..labels.len()]);
            let row = t * width..(t + 1) * width;
            arch.dispatch(BackwardFrame {
                score,
                skip: &chain.skip,
                choice: &mut choice,
                held: &mut held,
                by_blank: &mut by_blank,
                by_label: &mut by_label,
                blank: &mut chain.blank[row.clone()],
                label: &mut chain.label[row.clone()],
                stay: &mut chain.stay[row.clone()],
                leave: &mut chain.leave[row],
            });
        }
        chain.log_total = choice[0];
        chain
    }

    /// ln of the summed probability of all paths; −∞ if there is none.
    pub(crate) fn log_total(&self) -> f64 {
        self.log_total
    }

    /// Calls `visit(t, γ of the blank, γ of the labels)` for every frame, from the first.
    pub(crate) fn posteriors(&self, mut visit: impl FnMut(usize, f64, &[f64])) {
        let (mut choice, mut held) = (vec![0.0; self.width], vec![0.0; self.width]);
        let (mut chooses, mut reads) = (vec![0.0; self.width + 1], vec![0.0; self.width + 1]);
        choice[0] = 1.0;
        let arch = pulp::Arch::new();
        for t in 0..self.frames {
            let row = t * self.width..(t + 1) * self.width;
            let blank = arch.dispatch(OccupancyFrame {
                skip: &self.skip,
                choice: &mut choice,
                held: &mut held,
                chooses: &mut chooses,
                reads: &mut reads,
                blank: &self.blank[row.clone()],
                label: &self.label[row.clone()],
                stay: &self.stay[row.clone()],
                leave: &self.leave[row],
            });
            visit(t, blank, &held[..self.labels]);
        }
    }

    fn arcs(&self, t: usize, u: usize) -> Arcs {
        let at = t * self.width + u;
        Arcs {
            blank: self.blank[at],
            label: self.label[at],
            stay: self.stay[at],
            leave: self.leave[at],
        }
    }

    /// A cost for every arc, `[T, U]`.
    pub(crate) fn costs(&self, cost: impl Fn(usize, usize) -> Arcs) -> Vec<Arcs> {
        let places = (0..self.frames).flat_map(|t| (0..self.labels).map(move |u| (t, u)));
        places.map(|(t, u)| cost(t, u)).collect()
    }

    /// ln p(arc | node) of every arc, negated: the cost whose mean is the entropy. 0 where an arc is not taken.
    pub(crate) fn surprise(&self) -> Vec<Arcs> {
        let surprise = |p: f64| if p == 0.0 { 0.0 } else { -p.ln() };
        self.costs(|t, u| {
            let p = self.arcs(t, u);
            Arcs {
                blank: surprise(p.blank),
                label: surprise(p.label),
                stay: surprise(p.stay),
                leave: surprise(p.leave),
            }
        })
    }

    /// Mean and variance of what is still to come at every node, as [`Chain::moments`](crate::chain::Chain::moments).
    pub(crate) fn moments(&self, costs: &[Arcs]) -> Moments {
        let columns = self.labels + 1;
        let nothing = Outlook::default();
        let mut moments = Moments {
            choice: vec![nothing; (self.frames + 1) * columns],
            held: vec![nothing; (self.frames + 1) * columns],
        };
        for t in (0..self.frames).rev() {
            let (here, next) = (t * columns, (t + 1) * columns);
            moments.choice[here + self.labels] = moments.choice[next + self.labels];
            for u in (0..self.labels).rev() {
                let (p, cost) = (self.arcs(t, u), costs[t * self.labels + u]);
                let (by_blank, by_label) = (moments.choice[next + u], moments.held[next + u]);
                let on = moments.choice[self.after(t, u) * columns + u + 1];
                moments.choice[here + u] = Outlook::mix(
                    (p.blank, by_blank.after(cost.blank)),
                    (p.label, by_label.after(cost.label)),
                );
                moments.held[here + u] = Outlook::mix(
                    (p.stay, by_label.after(cost.stay)),
                    (p.leave, on.after(cost.leave)),
                );
            }
        }
        moments
    }

    /// The frames read when label `u`, left at `t`, has become the blank after it.
    fn after(&self, t: usize, u: usize) -> usize {
        if self.skip[u] == 0.0 { t + 1 } else { t }
    }

    /// Calls `visit(t, u, blank, label)` for every frame and 0 ≤ u ≤ U: what flows through the reading of the blank before
    /// label u, and of label u, as [`Chain::deviations`](crate::chain::Chain::deviations). The squares include what is to
    /// come.
    pub(crate) fn deviations(
        &self,
        costs: &[Arcs],
        moments: &Moments,
        mut visit: impl FnMut(usize, usize, Flow, Flow),
    ) {
        let columns = self.labels + 1;
        let nothing = Flow::default();
        // (C, L)
        let (mut here, mut next) = (
            vec![(nothing, nothing); columns],
            vec![(nothing, nothing); columns],
        );
        here[0].0.occupancy = 1.0;
        for t in 0..self.frames {
            let mean = |nodes: &[Outlook], t: usize, u: usize| nodes[t * columns + u].mean;
            // What left the label before: for this choice, or for its blank without one.
            let (mut chooses, mut reads) = (nothing, nothing);
            for u in 0..columns {
                let (mut choice, held) = here[u];
                choice.add(chooses);
                let (mut by_blank, mut by_label) = (choice, nothing);
                let left = (chooses, reads);
                (chooses, reads) = (nothing, nothing);
                if u < self.labels {
                    let (p, cost) = (self.arcs(t, u), costs[t * self.labels + u]);
                    let (from_choice, from_held) = (mean(&moments.choice, t, u), mean(&moments.held, t, u));
                    let (to_blank, to_label) =
                        (mean(&moments.choice, t + 1, u), mean(&moments.held, t + 1, u));
                    by_blank = choice.along(p.blank, cost.blank + to_blank - from_choice);
                    by_label = choice.along(p.label, cost.label + to_label - from_choice);
                    by_label.add(held.along(p.stay, cost.stay + to_label - from_held));
                    let after = self.after(t, u);
                    let on = mean(&moments.choice, after, u + 1);
                    let leaving = held.along(p.leave, cost.leave + on - from_held);
                    *(if after == t { &mut chooses } else { &mut reads }) = leaving;
                }
                by_blank.add(left.1);
                next[u] = (by_blank, by_label);
                let whole = |flow: Flow, ahead: Outlook| Flow {
                    squared: flow.squared + part(flow.occupancy, ahead.variance),
                    ..flow
                };
                let at = (t + 1) * columns + u;
                visit(
                    t,
                    u,
                    whole(by_blank, moments.choice[at]),
                    whole(by_label, moments.held[at]),
                );
            }
            std::mem::swap(&mut here, &mut next);
        }
    }
}

/// Mean and variance of the cost to the end.
#[derive(Clone, Copy, Default)]
pub(crate) struct Outlook {
    pub(crate) mean: f64,
    pub(crate) variance: f64,
}

impl Outlook {
    fn after(self, cost: f64) -> Self {
        Self {
            mean: self.mean + cost,
            ..self
        }
    }

    /// Of two ways, each taken with its probability.
    fn mix((p, x): (f64, Self), (q, y): (f64, Self)) -> Self {
        let apart = part(p * q, (y.mean - x.mean) * (y.mean - x.mean));
        Self {
            mean: part(p, x.mean) + part(q, y.mean),
            variance: part(p, x.variance) + part(q, y.variance) + apart,
        }
    }
}

/// What is to come at every node, `[T+1, U+1]`.
pub(crate) struct Moments {
    choice: Vec<Outlook>,
    held: Vec<Outlook>,
}

impl Moments {
    /// Of all paths.
    pub(crate) fn all(&self) -> Outlook {
        self.choice[0]
    }
}

/// One frame of the backward recursion.
struct BackwardFrame<'a> {
    /// ln p of the blank.
    score: f64,
    skip: &'a [f64],
    /// C and L of the next frame before, of this one after. C is one longer than the rest.
    choice: &'a mut [f64],
    held: &'a mut [f64],
    by_blank: &'a mut [f64],
    /// Scores before.
    by_label: &'a mut [f64],
    blank: &'a mut [f64],
    label: &'a mut [f64],
    stay: &'a mut [f64],
    leave: &'a mut [f64],
}

impl WithSimd for BackwardFrame<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let fused = !S::IS_SCALAR;
        for (by_blank, &choice) in self.by_blank.iter_mut().zip(&*self.choice) {
            *by_blank = self.score + choice;
        }
        for at in (0..self.skip.len()).step_by(LANES) {
            let (by_blank, held) = (lanes(self.by_blank, at), lanes(self.held, at));
            let mut by_label = lanes(self.by_label, at);
            let (mut choice, mut blank, mut label): (Lanes, Lanes, Lanes) = Default::default();
            for i in 0..LANES {
                by_label[i] += held[i];
                (choice[i], blank[i], label[i]) = merge(by_blank[i], by_label[i], fused);
            }
            put(self.by_label, at, by_label);
            put(self.choice, at, choice);
            put(self.blank, at, blank);
            put(self.label, at, label);
        }
        for at in (0..self.skip.len()).step_by(LANES) {
            let (by_label, skip) = (lanes(self.by_label, at), lanes(self.skip, at));
            let (by_blank, choice) = (lanes(self.by_blank, at + 1), lanes(self.choice, at + 1));
            let (mut held, mut stay, mut leave): (Lanes, Lanes, Lanes) = Default::default();
            for i in 0..LANES {
                let on = if skip[i] == 0.0 { by_blank[i] } else { choice[i] };
                (held[i], stay[i], leave[i]) = merge(by_label[i], on, fused);
            }
            put(self.held, at, held);
            put(self.stay, at, stay);
            put(self.leave, at, leave);
        }
    }
}

/// Numbers that are handled together. As values of their own they are known not to overlap, whatever slice they are from.
type Lanes = [f64; LANES];

#[inline(always)]
fn lanes(from: &[f64], at: usize) -> Lanes {
    let mut lanes = [0.0; LANES];
    lanes.copy_from_slice(&from[at..at + LANES]);
    lanes
}

#[inline(always)]
fn put(to: &mut [f64], at: usize, lanes: Lanes) {
    to[at..at + LANES].copy_from_slice(&lanes);
}

/// One frame of the forward recursion: from the occupancy of its nodes to that of the next. Returns the blank's posterior;
/// those of the labels are the occupancies.
struct OccupancyFrame<'a> {
    skip: &'a [f64],
    choice: &'a mut [f64],
    held: &'a mut [f64],
    /// What leaves label u for a choice, and for a blank without one: at u + 1, beside the choice and the blank.
    chooses: &'a mut [f64],
    reads: &'a mut [f64],
    blank: &'a [f64],
    label: &'a [f64],
    stay: &'a [f64],
    leave: &'a [f64],
}

impl WithSimd for OccupancyFrame<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        for at in (0..self.skip.len()).step_by(LANES) {
            let (mut held, skip) = (lanes(self.held, at), lanes(self.skip, at));
            let (stay, leave) = (lanes(self.stay, at), lanes(self.leave, at));
            let (mut chooses, mut reads): (Lanes, Lanes) = Default::default();
            for i in 0..LANES {
                let leaving = keep(held[i] * leave[i]);
                chooses[i] = leaving * skip[i];
                reads[i] = leaving - chooses[i];
                held[i] = keep(held[i] * stay[i]);
            }
            put(self.chooses, at + 1, chooses);
            put(self.reads, at + 1, reads);
            put(self.held, at, held);
        }
        let mut blanks = [0.0; LANES];
        for at in (0..self.skip.len()).step_by(LANES) {
            let (mut choice, mut held) = (lanes(self.choice, at), lanes(self.held, at));
            let (chooses, reads) = (lanes(self.chooses, at), lanes(self.reads, at));
            let (blank, label) = (lanes(self.blank, at), lanes(self.label, at));
            for i in 0..LANES {
                let chosen = choice[i] + chooses[i];
                choice[i] = keep(chosen * blank[i]) + reads[i];
                held[i] += keep(chosen * label[i]);
                blanks[i] += choice[i];
            }
            put(self.choice, at, choice);
            put(self.held, at, held);
        }
        blanks.iter().sum()
    }
}

#[inline(always)]
fn keep(p: f64) -> f64 {
    if p < NEGLIGIBLE { 0.0 } else { p }
}
