//! The alignments of one utterance as a Markov chain: the recursion of soft alignments.
//!
//! Drawn with weights `2^{−rate cost}`, an alignment that is read from its end is a Markov chain: by which arc it entered a
//! node does not depend on where it went from there. One recursion from the start gives the sum of all weights and these
//! probabilities, the shares of the arcs; one from the end gives how often each cell is taken, by products and sums of
//! probabilities, in which nothing overflows or cancels.
//!
//! ```text
//! A(t, u) = Σ_arcs A(from) [takes] 2^{−rate cost(t, u)}        share(arc) = its term / A(t, u)
//! P(t, u) = Σ over arcs that leave (t, u) of  P(their node) share(arc),   P(T−1, U−1) = 1
//! ```
//!
//! Shares are up to three times as many as cells. So the recursion from the start keeps every √(T + U)-th wave only, and
//! goes from there once more when the recursion from the end comes to need the shares: to make them twice costs no more
//! than to bring them back from memory.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::filled::GridMut;
use crate::grid::Grid;
use crate::moves::Reading;
use crate::scaled::Scaled;
use crate::sheared::Sheared;
use crate::waves::{Front, LANES, STRIP, Waves};

/// Probabilities below this count as none: products of smaller numbers would be slow.
const NEGLIGIBLE: f64 = 1e-200;

/// After so many waves mantissas are brought back. In a wave they grow at most sixfold, and that of the largest exponent loses
/// no more than half.
const NORMAL_FOR: usize = 16;

/// The logarithm of the summed weights of all alignments, to base `2^rate`: −∞ if there is none, NaN if one is no number. If
/// it is finite, the probabilities that alignments take the cells are written into `taken`. The grid must have cells.
pub(crate) fn log_total<R: Reading>(grid: &Grid<'_>, rate: f64, taken: Option<&mut GridMut<'_>>) -> f64 {
    let waves = Waves {
        frames: grid.frames,
        labels: grid.labels,
    };
    let block = waves.count().isqrt();
    let blocks = (0..waves.count()).step_by(block);
    let blocks = blocks.map(|start| start..waves.count().min(start + block));
    let arch = Arch::new();
    let mut kept = Vec::new();
    let mut front = Front::new::<R>(waves);
    let mut cells = Sheared::new(waves);
    let forward = |block, cells: &mut Sheared, front: &mut Front, shares: Option<&mut Vec<f64>>| {
        arch.dispatch(Forward {
            grid,
            waves,
            block,
            rate,
            cells,
            front,
            shares,
            reading: PhantomData::<R>,
        });
    };
    for block in blocks.clone() {
        if taken.is_some() {
            kept.push(front.clone());
        }
        forward(block, &mut cells, &mut front, None);
    }
    let total = front.last.get(waves.labels).log(rate);
    let Some(taken) = taken.filter(|_| total.is_finite()) else {
        return total;
    };
    let mut shares = Vec::new();
    let mut flow = Flow::new(waves);
    for (block, front) in blocks.zip(&mut kept).rev() {
        shares.clear();
        forward(block, &mut cells, front, Some(&mut shares));
        arch.dispatch(Backward {
            waves,
            cells: &mut cells,
            shares: &shares,
            flow: &mut flow,
            taken,
            reading: PhantomData::<R>,
        });
    }
    total
}

/// Whether every arc takes its cell: then what all of them bring can be weighed at once, and all that enters a node passes
/// through its cell.
fn takes_always<R: Reading>() -> bool {
    R::ARCS.iter().all(|arc| arc.takes)
}

/// The recursion from the start, over some waves.
struct Forward<'a, 'g, R> {
    grid: &'a Grid<'g>,
    waves: Waves,
    block: Range<usize>,
    rate: f64,
    /// For the costs.
    cells: &'a mut Sheared,
    front: &'a mut Front,
    /// Of every strip the shares of the first arc are appended, then those of the second, and so on.
    shares: Option<&'a mut Vec<f64>>,
    reading: PhantomData<R>,
}

impl<R: Reading> WithSimd for Forward<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let mut entered = Entered::default();
        self.cells.read(self.block.clone(), self.grid);
        for n in self.block {
            for strip in self.waves.strips(n) {
                entered.weigh(self.cells.strip(n, strip), self.rate, !S::IS_SCALAR);
                let before = [0, 1, 2].map(|k| {
                    // A reading without a third arc does not look at it.
                    let arc = R::ARCS[k.min(R::ARCS.len() - 1)];
                    let nodes = self.front.before(arc);
                    (
                        &nodes.mantissas[strip.before(arc)],
                        &nodes.exponents[strip.before(arc)],
                    )
                });
                match self.shares {
                    Some(_) => entered.enter::<R, true>(before, !S::IS_SCALAR),
                    None => entered.enter::<R, false>(before, !S::IS_SCALAR),
                }
                if n.is_multiple_of(NORMAL_FOR) {
                    entered.normalise();
                }
                let nodes = &mut self.front.earlier;
                nodes.mantissas[strip.places()].copy_from_slice(&entered.mantissas[..strip.lanes]);
                nodes.exponents[strip.places()].copy_from_slice(&entered.exponents[..strip.lanes]);
                if let Some(kept) = &mut self.shares {
                    for shares in &entered.shares[..R::ARCS.len()] {
                        kept.extend_from_slice(&shares[..strip.lanes]);
                    }
                }
            }
            self.front.advance::<R>(n);
        }
    }
}

