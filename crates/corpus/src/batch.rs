//! Bucketed batches: utterances of like length together, within a budget of frames and lattice cells.

use rand::Rng;
use rand::seq::SliceRandom;

use crate::random::rng;
use crate::{Error, Result};

/// What a batch may cost once padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchBudget {
    /// Feature frames: utterances times the longest one's frames.
    pub max_frames: usize,
    /// Lattice cells: utterances times `ceil(T / 4) * (U + 1)`, with the longest T and the longest U.
    pub max_cells: usize,
    /// Utterances.
    pub max_utterances: usize,
}

/// The size of one utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Feature frames, before subsampling.
    pub frames: usize,
    /// Labels of its transcript.
    pub labels: usize,
}

/// How far a length may be moved, as a fraction of itself, before the utterances are sorted by it: the batches of
/// two epochs differ, yet little is padded.
const JITTER: f64 = 0.1;

/// The batches of one epoch, as indices into `sizes`.
///
/// Utterances are sorted by a jittered length, cut into batches that keep the budget, and the batches shuffled. The
/// result is a function of the sizes, the budget, the seed and the epoch.
///
/// # Errors
///
/// [`Error::OverBudget`] naming the first utterance that alone is over the budget; [`Error::ZeroBudget`].
///
/// # Proved by
///
/// `batches_hold_every_index_once_within_budget`, `batches_are_a_function_of_seed_and_epoch`,
/// `batches_refuse_an_utterance_over_budget`.
pub fn batches(sizes: &[Size], budget: &BatchBudget, seed: u64, epoch: u64) -> Result<Vec<Vec<usize>>> {
    for (what, limit) in [
        ("max_frames", budget.max_frames),
        ("max_cells", budget.max_cells),
        ("max_utterances", budget.max_utterances),
    ] {
        if limit == 0 {
            return Err(Error::ZeroBudget { what });
        }
    }
    for (utterance, &size) in sizes.iter().enumerate() {
        if let Some((what, got, allowed)) = over(budget, size, 1) {
            return Err(Error::OverBudget {
                utterance,
                what,
                got,
                allowed,
            });
        }
    }
    let mut rng = rng(seed, "batches", epoch.to_le_bytes());
    let mut order: Vec<(f64, usize)> = sizes
        .iter()
        .enumerate()
        .map(|(index, size)| (size.frames as f64 * (1.0 + JITTER * rng.random::<f64>()), index))
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));

    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut batch: Vec<usize> = Vec::new();
    let mut padded = Size { frames: 0, labels: 0 };
    for (_, index) in order {
        let size = sizes[index];
        let grown = Size {
            frames: padded.frames.max(size.frames),
            labels: padded.labels.max(size.labels),
        };
        if over(budget, grown, batch.len() + 1).is_some() {
            batches.push(std::mem::take(&mut batch));
            padded = size;
        } else {
            padded = grown;
        }
        batch.push(index);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches.shuffle(&mut rng);
    Ok(batches)
}

/// The first limit that `count` utterances padded to `size` break: its name, the cost, the limit.
fn over(budget: &BatchBudget, size: Size, count: usize) -> Option<(&'static str, usize, usize)> {
    let cells = size
        .frames
        .div_ceil(4)
        .saturating_mul(size.labels.saturating_add(1));
    [
        ("max_utterances", count, budget.max_utterances),
        ("max_frames", count.saturating_mul(size.frames), budget.max_frames),
        ("max_cells", count.saturating_mul(cells), budget.max_cells),
    ]
    .into_iter()
    .find(|&(_, got, allowed)| got > allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes() -> impl Strategy<Value = Vec<Size>> {
        proptest::collection::vec(
            (0usize..900, 0usize..60).prop_map(|(frames, labels)| Size { frames, labels }),
            0..90,
        )
    }

    proptest! {
        #[test]
        fn batches_hold_every_index_once_within_budget(
            sizes in sizes(), max_frames in 900usize..9000, max_cells in 14_000usize..90_000,
            max_utterances in 1usize..20, seed in 0u64..9, epoch in 0u64..3,
        ) {
            let budget = BatchBudget { max_frames, max_cells, max_utterances };
            let batches = batches(&sizes, &budget, seed, epoch).unwrap();
            let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..sizes.len()).collect::<Vec<_>>());
            for batch in &batches {
                let frames = batch.iter().map(|&i| sizes[i].frames).max().unwrap();
                let labels = batch.iter().map(|&i| sizes[i].labels).max().unwrap();
                prop_assert!(!batch.is_empty() && batch.len() <= max_utterances);
                prop_assert!(batch.len() * frames <= max_frames);
                let cells: usize = batch.iter().map(|_| frames.div_ceil(4) * (labels + 1)).sum();
                prop_assert!(cells <= max_cells);
            }
        }
    }

    fn ramp(count: usize) -> Vec<Size> {
        (0..count)
            .map(|index| Size {
                frames: 200 + 3 * index,
                labels: 10 + index % 7,
            })
            .collect()
    }

    const BUDGET: BatchBudget = BatchBudget {
        max_frames: 4000,
        max_cells: 20_000,
        max_utterances: 12,
    };

    #[test]
    fn batches_are_a_function_of_seed_and_epoch() {
        let sizes = ramp(100);
        let once = batches(&sizes, &BUDGET, 7, 3).unwrap();
        assert_eq!(once, batches(&sizes, &BUDGET, 7, 3).unwrap());
        assert_ne!(once, batches(&sizes, &BUDGET, 7, 4).unwrap());
        assert_ne!(once, batches(&sizes, &BUDGET, 8, 3).unwrap());
        // Not only the order of the batches differs between epochs, their members do too.
        let sorted = |mut all: Vec<Vec<usize>>| {
            all.iter_mut().for_each(|batch| batch.sort_unstable());
            all.sort();
            all
        };
        assert_ne!(sorted(once), sorted(batches(&sizes, &BUDGET, 7, 4).unwrap()));
    }

    #[test]
    fn batches_pad_little() {
        let sizes = ramp(200);
        let (mut used, mut padded) = (0, 0);
        for batch in batches(&sizes, &BUDGET, 1, 0).unwrap() {
            used += batch.iter().map(|&i| sizes[i].frames).sum::<usize>();
            padded += batch.len() * batch.iter().map(|&i| sizes[i].frames).max().unwrap();
        }
        assert!((padded as f64) < 1.12 * used as f64, "{padded} frames for {used}");
    }

    #[test]
    fn batches_refuse_an_utterance_over_budget() {
        let mut sizes = ramp(10);
        sizes[6].frames = 5000;
        let error = batches(&sizes, &BUDGET, 0, 0).unwrap_err();
        assert!(matches!(
            error,
            Error::OverBudget {
                utterance: 6,
                what: "max_frames",
                got: 5000,
                allowed: 4000
            }
        ));
        sizes[6] = Size {
            frames: 3000,
            labels: 100,
        };
        let error = batches(&sizes, &BUDGET, 0, 0).unwrap_err();
        assert!(matches!(
            error,
            Error::OverBudget {
                utterance: 6,
                what: "max_cells",
                got: 75_750,
                ..
            }
        ));
    }

    #[test]
    fn batches_refuse_a_zero_budget() {
        let budget = BatchBudget {
            max_utterances: 0,
            ..BUDGET
        };
        let error = batches(&ramp(2), &budget, 0, 0).unwrap_err();
        assert!(matches!(
            error,
            Error::ZeroBudget {
                what: "max_utterances"
            }
        ));
    }
}
