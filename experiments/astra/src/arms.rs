//! The arms: what each one asks, and in what it differs from the method itself.

use sandhi_audio::SpecAugmentConfig;
use sandhi_lab::{Arm, Scale, Setting};

use sandhi_recipe::Paired;

use crate::config::{Config, Matching, Metric, Pretraining, Upsampling};

/// All arms at a setting: the main table, then the rows of the ablations.
pub(crate) fn arms(setting: &Setting) -> Vec<Arm<Config>> {
    let base = Base(Config::at(setting));
    let mut arms = base.main();
    arms.extend(base.durations());
    arms.extend(base.matching());
    arms.extend(base.training(setting.scale));
    arms.extend(base.weights());
    arms.extend(base.amounts(setting));
    arms
}

/// The full method; the other arms are struct updates of it.
struct Base(Config);

fn arm(name: &'static str, why: &'static str, config: Config) -> Arm<Config> {
    let default = false;
    Arm {
        name,
        why,
        default,
        config,
    }
}

impl Base {
    fn astra(&self) -> Config {
        self.0.clone()
    }

    fn matched(&self, matching: Matching) -> Config {
        Config {
            matching,
            ..self.astra()
        }
    }

    fn upsampled(&self, upsampling: Upsampling) -> Config {
        Config {
            upsampling,
            ..self.matched(Matching::Upsampled)
        }
    }

    /// Text injection without consistency.
    fn text(&self) -> Config {
        Config {
            lambda_match: 0.0,
            ..self.matched(Matching::Off)
        }
    }

    /// Paired speech only.
    fn rnnt(&self) -> Config {
        Config {
            text_batch: 0,
            lambda_text: 0.0,
            ..self.text()
        }
    }

    fn main(&self) -> Vec<Arm<Config>> {
        let mut arms = vec![
            arm(
                "rnnt",
                "paired speech only: what is there without text?",
                self.rnnt(),
            ),
            arm(
                "text",
                "text injection without consistency: does unpaired text help by itself?",
                self.text(),
            ),
            arm(
                "upsampled",
                "consistency against text repeated a fixed number of times, the JOIST baseline",
                self.upsampled(Upsampling::Fixed),
            ),
            arm(
                "astra",
                "expected cost under the transducer's own alignments",
                self.astra(),
            ),
        ];
        arms.iter_mut().for_each(|arm| arm.default = true);
        arms
    }

    /// The duration-based methods that ASTRA claims to match.
    fn durations(&self) -> Vec<Arm<Config>> {
        vec![
            arm(
                "random-repeat",
                "text repeated a random number of times (JOIST)",
                self.upsampled(Upsampling::Random),
            ),
            arm(
                "gaussian",
                "durations from a Gaussian for each label, fitted to the transducer's best alignments",
                self.upsampled(Upsampling::Gaussian),
            ),
            arm(
                "maestro",
                "learned durations, resampled and refined text, squared error (MAESTRO)",
                Config {
                    metric: Metric::Mse,
                    ..self.upsampled(Upsampling::Learned)
                },
            ),
            arm(
                "maestro-mae",
                "the same with the absolute error that ASTRA prefers",
                self.upsampled(Upsampling::Learned),
            ),
        ]
    }

    /// Along which alignment, by which distance, at which level.
    fn matching(&self) -> Vec<Arm<Config>> {
        let metric = |metric| Config {
            metric,
            ..self.astra()
        };
        let standardized = |config: Config| Config {
            standardize: true,
            ..config
        };
        let level = |match_level| Config {
            match_level,
            ..self.astra()
        };
        vec![
            arm(
                "best-alignment",
                "consistency along the cheapest alignment (Peyser et al.)",
                self.matched(Matching::BestAlignment),
            ),
            arm(
                "astra-held",
                "unknown in the paper: does gradient reach the alignment? here it does not",
                self.matched(Matching::Held),
            ),
            arm(
                "astra-soft",
                "unknown in the paper: which quantity is bounded? here -ln E exp(-D)",
                self.matched(Matching::Soft),
            ),
            arm(
                "astra-ctc",
                "alignments learned within CTC in place of the transducer's",
                self.matched(Matching::Ctc),
            ),
            arm(
                "soft-dtw",
                "does an alignment that knows no transducer do as well? soft dynamic time warping",
                self.matched(Matching::SoftDtw),
            ),
            arm(
                "transport",
                "does order matter at all? optimal transport knows none",
                self.matched(Matching::Transport),
            ),
            arm(
                "frame-average",
                "does alignment matter at all? averages over time have none",
                self.matched(Matching::FrameAverage),
            ),
            arm(
                "astra-mse",
                "the paper tried MAE and MSE and kept MAE",
                metric(Metric::Mse),
            ),
            arm(
                "astra-huber",
                "a distance between MAE and MSE",
                metric(Metric::Huber),
            ),
            arm(
                "astra-cosine",
                "a distance that does not see lengths",
                metric(Metric::Cosine),
            ),
            arm(
                "astra-standardized",
                "embeddings with mean 0 and variance 1: is the loss lowered by making them alike, or small?",
                standardized(self.astra()),
            ),
            arm(
                "upsampled-standardized",
                "the same for text repeated a fixed number of times",
                standardized(self.upsampled(Upsampling::Fixed)),
            ),
            arm(
                "astra-shared-1",
                "consistency after the first shared block",
                level(1),
            ),
            arm(
                "astra-shared",
                "the paper found the loss better before the shared encoder; here it is after",
                level(self.0.model.shared_blocks),
            ),
        ]
    }

