//! The cheapest alignment of one utterance: minima forward, decisions as bits, and a walk back along them.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use sandhi_core::Result;

use crate::Moves;
use crate::grid::Grid;
use crate::moves::{self, Reading};
use crate::sheared::Sheared;
use crate::waves::{Front, LANES, Nodes, STRIP, Strip, Waves};

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

/// Waves of which a label's decisions share a word, and whose costs are brought together.
const WORD: usize = u64::BITS as usize;

fn search<R: Reading>(grid: &Grid<'_>) -> Vec<(usize, usize)> {
    if grid.frames == 0 || grid.labels == 0 {
        return Vec::new();
    }
    let mut decisions = Decisions::new(Waves::of::<R>(grid), R::ARCS.len() - 1);
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
/// A bit for each wave in a word for each label, so that what a vector of cells decides is a vector of words as it is.
struct Decisions {
    waves: Waves,
    /// Of every [`WORD`] waves: the first of its words, and the labels that these are of.
    blocks: Vec<(usize, Range<usize>)>,
    /// Of every block a plane for each arc but arc 0.
    words: Vec<u64>,
    planes: usize,
}

impl Decisions {
    fn new(waves: Waves, planes: usize) -> Self {
        let mut blocks = Vec::new();
        let mut words = 0;
        for block in waves.blocks(WORD) {
            // Behind the last there is room for a vector.
            let labels = waves.labels(block.start).start..waves.labels(block.end - 1).end + LANES;
            blocks.push((words, labels.clone()));
            words += planes * labels.len();
        }
        Self {
            waves,
            blocks,
            words: vec![0; words],
            planes,
        }
    }

    /// The words of a strip of wave `n`, by plane. A reading without a second plane does not look at it.
    fn strip(&mut self, n: usize, strip: Strip) -> [&mut [u64]; 2] {
        let (start, labels) = &self.blocks[n / WORD];
        let (first, second) = self.words[*start..][..self.planes * labels.len()].split_at_mut(labels.len());
        let lanes = strip.first - labels.start..strip.first - labels.start + strip.lanes;
        let second = if self.planes == 1 {
            second
        } else {
            &mut second[lanes.clone()]
        };
        [&mut first[lanes], second]
    }

    fn arc(&self, t: usize, u: usize) -> usize {
        let n = self.waves.wave(t, u);
        let (start, labels) = &self.blocks[n / WORD];
        let word = |plane: usize| self.words[start + plane * labels.len() + u - labels.start];
        let set = |plane: &usize| word(*plane) >> (n % WORD) & 1 == 1;
        (0..self.planes).rev().find(set).map_or(0, |plane| plane + 1)
    }
}

/// What the cheapest path to each node of a wave costs, by place.
impl Nodes for Vec<f64> {
    fn none(places: usize) -> Self {
        vec![f64::INFINITY; places]
    }

    fn border(&mut self, place: usize, free: bool) {
        self[place] = if free { 0.0 } else { f64::INFINITY };
    }
}

/// The recursion from the start.
struct Forward<'a, 'g, R> {
    grid: &'a Grid<'g>,
    decisions: &'a mut Decisions,
    reading: PhantomData<R>,
}

impl<R: Reading> WithSimd for Forward<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let waves = self.decisions.waves;
        let mut costs = Sheared::new(waves);
        let mut front = Front::<Vec<f64>>::new::<R>(waves);
        // On the stack, where the compiler sees that it lies apart from what it is made of.
        let mut totals = [0.0; STRIP];
        for block in waves.blocks(WORD) {
            costs.read(block.clone(), self.grid);
            for n in block {
                for strip in waves.strips(n) {
                    let before = [0, 1, 2].map(|k| {
                        // A reading without a third arc does not look at it.
                        let arc = R::ARCS[k.min(R::ARCS.len() - 1)];
                        &front.before::<R>(arc)[strip.before(arc)]
                    });
                    let words = self.decisions.strip(n, strip);
                    enter::<R>(costs.strip(n, strip), before, 1 << (n % WORD), &mut totals, words);
                    front.earlier[strip.places()].copy_from_slice(&totals[..strip.lanes]);
                }
                front.advance::<R>(n);
            }
        }
    }
}

/// Enters the nodes of a strip. `before` has for each arc the totals of the nodes that it comes from; into `words` goes `bit`
/// wherever an arc is better than those before it.
#[inline(always)]
fn enter<R: Reading>(
    costs: &[f64],
    before: [&[f64]; 3],
    bit: u64,
    totals: &mut [f64; STRIP],
    words: [&mut [u64]; 2],
) {
    // Whole vectors, which the compiler is to know.
    let count = costs.len().min(STRIP) / LANES * LANES;
    let before = before.map(|totals| &totals[..count]);
    let [first, second] = words;
    let (first, second) = (
        &mut first[..count],
        if R::ARCS.len() > 2 {
            &mut second[..count]
        } else {
            second
        },
    );
    for (i, &cost) in costs[..count].iter().enumerate() {
        let cost = ordered(cost);
        let total = |k: usize| {
            if R::ARCS[k].takes {
                before[k][i] + cost
            } else {
                before[k][i]
            }
        };
        // A strict comparison keeps the preferred of equals.
        let better = |k, best: &mut f64| {
            let total = total(k);
            let better = total < *best;
            *best = if better { total } else { *best };
            if better { bit } else { 0 }
        };
        let mut best = total(0);
        first[i] |= better(1, &mut best);
        if R::ARCS.len() > 2 {
            second[i] |= better(2, &mut best);
        }
        totals[i] = best;
    }
}

/// A cost with which every sum is finite, so that +∞ means what no path reaches.
///
/// NaN is taken, as if it were cheaper than everything, so that it shows in the sum instead of being avoided; infinite
/// costs are dearer, or cheaper, than every sum of ordinary ones. Ordinary costs lie within ±1e290.
#[inline(always)]
fn ordered(cost: f64) -> f64 {
    let raised = if cost > -1e290 { cost } else { -1e290 };
    let within = if raised < 1e290 { raised } else { 1e290 };
    if cost.is_nan() { -1e300 } else { within }
}
