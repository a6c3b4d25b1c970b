//! The training objective: (E1) + λ_match (E2) + λ_text (E3), and an auxiliary of our own: λ_ctc L_ctc.

use candle_core::Tensor;
use sandhi_align::{BestAlignment, FrameAverage, Moves, OptimalTransport, SoftAlignment, Upsampled};
use sandhi_core::{ArcScores, Consistency, Error, Labels, Ledger, Padded, Pair, Result, pairwise};
use sandhi_model::JointModel;
use sandhi_nn::Mode;
use sandhi_recipe::{Batch, Terms, standardized, warmed_up};
use sandhi_transducer::{Alignment, CtcScores, ExpectedCost, Normalize, SoftCost, transducer_loss};

use crate::config::{Config, Matching};
use crate::network::Network;

/// Enough for frames' shares that are right to a few percent at the temperatures here.
const SINKHORN_ITERATIONS: usize = 20;

/// The consistency loss of an arm, if it is one of speech, text and the transducer's arcs.
pub(crate) fn consistency(config: &Config) -> Option<Box<dyn Consistency + Send + Sync>> {
    let distance = config.metric.distance();
    Some(match config.matching {
        Matching::Off | Matching::Ctc => return None,
        // The text is at the rate of speech already, so its positions meet frames one to one.
        Matching::Upsampled => Box::new(Upsampled { distance, repeat: 1 }),
        Matching::BestAlignment => Box::new(BestAlignment {
            distance,
            moves: Moves::EveryLabel,
        }),
        Matching::Learned => Box::new(ExpectedCost {
            distance,
            alignment: Alignment::Learned,
        }),
        Matching::Held => Box::new(ExpectedCost {
            distance,
            alignment: Alignment::Held,
        }),
        Matching::Soft => Box::new(SoftCost {
            distance,
            alignment: Alignment::Learned,
        }),
        Matching::SoftDtw => Box::new(SoftAlignment {
            distance,
            moves: Moves::Warping,
            temperature: config.temperature,
        }),
        Matching::Transport => Box::new(OptimalTransport {
            distance,
            epsilon: config.temperature,
            iterations: SINKHORN_ITERATIONS,
        }),
        Matching::FrameAverage => Box::new(FrameAverage { distance }),
    })
}

/// The transducer lattice of a model's decoder.
pub(crate) fn lattice(model: &JointModel, shared: &Padded, labels: &Labels, mode: Mode) -> Result<ArcScores> {
    sandhi_recipe::lattice(model.decoder(), shared, labels, Normalize::Softmax, mode)
}

/// What the terms of the objective are counted over.
pub(crate) const TERMS: Terms = Terms {
    speech: &["rnnt/speech", "ctc", "consistency", "durations"],
    text: &["rnnt/text"],
};

