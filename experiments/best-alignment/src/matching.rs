//! The consistency loss: speech and text brought together along an alignment, at every level.

use candle_core::Tensor;
use sandhi_align::{Moves, alignment_cost, best_alignment, random_alignment, stretched_alignment};
use sandhi_core::{Distance, Error, Lengths, Padded, Result, pairwise};
use sandhi_recipe::standardized;

use crate::config::{Config, Matching};

/// The cells `(frame, label)` of each utterance.
pub(crate) type Cells = Vec<Vec<(usize, usize)>>;

/// Which random alignment; the same for every run.
pub(crate) const RANDOM_SEED: u64 = 230_806_125;

/// `[B]`: the mean distance of matched frames and labels, in the mean over the levels.
///
/// ```text
/// L(b) = 1/|levels| Σ_l 1/|a_l| Σ_{(t, u) ∈ a_l} d(s_l(t), e_l(u))
/// ```
///
/// where a_l is the alignment of that level: the cheapest, found anew at every level and step and then taken as given, so that
/// the gradient reaches both embeddings at the matched cells; or one that knows nothing of the embeddings. `gold` is what the
/// corpus says, for the arm that follows it.
///
/// # Proved by
///
/// `consistency_gradient_equals_differences`, `consistency_of_several_levels_is_their_mean`,
/// `consistency_of_a_batch_equals_its_utterances_whatever_the_padding_holds`; its parts in `sandhi-align` and `sandhi-core`.
pub(crate) fn consistency(
    config: &Config,
    speech: &[Padded],
    text: &[Padded],
    gold: Option<&Cells>,
) -> Result<Tensor> {
    let distance = config.metric.distance();
    let costs = config
        .levels
        .iter()
        .map(|&level| level_costs(config.standardize, distance, &speech[level], &text[level]));
    // One batch of all levels, so that alignments are found side by side.
    let costs = Tensor::cat(&costs.collect::<Result<Vec<_>>>()?, 0)?;
    let levels = config.levels.len();
    let (frames, labels) = (
        repeated(speech[0].lengths(), levels),
        repeated(text[0].lengths(), levels),
    );
    let cells = match moves(config.matching) {
        Some(moves) => best_alignment(&costs, &frames, &labels, moves)?,
        None => fixed(config.matching, &frames, &labels, gold)?,
    };
    let total = alignment_cost(&costs, &frames, &labels, &cells)?;
    let counts = cells.iter().map(|cells| cells.len().max(1) as f64);
    let counts = Tensor::from_iter(counts, total.device())?.to_dtype(total.dtype())?;
    Ok((total / counts)?.reshape((levels, speech[0].dims().0))?.mean(0)?)
}

/// The distances of one level, `[B, T, U]`.
pub(crate) fn level_costs(
    standardize: bool,
    distance: Distance,
    speech: &Padded,
    text: &Padded,
) -> Result<Tensor> {
    match standardize {
        true => pairwise(distance, &standardized(speech)?, &standardized(text)?),
        false => pairwise(distance, speech, text),
    }
}

/// What the alignment may do, if it is searched for.
fn moves(matching: Matching) -> Option<Moves> {
    Some(match matching {
        Matching::EveryLabel => Moves::EveryLabel,
        Matching::EveryLabelStrict => Moves::EveryLabelStrict,
        Matching::EveryFrame => Moves::EveryFrame,
        Matching::Forced => Moves::Forced,
        Matching::Off | Matching::Framewise | Matching::Random | Matching::Gold => return None,
    })
}

/// An alignment that knows nothing of the embeddings.
fn fixed(matching: Matching, frames: &Lengths, labels: &Lengths, gold: Option<&Cells>) -> Result<Cells> {
    match (matching, gold) {
        (Matching::Framewise, _) => stretched_alignment(frames, labels),
        (Matching::Random, _) => random_alignment(RANDOM_SEED, frames, labels),
        (Matching::Gold, Some(gold)) => Ok(gold.iter().cycle().take(frames.len()).cloned().collect()),
        _ => Err(Error::Invalid {
            what: "matching",
            why: format!("expected an alignment to compare along, got {matching:?} without gold times"),
        }),
    }
}

