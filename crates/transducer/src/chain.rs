//! The alignments of one utterance as a Markov chain.
//!
//! Drawn in proportion to its probability, a path through the lattice is a Markov chain: from a node it leaves by the
//! label with a probability that does not depend on how it came there. One recursion from the end, in the log domain,
//! gives these probabilities and the loss. Everything else (how often an arc is taken, what alignments cost, how they
//! scatter) follows by products and sums of probabilities: no further logarithm, nothing that could overflow, and the
//! laws of conservation hold to the last digit.

use pulp::{Simd, WithSimd};

use crate::log_add::merge;
use crate::waves::Waves;

/// Probabilities below this count as none: they are far below what a gradient in f32 or f64 can show, and products of
/// smaller numbers would be slow.
pub(crate) const NEGLIGIBLE: f64 = 1e-200;

/// The transition probabilities of the alignments of one utterance.
pub(crate) struct Chain {
    waves: Waves,
    log_total: f64,
    /// Probability of leaving a node by its blank and by its label, wave by wave.
    blank: Vec<f64>,
    label: Vec<f64>,
}

/// A pair for the two arcs of a node: blank, label.
pub(crate) type Arcs = (f64, f64);

impl Chain {
    /// The backward recursion. `scores(t, u)` gives ln p of blank and label of a node; the lattice must be feasible.
    ///
    /// ```text
    /// β(end) = 0        β(n) = ln (e^{blank(n) + β(n_blank)} + e^{label(n) + β(n_label)})
    /// p(label | n) = e^{label(n) + β(n_label) − β(n)}
    /// ```
    pub(crate) fn new(waves: Waves, scores: impl Fn(usize, usize) -> Arcs) -> Self {
        let nodes = waves.nodes();
        let (mut blank, mut label) = (vec![0.0; nodes], vec![0.0; nodes]);
        // Indexed by labels emitted. Places no wave has written yet are nodes without a path to the end.
        let mut next = vec![f64::NEG_INFINITY; waves.labels + 2];
        let mut here = next.clone();
        next[waves.labels] = 0.0;
        let arch = pulp::Arch::new();
        let mut rest = nodes;
        for n in (0..waves.count()).rev() {
            let (first, end) = waves.range(n);
            let place = rest - (end - first)..rest;
            rest = place.start;
            let (blank, label) = (&mut blank[place.clone()], &mut label[place]);
            for ((u, blank), label) in (first..end).zip(&mut *blank).zip(&mut *label) {
                (*blank, *label) = scores(waves.frame(n, u), u);
            }
            if end > waves.labels {
                label[waves.labels - first] = f64::NEG_INFINITY;
            }
            arch.dispatch(BackwardWave {
                blank,
                label,
                next: &next[first..=end],
                here: &mut here[first..end],
            });
            std::mem::swap(&mut here, &mut next);
        }
        Self {
            waves,
            log_total: next[0],
            blank,
            label,
        }
    }

    /// ln of the summed probability of all paths; −∞ if there is none.
    pub(crate) fn log_total(&self) -> f64 {
        self.log_total
    }

    /// Calls `visit(t, u, γ)` for every node with the posteriors of its arcs, in waves from the start.
    pub(crate) fn posteriors(&self, mut visit: impl FnMut(usize, usize, Arcs)) {
        let width = self.waves.labels + 2;
        let (mut here, mut next) = (vec![0.0; width], vec![0.0; width]);
        let (mut blanks, mut labels) = (vec![0.0; width], vec![0.0; width]);
        here[0] = 1.0;
        let arch = pulp::Arch::new();
        let mut start = 0;
        for n in 0..self.waves.count() {
            let (first, end) = self.waves.range(n);
            let count = end - first;
            arch.dispatch(OccupancyWave {
                blank: &self.blank[start..][..count],
                label: &self.label[start..][..count],
                here: &here[first..end],
                blanks: &mut blanks[..count],
                labels: &mut labels[..count],
                next: &mut next[first..=end],
            });
            for (u, (&blank, &label)) in (first..end).zip(blanks.iter().zip(&labels)) {
                visit(self.waves.frame(n, u), u, (blank, label));
            }
            start += count;
            std::mem::swap(&mut here, &mut next);
        }
    }

