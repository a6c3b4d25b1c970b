//! What a training run is told.

use serde::{Deserialize, Serialize};

use crate::{AdamWConfig, Error, Result, Schedule};

/// The constants of a training run. All counts are in optimizer steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerConfig {
    /// How many steps to take.
    pub steps: u64,
    /// In how many parts each step is computed; their gradients are added up.
    pub accumulate: usize,
    /// The largest global norm of the gradients of a step; without it they are taken as they are.
    pub clip_norm: Option<f64>,
    /// Decay of the moving average of the weights; without it there is no average.
    pub ema_decay: Option<f64>,
    /// A line of metrics after so many steps.
    pub log_every: u64,
    /// A checkpoint after so many steps; there is always one at the end and at an interruption.
    pub checkpoint_every: u64,
    /// How many checkpoints are kept.
    pub keep: usize,
    /// A validation after so many steps and after the last; 0 for none at all.
    pub validate_every: u64,
    /// Stop after so many validations in a row without improvement; 0 to go on.
    pub patience: u64,
    /// How many steps in a row may be skipped because a loss or gradient was not finite.
    pub non_finite_patience: u64,
    /// Keep the weights in training of the last so many and of the best so many validations, and leave the mean of
    /// either at the end; 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub snapshots: usize,
    /// The learning rate.
    pub schedule: Schedule,
    /// The optimizer.
    pub adam: AdamWConfig,
}

impl TrainerConfig {
    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first field that no run can honour.
    pub fn check(&self) -> Result<()> {
        let at_least_one = [
            ("steps", self.steps),
            ("accumulate", self.accumulate as u64),
            ("log_every", self.log_every),
            ("checkpoint_every", self.checkpoint_every),
            ("keep", self.keep as u64),
        ];
        if let Some((field, _)) = at_least_one.iter().find(|(_, value)| *value == 0) {
            return Err(Error::Config {
                field,
                why: "expected 1 or more, got 0".to_owned(),
            });
        }
        if let Some(norm) = self.clip_norm
            && !(norm > 0.0 && norm.is_finite())
        {
            return Err(Error::Config {
                field: "clip_norm",
                why: format!("expected a positive norm, got {norm}"),
            });
        }
        if self.patience > 0 && self.validate_every == 0 {
            let why = format!("expected 0 without validation, got {}", self.patience);
            return Err(Error::Config {
                field: "patience",
                why,
            });
        }
        if self.snapshots > 0 && self.validate_every == 0 {
            let why = format!("expected 0 without validation, got {}", self.snapshots);
            return Err(Error::Config {
                field: "snapshots",
                why,
            });
        }
        self.schedule.check()?;
        self.adam.check()
    }
}

/// Configurations from before the field was there keep their text, and with it their hash.
#[allow(clippy::trivially_copy_pass_by_ref)] // The signature that serde asks for.
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "steps = 10\naccumulate = 1\nclip_norm = 5.0\nlog_every = 1\ncheckpoint_every = 5\nkeep = 2\n\
        validate_every = 5\npatience = 0\nnon_finite_patience = 3\nschedule = { kind = \"constant\", lr = 0.1 }\n\
        adam = { beta1 = 0.9, beta2 = 0.98, eps = 1e-9, weight_decay = 0.0 }\n";

    #[test]
    fn config_round_trips_and_rejects_unknown_keys() {
        let config: TrainerConfig = toml::from_str(TEXT).unwrap();
        assert_eq!(config.ema_decay, None);
        assert_eq!(
            toml::from_str::<TrainerConfig>(&toml::to_string(&config).unwrap()).unwrap(),
            config
        );
        let error =
            toml::from_str::<TrainerConfig>(&TEXT.replace("patience = 0", "patiance = 0")).unwrap_err();
        assert!(error.to_string().contains("patiance"), "{error}");
    }

    #[test]
    fn config_check_names_the_field() {
        let good: TrainerConfig = toml::from_str(TEXT).unwrap();
        good.check().unwrap();
        let broken = [
            (
                "steps",
                TrainerConfig {
                    steps: 0,
                    ..good.clone()
                },
            ),
            (
                "keep",
                TrainerConfig {
                    keep: 0,
                    ..good.clone()
                },
            ),
            (
                "clip_norm",
                TrainerConfig {
                    clip_norm: Some(0.0),
                    ..good.clone()
                },
            ),
            (
                "patience",
                TrainerConfig {
                    validate_every: 0,
                    patience: 2,
                    ..good.clone()
                },
            ),
            (
                "snapshots",
                TrainerConfig {
                    validate_every: 0,
                    snapshots: 2,
                    ..good.clone()
                },
            ),
            (
                "schedule",
                TrainerConfig {
                    schedule: Schedule::Constant { lr: -1.0 },
                    ..good.clone()
                },
            ),
            (
                "adam.beta1",
                TrainerConfig {
                    adam: AdamWConfig {
                        beta1: 1.0,
                        ..good.adam
                    },
                    ..good.clone()
                },
            ),
        ];
        for (expected, config) in broken {
            match config.check() {
                Err(Error::Config { field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }
}
