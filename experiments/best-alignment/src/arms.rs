//! The arms: what each one asks, and in what it differs from the method itself.

use sandhi_audio::SpecAugmentConfig;
use sandhi_lab::{Arm, Setting};
use sandhi_nn::AttentionContext;
use sandhi_recipe::{TextInput, Unseen};
use sandhi_text::MaskConfig;

use crate::config::{Config, Matching, Metric};

/// All arms at a setting: the main table, then the rows of the ablations.
pub(crate) fn arms(setting: &Setting) -> Vec<Arm<Config>> {
    let base = Base(Config::at(setting));
    let mut arms = base.main();
    if setting.corpus != "mini-multilingual" {
        arms.extend(base.paired_only());
    }
    arms.extend(base.alignments(setting));
    arms.extend(base.distances());
    arms.extend(base.levels());
    arms.extend(base.parts());
    arms.extend(base.weights());
    arms.extend(base.unseen(setting));
    arms.extend(base.self_training(setting));
    arms
}

/// λ_match from which dev chooses; the arm of the one it chose is the method itself.
const MATCH_WEIGHTS: [(f64, &str, &str); 5] = [
    (0.1, "best-match-0.1", "hardly any weight on consistency"),
    (0.3, "best-match-0.3", "a third of what the transducers weigh"),
    (1.0, "best-match-1", "as much as the transducers weigh"),
    (3.0, "best-match-3", "three times as much"),
    (10.0, "best-match-10", "ten times as much"),
];

/// The full method; the other arms are struct updates of it.
struct Base(Config);

fn arm(name: &'static str, why: &'static str, config: Config) -> Arm<Config> {
    Arm {
        name,
        why,
        default: false,
        config,
    }
}

impl Base {
    fn best(&self) -> Config {
        self.0.clone()
    }