/// The lengths of the same utterances, once for each level.
fn repeated(lengths: &Lengths, times: usize) -> Lengths {
    let each = lengths.as_slice();
    Lengths::new(each.iter().cycle().take(each.len() * times).copied().collect())
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use sandhi_lab::{Scale, Setting};
    use sandhi_testkit::{Tolerance, check_gradient, poison_padding, uniform};

    use super::*;
    use crate::config::Metric;

    fn embeddings(seed: u64, lengths: &[usize]) -> Padded {
        let extent = lengths.iter().copied().max().unwrap();
        let x = uniform(seed, &[lengths.len(), extent, 5], -1.0, 1.0).unwrap();
        let x = x.to_dtype(DType::F32).unwrap().to_device(&Device::Cpu).unwrap();
        Padded::new(x, Lengths::new(lengths.to_vec())).unwrap()
    }

    #[test]
    fn consistency_of_several_levels_is_their_mean() {
        let config = Config {
            metric: Metric::Mae,
            ..Config::at(&Setting::embedded(Scale::Smoke))
        };
        let speech: Vec<Padded> = (0..3).map(|level| embeddings(level, &[9, 4, 7])).collect();
        let text: Vec<Padded> = (0..3).map(|level| embeddings(9 + level, &[3, 5, 2])).collect();
        for matching in [
            Matching::EveryLabel,
            Matching::EveryFrame,
            Matching::Framewise,
            Matching::Random,
        ] {
            let of = |levels: Vec<usize>| -> Vec<f32> {
                let config = Config {
                    levels,
                    matching,
                    ..config.clone()
                };
                let loss = consistency(&config, &speech, &text, None).unwrap();
                loss.to_vec1().unwrap()
            };
            let (all, each) = (of(vec![0, 1, 2]), [of(vec![0]), of(vec![1]), of(vec![2])]);
            for b in 0..3 {
                let mean = (each[0][b] + each[1][b] + each[2][b]) / 3.0;
                assert!(
                    (all[b] - mean).abs() < 1e-6,
                    "{matching:?}: {all:?}, expected {mean}"
                );
            }
        }
    }

    const SEARCHED_OR_NOT: [Matching; 6] = [
        Matching::EveryLabel,
        Matching::EveryLabelStrict,
        Matching::EveryFrame,
        Matching::Forced,
        Matching::Framewise,
        Matching::Random,
    ];

    /// Two levels of three utterances in f64, poisoned beyond their lengths.
    fn poisoned(x: &Tensor, lengths: &[usize], poison: f64) -> Padded {
        let lengths = Lengths::new(lengths.to_vec());
        Padded::new(poison_padding(x, &lengths, poison).unwrap(), lengths).unwrap()
    }

    #[test]
    fn consistency_gradient_equals_differences() {
        let shape = |extent| [2, extent, 3];
        let draw = |seed, extent| uniform(seed, &shape(extent), -1.0, 1.0).unwrap();
        let inputs = [draw(1, 6), draw(2, 6), draw(3, 3), draw(4, 3)];
        for matching in SEARCHED_OR_NOT {
            for standardize in [false, true] {
                let config = Config {
                    matching,
                    standardize,
                    levels: vec![0, 1],
                    ..Config::at(&Setting::embedded(Scale::Smoke))
                };
                let f = |x: &[Tensor]| {
                    let level = |x: &Tensor, lengths: &[usize]| {
                        Padded::new(x.clone(), Lengths::new(lengths.to_vec())).unwrap()
                    };
                    let speech = [level(&x[0], &[6, 4]), level(&x[1], &[6, 4])];
                    let text = [level(&x[2], &[3, 2]), level(&x[3], &[3, 2])];
                    consistency(&config, &speech, &text, None)
                };
                check_gradient(&inputs, f, Tolerance::GRADIENT)
                    .unwrap_or_else(|error| panic!("{matching:?} {standardize}: {error}"));
            }
        }
    }

    #[test]
    fn consistency_of_a_batch_equals_its_utterances_whatever_the_padding_holds() {
        let (frames, labels) = ([9, 4, 7], [3, 2, 4]);
        let (x, y) = (
            uniform(5, &[3, 9, 5], -1.0, 1.0).unwrap(),
            uniform(6, &[3, 4, 5], -1.0, 1.0).unwrap(),
        );
        for (matching, poison) in SEARCHED_OR_NOT
            .into_iter()
            .flat_map(|m| [f64::NAN, f64::INFINITY, 1e30].map(|poison| (m, poison)))
        {
            let config = Config {
                matching,
                levels: vec![0],
                ..Config::at(&Setting::embedded(Scale::Smoke))
            };
            let speech = [poisoned(&x, &frames, poison)];
            let text = [poisoned(&y, &labels, poison)];
            let together: Vec<f64> = consistency(&config, &speech, &text, None)
                .unwrap()
                .to_vec1()
                .unwrap();
            for b in 0..3 {
                let own = |x: &Tensor, n: usize| {
                    let rows = x.narrow(0, b, 1).unwrap().narrow(1, 0, n).unwrap();
                    [Padded::new(rows.contiguous().unwrap(), Lengths::new(vec![n])).unwrap()]
                };
                let alone = consistency(&config, &own(&x, frames[b]), &own(&y, labels[b]), None).unwrap();
                let alone: Vec<f64> = alone.to_vec1().unwrap();
                assert!(
                    (alone[0] - together[b]).abs() < 1e-12,
                    "{matching:?} {poison} {b}"
                );
            }
        }
    }

    #[test]
    fn gold_without_gold_times_is_refused() {
        let config = Config {
            matching: Matching::Gold,
            ..Config::at(&Setting::embedded(Scale::Smoke))
        };
        let levels: Vec<Padded> = (0..3).map(|level| embeddings(level, &[4])).collect();
        let error = consistency(&config, &levels, &levels, None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("without gold times"), "{error}");
    }
}