/// L = L_rnnt(speech) + λ_ctc L_ctc(speech) + λ_match L_c(speech, text) / U + λ_text L_rnnt(text), and in the arms that learn
/// durations + λ_duration L_duration / U.
pub(crate) fn objective(
    config: &Config,
    matching: Option<&dyn Consistency>,
    network: &Network,
    batch: &Batch,
    mode: Mode,
    step: u64,
) -> Result<Ledger> {
    let (model, upsampler) = (&network.joint, &network.upsampler);
    let mut loss = Ledger::default();
    // Means over the whole step, so that its parts add up to it.
    let (paired, unpaired) = (batch.of_step.paired as f64, batch.of_step.text as f64);

    // (E1) Paired speech: the transducer lattice over (frame, label).
    let speech = model.encode_speech(&batch.features, mode)?; // [B, T, D]
    let levels = model.share_levels(&speech, config.model.shared_blocks, mode)?; // [B, T, D] each
    let shared = &levels[levels.len() - 1];
    let arcs = lattice(model, shared, &batch.transcript, mode)?;
    loss.add_counted("rnnt/speech", 1.0, transducer_loss(&arcs)?, paired)?;

    // DEPARTURE: CTC teaches the encoder alone, without a predictor that can learn few transcripts by heart.
    let ctc = match config.lambda_ctc > 0.0 {
        true => Some(CtcScores::new(&model.ctc_logits(shared)?, &batch.transcript)?),
        false => None,
    };
    if let Some(ctc) = &ctc {
        loss.add_counted("ctc", config.lambda_ctc, ctc.loss()?, paired)?;
    }

    // (E2) Paired text, matched under the alignments the lattice already holds, per label.
    if config.matching != Matching::Off {
        let text = upsampler.paired(model, &batch.transcript, &arcs, mode)?; // [B, U or T, D]
        let level = config.match_level;
        let texts = model.share_levels(&text.text, level, mode)?;
        let (speech, text_level) = match config.standardize {
            true => (standardized(&levels[level])?, standardized(&texts[level])?),
            false => (levels[level].clone(), texts[level].clone()),
        };
        let pair = Pair {
            speech: &speech,
            text: &text_level,
            arcs: &arcs,
        };
        let cost = match (matching, &ctc) {
            (Some(matching), _) => matching.loss(pair)?,
            (None, Some(ctc)) => {
                ctc.expected_cost(&pairwise(config.metric.distance(), pair.speech, pair.text)?)?
            }
            (None, None) => {
                return Err(Error::Invalid {
                    what: "matching",
                    why: "expected lambda_ctc above 0 for the alignments of CTC, got 0".into(),
                });
            }
        };
        let labels = labels_of(&batch.transcript, &cost)?;
        let cost = if config.per_label { (cost / &labels)? } else { cost };
        let ramp = warmed_up(step, config.trainer.steps, config.match_warmup);
        loss.add_counted("consistency", config.lambda_match * ramp, cost, paired)?;
        if let Some(nats) = text.duration_loss {
            loss.add_counted("durations", config.lambda_duration, (nats / labels)?, paired)?;
        }
    }

    // (E3) Unpaired text: the masked text takes the place of speech.
    if let Some(text) = &batch.text {
        let encoded = upsampler.unpaired(model, &text.labels, &text.shown, mode)?; // [B, U or T, D]
        let arcs = lattice(model, &model.share(&encoded, mode)?, &text.labels, mode)?;
        loss.add_counted("rnnt/text", config.lambda_text, transducer_loss(&arcs)?, unpaired)?;
    }
    Ok(loss)
}