    /// ln p(arc | node) of every arc, wave by wave, negated: the cost whose mean is the entropy. 0 where an arc is not
    /// taken.
    pub(crate) fn surprise(&self) -> Costs {
        let surprise = |p: &f64| if *p == 0.0 { 0.0 } else { -p.ln() };
        Costs {
            blank: self.blank.iter().map(surprise).collect(),
            label: self.label.iter().map(surprise).collect(),
        }
    }

    /// Costs in the order of the chain.
    pub(crate) fn label_costs(&self, cost: impl Fn(usize, usize) -> f64) -> Costs {
        let mut label = vec![0.0; self.label.len()];
        let mut place = 0;
        for n in 0..self.waves.count() {
            let (first, end) = self.waves.range(n);
            for u in first..end {
                if u < self.waves.labels {
                    label[place] = cost(self.waves.frame(n, u), u);
                }
                place += 1;
            }
        }
        Costs {
            blank: vec![0.0; self.blank.len()],
            label,
        }
    }

    /// Mean and variance of what is still to come at every node.
    ///
    /// ```text
    /// M(n) = Σ_arc p(arc | n) x(arc)                       x(arc) = cost(arc) + M(next)
    /// V(n) = Σ_arc p(arc | n) V(next) + p(blank | n) p(label | n) (x(label) − x(blank))²
    /// ```
    pub(crate) fn moments(&self, costs: &Costs) -> Moments {
        let width = self.waves.labels + 2;
        let mut moments = Moments {
            mean: vec![0.0; self.blank.len()],
            variance: vec![0.0; self.blank.len()],
        };
        // (mean, variance), indexed by labels emitted.
        let (mut here, mut next) = (vec![(0.0, 0.0); width], vec![(0.0, 0.0); width]);
        let mut rest = self.blank.len();
        for n in (0..self.waves.count()).rev() {
            let (first, end) = self.waves.range(n);
            let start = rest - (end - first);
            for (i, u) in (start..rest).zip(first..end) {
                let (p, q) = (self.blank[i], self.label[i]);
                let (by_blank, by_label) = (next[u], next[u + 1]);
                let (x, y) = (costs.blank[i] + by_blank.0, costs.label[i] + by_label.0);
                let mean = part(p, x) + part(q, y);
                let apart = part(p * q, (y - x) * (y - x));
                let variance = part(p, by_blank.1) + part(q, by_label.1) + apart;
                here[u] = (mean, variance);
                (moments.mean[i], moments.variance[i]) = here[u];
            }
            rest = start;
            std::mem::swap(&mut here, &mut next);
        }
        moments
    }

    /// Calls `visit(t, u, γ, Δ, Δ²)` for every node: the posteriors of its arcs, and the posteriors times the mean of
    /// `D − E D` and of `(D − E D)²` over the paths that take the arc.
    ///
    /// What is carried along is the deviation from the mean that is already decided, which grows by
    /// `cost(arc) + M(next) − M(n)` with every arc: so nothing large is subtracted from anything large.
    pub(crate) fn deviations(
        &self,
        costs: &Costs,
        moments: &Moments,
        mut visit: impl FnMut(usize, usize, Arcs, Arcs, Arcs),
    ) {
        let width = self.waves.labels + 2;
        let nothing = Flow::default();
        let (mut here, mut next) = (vec![nothing; width], vec![nothing; width]);
        let mut ahead = vec![(0.0, 0.0); width];
        here[0].occupancy = 1.0;
        let mut start = 0;
        for n in 0..self.waves.count() {
            let (first, end) = self.waves.range(n);
            let after = start + (end - first);
            if n + 1 < self.waves.count() {
                let (first, end) = self.waves.range(n + 1);
                for (i, u) in (first..end).enumerate() {
                    ahead[u] = (moments.mean[after + i], moments.variance[after + i]);
                }
            } else {
                ahead.fill((0.0, 0.0));
            }
            next[first..=end].fill(nothing);
            for (i, u) in (start..after).zip(first..end) {
                let along = |p: f64, cost: f64, to: (f64, f64)| {
                    let flow = here[u].along(p, cost + to.0 - moments.mean[i]);
                    (flow, flow.squared + part(flow.occupancy, to.1))
                };
                let (by_blank, blank_squared) = along(self.blank[i], costs.blank[i], ahead[u]);
                let (by_label, label_squared) = along(self.label[i], costs.label[i], ahead[u + 1]);
                next[u].add(by_blank);
                next[u + 1].add(by_label);
                visit(
                    self.waves.frame(n, u),
                    u,
                    (by_blank.occupancy, by_label.occupancy),
                    (by_blank.deviation, by_label.deviation),
                    (blank_squared, label_squared),
                );
            }
            start = after;
            std::mem::swap(&mut here, &mut next);
        }
    }
}