/// What is found of a strip. On the stack, where the compiler sees that it lies apart from what it is made of.
struct Entered {
    /// Of the cells: mantissas and exponents of their weights. Found before the nodes, as a processor does not see far enough
    /// ahead to begin with the next vector's while it waits for the nodes of one.
    weights: [[f64; STRIP]; 2],
    mantissas: [f64; STRIP],
    exponents: [f64; STRIP],
    /// By arc.
    shares: [[f64; STRIP]; 3],
}

impl Default for Entered {
    fn default() -> Self {
        Self {
            weights: [[0.0; STRIP]; 2],
            mantissas: [0.0; STRIP],
            exponents: [0.0; STRIP],
            shares: [[0.0; STRIP]; 3],
        }
    }
}

impl Entered {
    #[inline(always)]
    fn weigh(&mut self, costs: &[f64], rate: f64, fused: bool) {
        let [mantissas, exponents] = &mut self.weights;
        for ((&cost, mantissa), exponent) in costs.iter().zip(mantissas).zip(exponents) {
            let weight = Scaled::power(-cost, rate, fused);
            (*mantissa, *exponent) = (weight.mantissa, weight.exponent);
        }
    }

    /// `before` has for each arc mantissas and exponents of the nodes that it comes from.
    #[inline(always)]
    fn enter<R: Reading, const SHARES: bool>(&mut self, before: [(&[f64], &[f64]); 3], fused: bool) {
        // Whole vectors, which the compiler is to know.
        let count = before[0].0.len().min(STRIP) / LANES * LANES;
        let before = before.map(|(mantissas, exponents)| (&mantissas[..count], &exponents[..count]));
        let arcs = R::ARCS.len();
        let all_take = takes_always::<R>();
        for i in 0..count {
            let weight = Scaled {
                mantissa: self.weights[0][i],
                exponent: self.weights[1][i],
            };
            let mut terms = [Scaled::ZERO; 3];
            let mut shares = [0.0; 3];
            for (k, arc) in R::ARCS.iter().enumerate() {
                let node = Scaled {
                    mantissa: before[k].0[i],
                    exponent: before[k].1[i],
                };
                terms[k] = if arc.takes && !all_take {
                    node.times(weight, fused)
                } else {
                    node
                };
            }
            let sum = Scaled::sum(&terms[..arcs], &mut shares[..arcs]);
            let sum = if all_take { sum.times(weight, fused) } else { sum };
            (self.mantissas[i], self.exponents[i]) = (sum.mantissa, sum.exponent);
            if SHARES {
                for (by_arc, &share) in self.shares.iter_mut().zip(&shares[..arcs]) {
                    by_arc[i] = share;
                }
            }
        }
    }

    #[inline(always)]
    fn normalise(&mut self) {
        for (mantissa, exponent) in self.mantissas.iter_mut().zip(&mut self.exponents) {
            let normal = Scaled {
                mantissa: *mantissa,
                exponent: *exponent,
            }
            .normal();
            (*mantissa, *exponent) = (normal.mantissa, normal.exponent);
        }
    }
}

/// P of a wave, so far as it is known, of the one before it and of the one before that; by place.
struct Flow([Vec<f64>; 3]);

impl Flow {
    fn new(waves: Waves) -> Self {
        let mut nodes = [(); 3].map(|()| vec![0.0; waves.places()]);
        nodes[0][waves.labels] = 1.0;
        Self(nodes)
    }
}

/// The recursion from the end, over some waves.
struct Backward<'a, 't, R> {
    waves: Waves,
    /// Of the same waves; for the probabilities.
    cells: &'a mut Sheared,
    shares: &'a [f64],
    flow: &'a mut Flow,
    taken: &'a mut GridMut<'t>,
    reading: PhantomData<R>,
}

impl<R: Reading> WithSimd for Backward<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let all_take = takes_always::<R>();
        for n in self.cells.waves.clone().rev() {
            let [here, before @ ..] = &mut self.flow.0;
            let lanes: usize = self.waves.strips(n).map(|strip| strip.lanes).sum();
            let mut shares;
            (self.shares, shares) = self.shares.split_at(self.shares.len() - R::ARCS.len() * lanes);
            for strip in self.waves.strips(n) {
                let taken = self.cells.strip(n, strip);
                for (taken, &node) in taken.iter_mut().zip(&here[strip.places()]) {
                    *taken = if all_take { node } else { 0.0 };
                }
                for arc in R::ARCS {
                    let by_arc;
                    (by_arc, shares) = shares.split_at(strip.lanes);
                    let to = &mut before[arc.waves() - 1][strip.before(*arc)];
                    let flows = here[strip.places()].iter().zip(by_arc);
                    for ((&node, &share), (to, taken)) in flows.zip(to.iter_mut().zip(&mut *taken)) {
                        // What leads nowhere has no part in anything, even if its shares are no numbers.
                        let flow = if node < NEGLIGIBLE { 0.0 } else { node * share };
                        *to += flow;
                        if arc.takes && !all_take {
                            *taken += flow;
                        }
                    }
                }
            }
            // With the borders, from which nothing comes back.
            let labels = self.waves.labels(n);
            here[labels.start..labels.end + 2].fill(0.0);
            self.flow.0.rotate_left(1);
        }
        self.cells.write(self.taken);
    }
}
