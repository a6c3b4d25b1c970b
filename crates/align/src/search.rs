//! The cheapest alignment of one utterance: minima forward, decisions as bits, and a walk back along them.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use sandhi_core::Result;

use crate::Moves;
use crate::grid::Grid;
use crate::moves::{self, Arc, Reading};
use crate::waves::{LANES, STRIP};

/// The cells `(t, u)` of the cheapest alignment, in order: O(T U) time and bits.
pub(crate) fn cheapest(moves: Moves, grid: &Grid<'_>) -> Result<Vec<(usize, usize)>> {
    if !moves.can_align(grid.frames, grid.labels) {
        return Err(grid.no_alignment());
    }
    Ok(match moves {
        Moves::EveryLabel => search::<moves::EveryLabel>(grid),
        Moves::EveryLabelStrict => search::<moves::EveryLabelStrict>(grid),
        Moves::EveryFrame => search::<moves::EveryFrame>(grid),
        Moves::Forced => search::<moves::Forced>(grid),
        Moves::Warping => search::<moves::Warping>(grid),
    })
}

/// Frames of which a label's decisions share a word.
const WORD: usize = u64::BITS as usize;

fn search<R: Reading>(grid: &Grid<'_>) -> Vec<(usize, usize)> {
    let mut decisions = Decisions::new(grid, R::ARCS.len() - 1);
    Arch::new().dispatch(Forward {
        grid,
        decisions: &mut decisions,
        reading: PhantomData::<R>,
    });
    // Counted from 1, so that 0 is the border: before the first frame, before the first label.
    let (mut t, mut u) = (grid.frames, grid.labels);
    let mut path = Vec::with_capacity(t + u);
    // What is left on a border is skipped.
    while t > 0 && u > 0 {
        let arc = R::ARCS[decisions.arc(t - 1, u - 1)];
        if arc.takes {
            path.push((t - 1, u - 1));
        }
        (t, u) = (t - arc.frames, u - arc.labels);
    }
    path.reverse();
    path
}

/// Which arc each node was entered by: the last of those whose bit is set, as each was better than all before it, or arc 0.
///
/// A bit for each frame in a word for each label, so that what a vector of labels decides is a vector of words as it is.
struct Decisions {
    words: Vec<u64>,
    /// Labels in whole vectors.
    width: usize,
    /// One for each arc but arc 0.
    planes: usize,
}

impl Decisions {
    fn new(grid: &Grid<'_>, planes: usize) -> Self {
        let width = grid.labels.next_multiple_of(LANES);
        Self {
            words: vec![0; grid.frames.div_ceil(WORD) * planes * width],
            width,
            planes,
        }
    }

    /// The words of some labels at frame `t`, by plane. A reading without a second plane does not look at it.
    fn strip(&mut self, t: usize, labels: Range<usize>) -> [&mut [u64]; 2] {
        let size = self.planes * self.width;
        let frame = &mut self.words[t / WORD * size..][..size];
        let (first, second) = frame.split_at_mut(self.width);
        let second = second.get_mut(labels.clone()).unwrap_or_default();
        [&mut first[labels], second]
    }

    fn arc(&self, t: usize, u: usize) -> usize {
        let word = |plane: usize| self.words[(t / WORD * self.planes + plane) * self.width + u];
        let set = |plane: &usize| word(*plane) >> (t % WORD) & 1 == 1;
        (0..self.planes).rev().find(set).map_or(0, |plane| plane + 1)
    }
}

/// The recursion from the start, frame by frame.
struct Forward<'a, 'g, R> {
    grid: &'a Grid<'g>,
    decisions: &'a mut Decisions,
    reading: PhantomData<R>,
}

