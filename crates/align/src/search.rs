//! The cheapest alignment of one utterance: minima forward, decisions as bits, and a walk back along them.

use sandhi_core::Result;

use crate::Moves;
use crate::grid::Grid;
use crate::moves::{self, Reading};

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

/// Labels whose decisions share a word.
const WORD: usize = u64::BITS as usize;

/// A cost with which every sum is finite, so that +∞ means what no path reaches.
///
/// NaN is taken, as if it were cheaper than everything, so that it shows in the sum instead of being avoided; infinite
/// costs are dearer, or cheaper, than every sum of ordinary ones. Ordinary costs lie within ±1e290.
fn ordered(cost: f64) -> f64 {
    if cost.is_nan() {
        -1e300
    } else {
        cost.clamp(-1e290, 1e290)
    }
}

/// Which arc each node was entered by: bit u of plane k − 1 is set if it was arc k, and no bit if it was arc 0.
struct Decisions {
    bits: Vec<u64>,
    words: usize,
    planes: usize,
}

impl Decisions {
    fn arc(&self, t: usize, u: usize) -> usize {
        let word = (t * self.words + u / WORD) * self.planes;
        let set = |plane: &usize| self.bits[word + plane] >> (u % WORD) & 1 == 1;
        (0..self.planes).find(set).map_or(0, |plane| plane + 1)
    }
}

fn search<R: Reading>(grid: &Grid<'_>) -> Vec<(usize, usize)> {
    let decisions = decide::<R>(grid);
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

fn decide<R: Reading>(grid: &Grid<'_>) -> Decisions {
    let (words, planes) = (grid.labels.div_ceil(WORD), R::ARCS.len() - 1);
    let mut bits = vec![0u64; grid.frames * words * planes];
    let mut costs = vec![0.0; grid.labels];
    // D of a frame, from the border at u = −1 on; and of the frame before it, at first the border at t = −1.
    let border = |free: bool| if free { 0.0 } else { f64::INFINITY };
    let mut now = vec![border(R::SKIPS_FRAMES); grid.labels + 1];
    let mut before = vec![border(R::SKIPS_LABELS); grid.labels + 1];
    before[0] = 0.0;
    for (t, bits) in bits.chunks_mut((words * planes).max(1)).enumerate() {
        grid.row(t, &mut costs);
        now[0] = border(R::SKIPS_FRAMES);
        for (word, costs) in costs.chunks(WORD).enumerate() {
            let bits = &mut bits[word * planes..][..planes];
            row::<R>(costs, &before[word * WORD..], &mut now[word * WORD..], bits);
        }
        std::mem::swap(&mut now, &mut before);
    }
    Decisions { bits, words, planes }
}

/// The nodes of up to [`WORD`] labels. `before` and `now` start one label earlier.
#[inline(always)]
fn row<R: Reading>(costs: &[f64], before: &[f64], now: &mut [f64], bits: &mut [u64]) {
    // A reading has three arcs at most.
    let mut words = [0u64; 2];
    let (before, now) = (&before[..=costs.len()], &mut now[..=costs.len()]);
    // The node to the left, kept out of memory: the next one waits for it.
    let mut left = now[0];
    for (u, &cost) in costs.iter().enumerate() {
        let cost = ordered(cost);
        let mut best = f64::INFINITY;
        let mut chosen = 0;
        for (k, arc) in R::ARCS.iter().enumerate() {
            let from = if arc.frames == 0 {
                left
            } else {
                before[u + 1 - arc.labels]
            };
            let total = if arc.takes { from + cost } else { from };
            // A strict comparison keeps the preferred of equals.
            if total < best {
                (best, chosen) = (total, k);
            }
        }
        for (plane, word) in words.iter_mut().enumerate() {
            *word |= u64::from(chosen == plane + 1) << u;
        }
        now[u + 1] = best;
        left = best;
    }
    bits.copy_from_slice(&words[..bits.len()]);
}