/// A cost for every arc, in the order of the chain.
pub(crate) struct Costs {
    pub(crate) blank: Vec<f64>,
    pub(crate) label: Vec<f64>,
}

/// Mean and variance of the cost from every node to the end.
pub(crate) struct Moments {
    mean: Vec<f64>,
    variance: Vec<f64>,
}

impl Moments {
    pub(crate) fn mean(&self) -> f64 {
        self.mean[0]
    }

    pub(crate) fn variance(&self) -> f64 {
        self.variance[0]
    }
}

/// `p x`, and nothing where there is no way: whatever that would have cost.
#[inline(always)]
pub(crate) fn part(p: f64, x: f64) -> f64 {
    if p == 0.0 { 0.0 } else { p * x }
}

/// What flows through a node: how much, and how far from the mean.
#[derive(Clone, Copy, Default)]
pub(crate) struct Flow {
    pub(crate) occupancy: f64,
    /// Occupancy times mean deviation.
    pub(crate) deviation: f64,
    /// Occupancy times mean squared deviation.
    pub(crate) squared: f64,
}

impl Flow {
    #[inline(always)]
    pub(crate) fn along(self, p: f64, step: f64) -> Self {
        let occupancy = p * self.occupancy;
        if occupancy < NEGLIGIBLE {
            return Self::default();
        }
        Self {
            occupancy,
            deviation: p * (self.deviation + self.occupancy * step),
            squared: p * (self.squared + step * (2.0 * self.deviation + self.occupancy * step)),
        }
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, other: Self) {
        self.occupancy += other.occupancy;
        self.deviation += other.deviation;
        self.squared += other.squared;
    }
}

/// One wave of the backward recursion. `blank` and `label` are scores before, transition probabilities after.
struct BackwardWave<'a> {
    blank: &'a mut [f64],
    label: &'a mut [f64],
    /// One longer than the wave.
    next: &'a [f64],
    here: &'a mut [f64],
}

impl WithSimd for BackwardWave<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let arcs = self.blank.iter_mut().zip(self.label);
        let next = self.next.iter().zip(&self.next[1..]);
        for (((blank, label), (&after_blank, &after_label)), here) in arcs.zip(next).zip(self.here) {
            (*here, *blank, *label) = merge(*blank + after_blank, *label + after_label, !S::IS_SCALAR);
        }
    }
}

/// One wave of the forward recursion: the occupancy of its nodes to that of the next.
struct OccupancyWave<'a> {
    blank: &'a [f64],
    label: &'a [f64],
    here: &'a [f64],
    blanks: &'a mut [f64],
    labels: &'a mut [f64],
    /// One longer than the wave.
    next: &'a mut [f64],
}

impl WithSimd for OccupancyWave<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let keep = |x: f64| if x < NEGLIGIBLE { 0.0 } else { x };
        let arcs = self.blank.iter().zip(self.label).zip(self.here);
        for (((&blank, &label), &here), (blanks, labels)) in
            arcs.zip(self.blanks.iter_mut().zip(&mut *self.labels))
        {
            *blanks = keep(here * blank);
            *labels = keep(here * label);
        }
        let count = self.blanks.len();
        self.next[..count].copy_from_slice(self.blanks);
        self.next[count] = 0.0;
        for (next, &label) in self.next[1..].iter_mut().zip(&*self.labels) {
            *next += label;
        }
    }
}
