//! The training objective.

use sandhi_core::{ArcScores, Labels, Ledger, Padded, Result};
use sandhi_model::{CascadeModel, Decoder};
use sandhi_nn::Mode;
use sandhi_recipe::{Batch, Terms, warmed_up};
use sandhi_text::repeat;
use sandhi_transducer::{CtcScores, transducer_loss};

use crate::config::{Config, NORMALIZE};
use crate::matching::{Cells, consistency};

/// What the terms of the objective are counted over.
pub(crate) const TERMS: Terms = Terms {
    speech: &[
        "streaming/speech",
        "full/speech",
        "ctc",
        "streaming/transcript",
        "full/transcript",
        "consistency",
    ],
    text: &["streaming/text", "full/text"],
};

/// The lattice of a decoder.
pub(crate) fn lattice(decoder: &Decoder, encoded: &Padded, labels: &Labels, mode: Mode) -> Result<ArcScores> {
    sandhi_recipe::lattice(decoder, encoded, labels, NORMALIZE, mode)
}

/// What the text encoder is shown, at the rate the arm wants.
pub(crate) fn shown(config: &Config, labels: &Labels) -> Result<Labels> {
    let rows = labels.rows().iter().map(|row| repeat(row, config.repeat));
    Labels::new(rows.collect(), labels.blank())
}

/// L = L_hat(speech) + λ_ctc L_ctc(speech) + λ_transcript L_hat(text of the transcripts) + λ_text L_hat(unpaired text)
/// + λ_match L_consistency(speech, text of the transcripts),
///
/// where L_hat is the mean of the two decoders' losses, weighted by `streaming_share`. All text is masked before it is encoded; the
/// decoders write it whole.
pub(crate) fn objective(
    config: &Config,
    model: &CascadeModel,
    batch: &Batch,
    gold: Option<&Cells>,
    mode: Mode,
    step: u64,
) -> Result<Ledger> {
    let mut loss = Ledger::default();
    // Means over the whole step, so that its parts add up to it.
    let (paired, unpaired) = (batch.of_step.paired as f64, batch.of_step.text as f64);
    let speech = model.encode_speech(&batch.features, mode)?; // [B, T, D]
    let speech = model.levels(&speech, config.last_level(), mode)?; // [B, T, D] each
    let said = Side {
        names: ["streaming/speech", "full/speech"],
        weight: 1.0,
        levels: &speech,
        labels: &batch.transcript,
        count: paired,
    };
    said.transduce(config, model, &mut loss, mode)?;

    // DEPARTURE: CTC teaches the encoders alone, without a predictor that can learn few transcripts by heart.
    if config.lambda_ctc > 0.0 {
        let logits = model.ctc_logits(&speech[config.last_level()])?;
        let nats = CtcScores::new(&logits, &batch.transcript)?.loss()?;
        loss.add_counted("ctc", config.lambda_ctc, nats, paired)?;
    }

    let encode = |labels: &Labels| -> Result<Vec<Padded>> {
        let text = model.encode_text(&shown(config, labels)?, mode)?; // [B, U, D]
        model.levels(&text, config.last_level(), mode)
    };
    if config.reads_transcripts() {
        let text = encode(&batch.shown)?;
        if config.lambda_transcript > 0.0 {
            let read = Side {
                names: ["streaming/transcript", "full/transcript"],
                weight: config.lambda_transcript,
                levels: &text,
                labels: &batch.transcript,
                count: paired,
            };
            read.transduce(config, model, &mut loss, mode)?;
        }
        if config.lambda_match > 0.0 {
            let cost = consistency(config, &speech, &text, gold)?;
            let ramp = warmed_up(step, config.trainer.steps, config.match_warmup);
            loss.add_counted("consistency", config.lambda_match * ramp, cost, paired)?;
        }
    }
    if let Some(sentences) = &batch.text {
        let read = Side {
            names: ["streaming/text", "full/text"],
            weight: config.lambda_text,
            levels: &encode(&sentences.shown)?,
            labels: &sentences.labels,
            count: unpaired,
        };
        read.transduce(config, model, &mut loss, mode)?;
    }
    Ok(loss)
}