/// The number of labels of each utterance, at least 1, in the dtype of `like`.
fn labels_of(labels: &Labels, like: &Tensor) -> Result<Tensor> {
    let counts = labels.lengths().as_slice().iter().map(|&n| n.max(1) as f64);
    Ok(Tensor::from_iter(counts, like.device())?.to_dtype(like.dtype())?)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use candle_core::{DType, Device};
    use sandhi_lab::{Experiment, Scale, Setting};
    use sandhi_nn::Params;
    use sandhi_recipe::{Counts, Sentences};
    use sandhi_train::Gradients;

    use super::*;
    use crate::experiment::Astra;

    const VOCABULARY: usize = 12;

    /// Five utterances and three sentences, or some of them.
    fn part_of(utterances: Range<usize>, sentences: Range<usize>) -> Batch {
        let wave = |row: usize| -> Vec<f32> {
            let frames = [60, 43, 51, 47, 66][row];
            (0..frames * 80)
                .map(|i| (i as f32 * 0.37 * (row + 1) as f32).sin())
                .collect()
        };
        let labels = |rows: &[&[u32]]| Labels::new(rows.iter().map(|r| r.to_vec()).collect(), 0).unwrap();
        let transcripts: [&[u32]; 5] = [&[5, 6, 7, 6], &[8, 9], &[10], &[7, 5, 9], &[11, 6, 8]];
        let texts: [&[u32]; 3] = [&[6, 10, 7], &[5], &[9, 9, 8, 6]];
        let masked: [&[u32]; 3] = [&[6, 4, 7], &[5], &[9, 4, 4, 6]];
        let name = |i: usize| i.to_string();
        Batch {
            features: Padded::from_rows(
                &utterances.clone().map(wave).collect::<Vec<_>>(),
                80,
                &Device::Cpu,
            )
            .unwrap(),
            transcript: labels(&transcripts[utterances.clone()]),
            shown: labels(&transcripts[utterances.clone()]),
            choices: vec![],
            text: (!sentences.is_empty()).then(|| Sentences {
                labels: labels(&texts[sentences.clone()]),
                shown: labels(&masked[sentences.clone()]),
            }),
            of_step: Counts { paired: 5, text: 3 },
            names: (utterances.map(name).collect(), sentences.map(name).collect()),
            seconds: 1.0,
        }
    }

    fn batch() -> Batch {
        Batch {
            of_step: Counts { paired: 2, text: 1 },
            ..part_of(0..2, 0..1)
        }
    }

    /// Every arm's objective with the parameters of its model, all from the same seed.
    fn arms() -> Vec<(&'static str, Config, Params, Network)> {
        let arms = Astra::arms(&Setting::embedded(Scale::Smoke)).unwrap();
        let make = |arm: sandhi_lab::Arm<Config>| {
            let params = Params::seeded(1, DType::F32, &Device::Cpu);
            let model = Network::new(&arm.config, VOCABULARY, 0, &params).unwrap();
            (arm.name, arm.config, params, model)
        };
        arms.into_iter().map(make).collect()
    }

    fn loss_of(config: &Config, model: &Network, mode: Mode) -> Ledger {
        let mut batch = batch();
        if config.text_batch == 0 {
            batch.text = None;
        }
        let matching = consistency(config);
        let matching = matching.as_deref().map(|m| m as &dyn Consistency);
        objective(config, matching, model, &batch, mode, config.trainer.steps).unwrap()
    }

    #[test]
    fn objective_reaches_every_parameter_in_every_arm() {
        for (name, config, params, model) in arms() {
            let loss = loss_of(&config, &model, Mode::Train { seed: 1, step: 1 });
            let grads = loss.total().unwrap().backward().unwrap();
            for (parameter, var) in params.vars() {
                let gradient = grads
                    .get(&var)
                    .unwrap_or_else(|| panic!("{name}: {parameter} has no gradient"));
                let size = gradient
                    .abs()
                    .unwrap()
                    .sum_all()
                    .unwrap()
                    .to_scalar::<f32>()
                    .unwrap();
                assert!(size.is_finite() && size > 0.0, "{name}: {parameter}: {size}");
            }
        }
    }

    /// Gradient accumulation: parts of unequal size and length give the gradient of the batch they are parts of.
    #[test]
    fn gradients_of_parts_add_up_to_that_of_the_whole_batch() {
        for (name, config, params, model) in arms() {
            let matching = consistency(&config);
            let matching = matching.as_deref().map(|m| m as &dyn Consistency);
            let gradients = |parts: &[(Range<usize>, Range<usize>)]| {
                let mut sum = Gradients::new(&params).unwrap();
                for (utterances, sentences) in parts.iter().cloned() {
                    let sentences = if config.text_batch == 0 { 0..0 } else { sentences };
                    let part = part_of(utterances, sentences);
                    let loss = objective(&config, matching, &model, &part, Mode::Eval, config.trainer.steps);
                    sum.add(&loss.unwrap().total().unwrap().backward().unwrap())
                        .unwrap();
                }
                sum
            };
            let whole = gradients(&[(0..5, 0..3)]);
            for parts in [
                vec![(0..2, 0..1), (2..5, 1..3)],
                vec![(0..1, 0..1), (1..2, 1..2), (2..5, 2..3)],
            ] {
                let sum = gradients(&parts);
                let squares = params.vars().into_iter().map(|(parameter, _)| {
                    let (a, b) = (whole.get(&parameter).unwrap(), sum.get(&parameter).unwrap());
                    a.iter()
                        .zip(b)
                        .map(|(a, b)| f64::from(a - b).powi(2))
                        .sum::<f64>()
                });
                let difference = squares.sum::<f64>().sqrt() / whole.norm();
                assert!(
                    difference < 1e-6,
                    "{name} in {} parts: {difference:e}",
                    parts.len()
                );
            }
        }
    }

    /// min D ≤ −ln E exp(−D) ≤ E D, three losses on the same weights and batch.
    #[test]
    fn consistency_losses_of_the_arms_keep_their_order() {
        let value = |arm: &str| {
            let (_, config, _, model) = arms().into_iter().find(|(name, ..)| *name == arm).unwrap();
            let values = loss_of(&config, &model, Mode::Eval).values().unwrap();
            values
                .into_iter()
                .find(|(name, _)| *name == "consistency")
                .unwrap()
                .1
        };
        let (best, soft, expected) = (value("best-alignment"), value("astra-soft"), value("astra"));
        assert!(
            best > 0.0 && best <= soft && soft <= expected,
            "{best} {soft} {expected}"
        );
        assert!((value("astra-held") - expected).abs() < 1e-6);
    }

    #[test]
    fn arms_survive_their_configuration_files() {
        for (name, config, ..) in arms() {
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{name}");
        }
    }
}