    /// What surrounds the consistency loss.
    fn training(&self, scale: Scale) -> Vec<Arm<Config>> {
        let pretrained = |config: Config| Config {
            pretraining: Some(Pretraining::at(scale)),
            ..config
        };
        let plain = |config: Config| Config {
            augment: SpecAugmentConfig {
                time_masks: 0,
                freq_masks: 0,
                ..config.augment
            },
            ..config
        };
        vec![
            arm(
                "rnnt-pretrained",
                "paired speech only, after BEST-RQ on all speech",
                pretrained(self.rnnt()),
            ),
            arm(
                "astra-pretrained",
                "the paper pre-trains with BEST-RQ; here on all speech of the training set",
                pretrained(self.astra()),
            ),
            arm(
                "rnnt-no-augment",
                "paired speech only, without SpecAugment",
                plain(self.rnnt()),
            ),
            arm(
                "astra-no-augment",
                "the paper found SpecAugment to help; here it is off",
                plain(self.astra()),
            ),
            arm(
                "astra-per-utterance",
                "unknown in the paper: is the loss divided by the number of labels? here it is not, at about the same weight",
                Config {
                    per_label: false,
                    // A mean of some forty labels.
                    lambda_match: self.0.lambda_match / 40.0,
                    ..self.astra()
                },
            ),
        ]
    }

    /// Weights and warm-up: to be chosen on dev.
    fn weights(&self) -> Vec<Arm<Config>> {
        let matched = |lambda_match| Config {
            lambda_match,
            ..self.astra()
        };
        let warmup = |match_warmup| Config {
            match_warmup,
            ..self.astra()
        };
        let text = |lambda_text| Config {
            lambda_text,
            ..self.astra()
        };
        vec![
            arm(
                "astra-match-0.3",
                "a tenth of the weight of consistency",
                matched(0.3),
            ),
            arm(
                "astra-match-1",
                "a third of the weight of consistency",
                matched(1.0),
            ),
            arm(
                "astra-match-10",
                "three times the weight of consistency",
                matched(10.0),
            ),
            arm(
                "astra-warmup-0",
                "consistency at full weight from the first step",
                warmup(0.0),
            ),
            arm(
                "astra-warmup-0.5",
                "consistency at full weight from half of the training",
                warmup(0.5),
            ),
            arm(
                "astra-text-0.3",
                "a third of the weight of the text-only loss",
                text(0.3),
            ),
            arm(
                "astra-text-3",
                "three times the weight of the text-only loss",
                text(3.0),
            ),
        ]
    }

    /// How much paired speech, how much text. Only a corpus with a grammar has as much text as one wants.
    fn amounts(&self, setting: &Setting) -> Vec<Arm<Config>> {
        let full = Config {
            paired: Paired::All,
            ..self.rnnt()
        };
        let mut arms = vec![arm(
            "rnnt-full",
            "all of the training speech paired: what could text make up for at most?",
            full,
        )];
        if setting.corpus != "mini" {
            return arms;
        }
        /// Sentences of the low-resource subset.
        const PAIRED: usize = 484;
        let text = |times: usize| Config {
            unpaired_sentences: times * PAIRED,
            ..self.astra()
        };
        let minutes = |config: Config, minutes| Config {
            paired: Paired::All,
            paired_minutes: Some(minutes),
            ..config
        };
        arms.extend([
            arm("astra-text-1x", "as many unpaired as paired sentences", text(1)),
            arm("astra-text-4x", "four times as many unpaired sentences", text(4)),
            arm(
                "astra-text-16x",
                "sixteen times as many unpaired sentences",
                text(16),
            ),
            arm(
                "astra-text-64x",
                "more text than the training has time to read",
                text(64),
            ),
            arm(
                "rnnt-5min",
                "five minutes of paired speech, no text",
                minutes(self.rnnt(), 5.0),
            ),
            arm(
                "astra-5min",
                "five minutes of paired speech",
                minutes(self.astra(), 5.0),
            ),
            arm(
                "rnnt-10min",
                "ten minutes of paired speech, no text",
                minutes(self.rnnt(), 10.0),
            ),
            arm(
                "astra-10min",
                "ten minutes of paired speech",
                minutes(self.astra(), 10.0),
            ),
            arm(
                "rnnt-20min",
                "twenty minutes of paired speech, no text",
                minutes(self.rnnt(), 20.0),
            ),
            arm(
                "astra-20min",
                "twenty minutes of paired speech",
                minutes(self.astra(), 20.0),
            ),
            arm(
                "rnnt-40min",
                "forty minutes of paired speech, no text",
                minutes(self.rnnt(), 40.0),
            ),
            arm(
                "astra-40min",
                "forty minutes of paired speech",
                minutes(self.astra(), 40.0),
            ),
        ]);
        arms
    }
}