    fn matched(&self, matching: Matching) -> Config {
        Config {
            matching,
            ..self.best()
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
    fn speech(&self) -> Config {
        Config {
            text_batch: 0,
            lambda_text: 0.0,
            lambda_transcript: 0.0,
            ..self.text()
        }
    }

    fn main(&self) -> Vec<Arm<Config>> {
        let upsampled = Config {
            repeat: 2,
            ..self.text()
        };
        let mut arms = vec![
            arm(
                "speech",
                "paired speech only: what is there without text?",
                self.speech(),
            ),
            arm(
                "text",
                "text injection without consistency: the baseline of the paper",
                self.text(),
            ),
            arm(
                "upsampled",
                "text at the rate of speech, without consistency (JOIST): is upsampling what text wants?",
                upsampled,
            ),
            arm(
                "best",
                "consistency along the best alignment at every shared level: the method",
                self.best(),
            ),
        ];
        arms.iter_mut().for_each(|arm| arm.default = true);
        arms
    }

    fn alignments(&self, setting: &Setting) -> Vec<Arm<Config>> {
        let mut arms = vec![
            arm(
                "framewise",
                "labels stretched evenly over the speech: does the search matter?",
                self.matched(Matching::Framewise),
            ),
            arm(
                "random",
                "a random alignment: does any alignment do?",
                self.matched(Matching::Random),
            ),
            arm(
                "best-strict",
                "reading A, one label a frame at most",
                self.matched(Matching::EveryLabelStrict),
            ),
            arm(
                "best-every-frame",
                "reading B: every frame has a label, labels may be skipped",
                self.matched(Matching::EveryFrame),
            ),
            arm(
                "best-forced",
                "reading C: every frame has a label and no label is skipped",
                self.matched(Matching::Forced),
            ),
        ];
        if setting.corpus == "mini" {
            arms.push(arm(
                "gold",
                "where the labels were spoken, which nobody knows outside of synthetic speech: the upper reference",
                self.matched(Matching::Gold),
            ));
        }
        arms
    }

    fn distances(&self) -> Vec<Arm<Config>> {
        let by = |metric| Config {
            metric,
            ..self.best()
        };
        let standardized = Config {
            standardize: true,
            ..self.best()
        };
        vec![
            arm(
                "best-squared",
                "is it the squared distance?",
                by(Metric::SquaredL2),
            ),
            arm(
                "best-mae",
                "the mean absolute error, as ASTRA has it",
                by(Metric::Mae),
            ),
            arm(
                "best-cosine",
                "one minus the cosine: directions alone",
                by(Metric::Cosine),
            ),
            arm(
                "best-standardized",
                "embeddings of mean 0 and variance 1, so that nothing is won by making all of them small",
                standardized,
            ),
        ]
    }

    fn levels(&self) -> Vec<Arm<Config>> {
        let (streaming, last) = (self.0.model.streaming_blocks, self.0.last_level());
        let at = |levels| Config {
            levels,
            ..self.best()
        };
        vec![
            arm(
                "best-encoders",
                "only at the outputs of the two encoders, before anything is shared",
                at(vec![0]),
            ),
            arm(
                "best-streaming",
                "only at the levels of the streaming encoder",
                at((1..=streaming).collect()),
            ),
            arm(
                "best-full",
                "only at the levels of the full-context encoder",
                at((streaming + 1..=last).collect()),
            ),
            arm("best-last", "only at the last level", at(vec![last])),
        ]
    }

    fn parts(&self) -> Vec<Arm<Config>> {
        let full_context = |mut config: Config| {
            config.model.block.context = AttentionContext::Full;
            config
        };
        let plain = |config| Config {
            augment: SpecAugmentConfig {
                time_masks: 0,
                freq_masks: 0,
                ..self.0.augment.clone()
            },
            ..config
        };
        let letters = |config| Config {
            input: TextInput::Labels,
            ..config
        };
        let masked = |rate| Config {
            mask: MaskConfig { rate, ..self.0.mask },
            ..self.best()
        };
        vec![
            arm(
                "text-full-context",
                "every encoder sees the whole utterance: what does streaming cost?",
                full_context(self.text()),
            ),
            arm(
                "best-full-context",
                "and with consistency",
                full_context(self.best()),
            ),
            arm(
                "text-letters",
                "text goes in as letters, not as phones",
                letters(self.text()),
            ),
            arm("best-letters", "and with consistency", letters(self.best())),
            arm("text-no-augment", "without SpecAugment", plain(self.text())),
            arm(
                "best-no-augment",
                "without SpecAugment, with consistency: do the two do the same?",
                plain(self.best()),
            ),
            arm("best-mask-0", "text is shown whole", masked(0.0)),
            arm("best-mask-5", "5 % of the text is masked", masked(0.05)),
            arm("best-mask-30", "30 % of the text is masked", masked(0.3)),
        ]
    }

    /// What the multilingual setting has anyway.
    fn paired_only(&self) -> Vec<Arm<Config>> {
        let paired_only = |config| Config {
            text_batch: 0,
            lambda_text: 0.0,
            ..config
        };
        vec![
            arm(
                "text-paired",
                "no unpaired text: transcripts alone are read and spoken",
                paired_only(self.text()),
            ),
            arm(
                "best-paired",
                "the same with consistency, as in the paper's multilingual setting",
                paired_only(self.best()),
            ),
        ]
    }

    fn weights(&self) -> Vec<Arm<Config>> {
        let others = MATCH_WEIGHTS
            .iter()
            .filter(|&&(lambda_match, ..)| lambda_match != self.0.lambda_match);
        let mut arms: Vec<_> = others
            .map(|&(lambda_match, name, why)| {
                arm(
                    name,
                    why,
                    Config {
                        lambda_match,
                        ..self.best()
                    },
                )
            })
            .collect();
        let transcripts = |lambda_transcript| Config {
            lambda_transcript,
            ..self.best()
        };
        arms.extend([
            arm(
                "best-transcript-0",
                "transcripts are only compared, not written from their text",
                transcripts(0.0),
            ),
            arm(
                "best-transcript-1",
                "transcripts weigh as much as unpaired sentences",
                transcripts(1.0),
            ),
        ]);
        arms
    }

    /// What neither paired speech nor dev has.
    fn unseen(&self, setting: &Setting) -> Vec<Arm<Config>> {
        let without = |unseen, config| Config { unseen, ..config };
        match setting.corpus.as_str() {
            "mini" => {
                let food = |config| without(Unseen::Food, config);
                vec![
                    arm(
                        "speech-unseen",
                        "nobody speaks of food in training, and there is no text",
                        food(self.speech()),
                    ),
                    arm(
                        "text-unseen",
                        "nobody speaks of food in training, but text does",
                        food(self.text()),
                    ),
                    arm(
                        "best-unseen",
                        "the same with consistency: does it carry over?",
                        food(self.best()),
                    ),
                ]
            }
            "mini-multilingual" => {
                let french = |config| without(Unseen::French, config);
                vec![
                    arm(
                        "text-unseen",
                        "no French in training: what is heard of it?",
                        french(self.text()),
                    ),
                    arm(
                        "best-unseen",
                        "the same with consistency: does it carry over?",
                        french(self.best()),
                    ),
                ]
            }
            _ => vec![],
        }
    }

    /// Where there is training speech that is not paired.
    fn self_training(&self, setting: &Setting) -> Vec<Arm<Config>> {
        let taught = |config| Config {
            self_training: true,
            ..config
        };
        match setting.corpus.as_str() {
            "mini-multilingual" => vec![],
            _ => vec![
                arm(
                    "text-self-trained",
                    "speech without transcripts, as the same arm hears it: does consistency still add to that?",
                    taught(self.text()),
                ),
                arm(
                    "best-self-trained",
                    "and with consistency, teacher and student",
                    taught(self.best()),
                ),
            ],
        }
    }
}