impl<R: Reading> WithSimd for Forward<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let labels = self.grid.labels;
        let border = |free: bool| if free { 0.0 } else { f64::INFINITY };
        // D of a frame, from the border at u = −1 on; and of the frame before it, at first the border at t = −1.
        let mut now = vec![border(R::SKIPS_FRAMES); self.decisions.width + 1];
        let mut before = vec![border(R::SKIPS_LABELS); self.decisions.width + 1];
        before[0] = 0.0;
        let mut part = Part::default();
        for t in 0..self.grid.frames {
            now[0] = border(R::SKIPS_FRAMES);
            for first in (0..labels).step_by(STRIP) {
                let cells = STRIP.min(labels - first);
                self.grid.part(t, first..first + cells, part.costs.iter_mut());
                // Behind the last label a vector has what was there before, and nobody reads what comes of it.
                let end = first + cells.next_multiple_of(LANES);
                part.totals[0] = now[first];
                let words = self.decisions.strip(t, first..end);
                part.enter::<R>(&before[first..=end], 1 << (t % WORD), words);
                now[first..=end].copy_from_slice(&part.totals[..=end - first]);
            }
            std::mem::swap(&mut now, &mut before);
        }
    }
}

/// Some labels at a frame. On the stack, where the compiler sees that this lies apart from what it is made of.
struct Part {
    costs: [f64; STRIP],
    /// D, from one label earlier on.
    totals: [f64; STRIP + 1],
}

impl Default for Part {
    fn default() -> Self {
        Self {
            costs: [0.0; STRIP],
            totals: [0.0; STRIP + 1],
        }
    }
}

impl Part {
    /// Enters the nodes of whole vectors. `before` starts one label earlier; into `words` goes `bit` wherever an arc is better
    /// than those before it.
    ///
    /// If an arc stays at the frame, nodes wait for one another. But only their least totals do, which are found first, one after
    /// another, so that the decisions are left for vectors.
    #[inline(always)]
    fn enter<R: Reading>(&mut self, before: &[f64], bit: u64, words: [&mut [u64]; 2]) {
        let count = (before.len() - 1).min(STRIP) / LANES * LANES;
        let before = &before[..=count];
        let [first, second] = words;
        let first = &mut first[..count];
        for cost in &mut self.costs[..count] {
            *cost = ordered(*cost);
        }
        for i in 0..count {
            let mut least = f64::INFINITY;
            for arc in R::ARCS {
                if arc.frames == 1 {
                    least = lesser(arc.total(before[i + 1 - arc.labels], self.costs[i]), least);
                }
            }
            self.totals[i + 1] = least;
        }
        for arc in R::ARCS {
            if arc.frames == 0 {
                let mut least = self.totals[0];
                for (total, &cost) in self.totals[1..].iter_mut().zip(&self.costs[..count]) {
                    least = lesser(arc.total(least, cost), *total);
                    *total = least;
                }
            }
        }
        let total = |k: usize, i: usize| {
            let arc = R::ARCS[k];
            let from = match arc.frames {
                0 => self.totals[i],
                _ => before[i + 1 - arc.labels],
            };
            arc.total(from, self.costs[i])
        };
        // Strict comparisons keep the preferred of equals.
        for (i, word) in first.iter_mut().enumerate() {
            *word |= if total(1, i) < total(0, i) { bit } else { 0 };
        }
        if R::ARCS.len() > 2 {
            for (i, word) in second[..count].iter_mut().enumerate() {
                let least = lesser(total(0, i), total(1, i));
                *word |= if total(2, i) < least { bit } else { 0 };
            }
        }
    }
}

impl Arc {
    /// What a path costs at the end of the arc.
    #[inline(always)]
    fn total(self, from: f64, cost: f64) -> f64 {
        if self.takes { from + cost } else { from }
    }
}

/// The lesser of two numbers, as one instruction.
#[inline(always)]
fn lesser(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// A cost with which every sum is finite, so that +∞ means what no path reaches.
///
/// NaN is taken, as if it were cheaper than everything, so that it shows in the sum instead of being avoided; infinite
/// costs are dearer, or cheaper, than every sum of ordinary ones. Ordinary costs lie within ±1e290.
#[inline(always)]
fn ordered(cost: f64) -> f64 {
    let raised = if cost > -1e290 { cost } else { -1e290 };
    if cost.is_nan() {
        -1e300
    } else {
        lesser(raised, 1e290)
    }
}