/// Embeddings at every level, speech or text, and what both decoders are to write from them.
struct Side<'a> {
    /// Of the streaming and of the full-context decoder's loss.
    names: [&'static str; 2],
    weight: f64,
    levels: &'a [Padded],
    labels: &'a Labels,
    /// Of the whole step.
    count: f64,
}

impl Side<'_> {
    fn transduce(&self, config: &Config, model: &CascadeModel, loss: &mut Ledger, mode: Mode) -> Result<()> {
        let share = config.streaming_share;
        let decoders = [
            (model.streaming_decoder(), model.streaming_level(), share),
            (model.full_decoder(), config.last_level(), 1.0 - share),
        ];
        for (name, (decoder, level, share)) in self.names.into_iter().zip(decoders) {
            let arcs = lattice(decoder, &self.levels[level], self.labels, mode)?;
            loss.add_counted(name, self.weight * share, transducer_loss(&arcs)?, self.count)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use candle_core::{DType, Device};
    use sandhi_lab::{Arm, Experiment, Scale, Setting};
    use sandhi_nn::Params;
    use sandhi_recipe::{Counts, Sentences};
    use sandhi_train::Gradients;

    use super::*;
    use crate::config::Matching;
    use crate::experiment::BestAlignment;

    const LETTERS: usize = 12;
    const PHONES: usize = 9;

    /// Five utterances and three sentences, or some of them.
    fn part_of(utterances: Range<usize>, sentences: Range<usize>) -> (Batch, Cells) {
        let wave = |row: usize| -> Vec<f32> {
            let frames = [60, 43, 51, 47, 66][row];
            (0..frames * 80)
                .map(|i| (i as f32 * 0.37 * (row + 1) as f32).sin())
                .collect()
        };
        let labels = |rows: &[&[u32]]| Labels::new(rows.iter().map(|r| r.to_vec()).collect(), 0).unwrap();
        let transcripts: [&[u32]; 5] = [&[5, 6, 7, 6], &[8, 9], &[10], &[7, 5, 9], &[11, 6, 8]];
        let shown: [&[u32]; 5] = [&[5, 4, 7], &[8, 8], &[6, 5], &[7, 4, 4], &[1, 6]];
        let texts: [&[u32]; 3] = [&[6, 10, 7], &[5], &[9, 9, 8, 6]];
        let masked: [&[u32]; 3] = [&[6, 4], &[5], &[8, 4, 4]];
        let name = |i: usize| i.to_string();
        let waves: Vec<Vec<f32>> = utterances.clone().map(wave).collect();
        let some = shown[utterances.clone()].iter();
        let gold = some.map(|row| (0..row.len()).map(|u| (2 * u + 1, u)).collect());
        let gold = gold.collect();
        let batch = Batch {
            features: Padded::from_rows(&waves, 80, &Device::Cpu).unwrap(),
            transcript: labels(&transcripts[utterances.clone()]),
            shown: labels(&shown[utterances.clone()]),
            choices: vec![],
            text: (!sentences.is_empty()).then(|| Sentences {
                labels: labels(&texts[sentences.clone()]),
                shown: labels(&masked[sentences.clone()]),
            }),
            of_step: Counts { paired: 5, text: 3 },
            names: (utterances.map(name).collect(), sentences.map(name).collect()),
            seconds: 1.0,
        };
        (batch, gold)
    }

    /// Every arm's model, all from the same seed.
    fn arms() -> Vec<(&'static str, Config, Params, CascadeModel)> {
        let make = |arm: Arm<Config>| {
            let (config, params) = (arm.config, Params::seeded(1, DType::F32, &Device::Cpu));
            let mut model = CascadeModel::new(&config.model, LETTERS, 0, &params).unwrap();
            if config.uses_text() {
                model = model.with_text(&config.model, PHONES, &params).unwrap();
            }
            model = model.with_ctc(&config.model, &params).unwrap();
            (arm.name, config, params, model)
        };
        let arms = BestAlignment::arms(&Setting::embedded(Scale::Smoke)).unwrap();
        arms.into_iter().map(make).collect()
    }

    fn loss_of(
        config: &Config,
        model: &CascadeModel,
        (utterances, sentences): (Range<usize>, Range<usize>),
        mode: Mode,
    ) -> Ledger {
        let sentences = if config.text_batch == 0 { 0..0 } else { sentences };
        let (batch, gold) = part_of(utterances, sentences);
        let gold = (config.matching == Matching::Gold).then_some(gold);
        objective(config, model, &batch, gold.as_ref(), mode, config.trainer.steps).unwrap()
    }

    #[test]
    fn objective_reaches_every_parameter_in_every_arm() {
        for (name, config, params, model) in arms() {
            let loss = loss_of(&config, &model, (0..2, 0..1), Mode::Train { seed: 1, step: 1 });
            let grads = loss.total().unwrap().backward().unwrap();
            for (parameter, var) in params.vars() {
                let gradient = grads
                    .get(&var)
                    .unwrap_or_else(|| panic!("{name}: {parameter} has no gradient"));
                let size = gradient.abs().unwrap().sum_all().unwrap();
                let size = size.to_scalar::<f32>().unwrap();
                assert!(size.is_finite() && size > 0.0, "{name}: {parameter}: {size}");
            }
        }
    }

    /// Gradient accumulation: parts of unequal size and length give the gradient of the batch they are parts of.
    #[test]
    fn gradients_of_parts_add_up_to_that_of_the_whole_batch() {
        for (name, config, params, model) in arms() {
            let gradients = |parts: &[(Range<usize>, Range<usize>)]| {
                let mut sum = Gradients::new(&params).unwrap();
                for part in parts.iter().cloned() {
                    let loss = loss_of(&config, &model, part, Mode::Eval);
                    sum.add(&loss.total().unwrap().backward().unwrap()).unwrap();
                }
                sum
            };
            let (whole, sum) = (
                gradients(&[(0..5, 0..3)]),
                gradients(&[(0..2, 0..1), (2..5, 1..3)]),
            );
            let squares = params.vars().into_iter().map(|(parameter, _)| {
                let (a, b) = (whole.get(&parameter).unwrap(), sum.get(&parameter).unwrap());
                let each = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
                each.sum::<f64>()
            });
            let difference = squares.sum::<f64>().sqrt() / whole.norm();
            assert!(difference < 2e-6, "{name}: {difference:e}");
        }
    }

    /// On the same weights and batch: what is searched for is never dearer than what is not, and a wider search never dearer.
    #[test]
    fn consistency_losses_of_the_arms_keep_their_order() {
        let value = |arm: &str| {
            let (_, config, _, model) = arms().into_iter().find(|(name, ..)| *name == arm).unwrap();
            let values = loss_of(&config, &model, (0..5, 0..3), Mode::Eval)
                .values()
                .unwrap();
            values
                .into_iter()
                .find(|(name, _)| *name == "consistency")
                .unwrap()
                .1
        };
        let (best, strict) = (value("best"), value("best-strict"));
        let (frames, forced) = (value("best-every-frame"), value("best-forced"));
        assert!(0.0 < best && best <= strict, "{best} {strict}");
        assert!(best <= value("random") && best <= value("gold"), "{best}");
        assert!(
            frames <= forced && forced <= value("framewise"),
            "{frames} {forced}"
        );
        // Squares of what is below one.
        assert!(value("best-squared") > 0.0);
    }

    #[test]
    fn arms_survive_their_configuration_files() {
        for (name, config, ..) in arms() {
            config.check().unwrap();
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{name}");
        }
    }

    #[test]
    fn configurations_that_cannot_be_honoured_are_refused() {
        let config = Config::at(&Setting::embedded(Scale::Smoke));
        let refused = |config: Config, what: &str| {
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(what), "{error}");
        };
        refused(
            Config {
                levels: vec![0, 3],
                ..config.clone()
            },
            "levels",
        );
        refused(
            Config {
                levels: vec![],
                ..config.clone()
            },
            "levels",
        );
        refused(
            Config {
                repeat: 0,
                ..config.clone()
            },
            "repeat",
        );
        refused(
            Config {
                repeat: 2,
                ..config.clone()
            },
            "repeat",
        );
        refused(
            Config {
                streaming_share: 1.5,
                ..config
            },
            "streaming_share",
        );
    }
}
