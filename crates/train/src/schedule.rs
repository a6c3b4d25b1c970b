//! The learning rate as a function of the step.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The learning rate as a function of the step and of how many there are, so that a resumed run needs no state for it.
///
/// Steps count from 1. Schedules with an end give their phases as shares of the steps: a longer training stretches them.
/// All warm-ups are linear: peak · step / warm-up steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// The same rate throughout.
    Constant {
        /// The rate.
        lr: f64,
    },
    /// Linear to the peak, then peak · √(warmup / step) without an end (Vaswani et al. 2017).
    InverseSqrt {
        /// The rate at step `warmup`.
        peak: f64,
        /// The number of steps to get there.
        warmup: u64,
    },
    /// Linear to the peak, then half a cosine down to the floor at the last step.
    Cosine {
        /// The rate after the warm-up.
        peak: f64,
        /// The share of the steps that climb.
        warmup: f64,
        /// The rate at the end.
        floor: f64,
    },
    /// Linear to the peak, level, then linear down to the floor at the last step.
    WarmupHoldDecay {
        /// The rate after the warm-up, until the decay.
        peak: f64,
        /// The share of the steps that climb.
        warmup: f64,
        /// The share of the steps that stay level.
        hold: f64,
        /// The rate at the end.
        floor: f64,
    },
}

impl Schedule {
    /// The learning rate of a step, counted from 1, of a training of `steps` steps.
    pub fn lr(&self, step: u64, steps: u64) -> f64 {
        let of_steps = |share: f64| share * steps as f64;
        let climb = |peak: f64, warmup: f64| peak * (step as f64 / warmup).min(1.0);
        // How much of the way from `from` to the last step is behind us: between nothing and all of it.
        let behind = |from: f64| ((step as f64 - from) / (steps as f64 - from)).clamp(0.0, 1.0);
        match *self {
            Self::Constant { lr } => lr,
            Self::InverseSqrt { peak, warmup } if step < warmup => climb(peak, warmup as f64),
            Self::InverseSqrt { peak, warmup } => peak * (warmup.max(1) as f64 / step as f64).sqrt(),
            Self::Cosine { peak, warmup, .. } | Self::WarmupHoldDecay { peak, warmup, .. }
                if (step as f64) < of_steps(warmup) =>
            {
                climb(peak, of_steps(warmup))
            }
            Self::Cosine { peak, warmup, floor } => {
                floor + (peak - floor) * 0.5 * (1.0 + (PI * behind(of_steps(warmup))).cos())
            }
            Self::WarmupHoldDecay {
                peak,
                warmup,
                hold,
                floor,
            } => peak + (floor - peak) * behind(of_steps(warmup + hold)),
        }
    }

    /// Checks that rates are finite and not negative, and that the phases fit into the training.
    pub(crate) fn check(&self) -> Result<()> {
        let fail = |why: String| {
            Err(Error::Config {
                field: "schedule",
                why,
            })
        };
        let (peak, floor, warmup, hold) = match *self {
            Self::Constant { lr } => (lr, 0.0, 0.0, 0.0),
            Self::InverseSqrt { peak, .. } => (peak, 0.0, 0.0, 0.0),
            Self::Cosine { peak, warmup, floor } => (peak, floor, warmup, 0.0),
            Self::WarmupHoldDecay {
                peak,
                warmup,
                hold,
                floor,
            } => (peak, floor, warmup, hold),
        };
        if !(peak > 0.0 && peak.is_finite()) {
            return fail(format!("expected a positive rate, got {peak}"));
        }
        if !(0.0..=peak).contains(&floor) {
            return fail(format!("expected a floor in 0..={peak}, got {floor}"));
        }
        // `>=` also refuses what is not a number.
        if !(warmup >= 0.0 && hold >= 0.0 && warmup + hold < 1.0) {
            return fail(format!(
                "expected shares of the steps that add up to less than 1, got warmup {warmup} and hold {hold}"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: u64 = 100;
    const COSINE: Schedule = Schedule::Cosine {
        peak: 1.0,
        warmup: 0.1,
        floor: 0.1,
    };
    const HOLD: Schedule = Schedule::WarmupHoldDecay {
        peak: 1.0,
        warmup: 0.1,
        hold: 0.2,
        floor: 0.0,
    };

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn schedule_takes_its_documented_values() {
        close(Schedule::Constant { lr: 0.3 }.lr(77, STEPS), 0.3);
        let sqrt = Schedule::InverseSqrt { peak: 2.0, warmup: 4 };
        for (step, lr) in [(1, 0.5), (2, 1.0), (4, 2.0), (16, 1.0), (64, 0.5)] {
            close(sqrt.lr(step, STEPS), lr);
        }
        for (step, lr) in [(1, 0.1), (5, 0.5), (10, 1.0), (55, 0.55), (100, 0.1), (1000, 0.1)] {
            close(COSINE.lr(step, STEPS), lr);
        }
        for (step, lr) in [(1, 0.1), (10, 1.0), (30, 1.0), (65, 0.5), (100, 0.0), (1000, 0.0)] {
            close(HOLD.lr(step, STEPS), lr);
        }
    }

    #[test]
    fn schedule_stretches_with_the_training() {
        for (schedule, step) in [(COSINE, 3), (COSINE, 70), (HOLD, 7), (HOLD, 20), (HOLD, 90)] {
            close(schedule.lr(step, STEPS), schedule.lr(step * 13, STEPS * 13));
        }
    }

    #[test]
    fn schedule_without_warmup_starts_at_the_peak() {
        close(Schedule::InverseSqrt { peak: 2.0, warmup: 0 }.lr(1, STEPS), 2.0);
        let hold = Schedule::WarmupHoldDecay {
            peak: 2.0,
            warmup: 0.0,
            hold: 0.01,
            floor: 0.0,
        };
        close(hold.lr(1, STEPS), 2.0);
        // Of a single step the only one is also the last.
        close(hold.lr(1, 1), 0.0);
    }

    #[test]
    fn schedule_is_continuous_at_its_joints() {
        let sqrt = Schedule::InverseSqrt {
            peak: 1.0,
            warmup: 10,
        };
        for schedule in [COSINE, HOLD, sqrt] {
            for step in 1..200 {
                let jump = (schedule.lr(step + 1, STEPS) - schedule.lr(step, STEPS)).abs();
                assert!(
                    jump <= 0.1 + 1e-12,
                    "{schedule:?} jumps by {jump} after step {step}"
                );
            }
        }
    }

    #[test]
    fn schedule_rejects_unknown_keys_and_phases_that_do_not_fit() {
        let good = "kind = \"cosine\"\npeak = 1\nwarmup = 0.1\nfloor = 0.1";
        assert_eq!(toml::from_str::<Schedule>(good).unwrap(), COSINE);
        let error = toml::from_str::<Schedule>(&good.replace("floor", "flor")).unwrap_err();
        assert!(error.to_string().contains("flor"), "{error}");
        assert!(COSINE.check().is_ok());
        let cosine = |warmup, floor| Schedule::Cosine {
            peak: 1.0,
            warmup,
            floor,
        };
        for bad in [
            cosine(1.0, 0.0),
            cosine(-0.1, 0.0),
            cosine(f64::NAN, 0.0),
            cosine(0.1, 2.0),
            Schedule::Constant { lr: f64::NAN },
            Schedule::Constant { lr: 0.0 },
        ] {
            assert!(
                matches!(
                    bad.check(),
                    Err(Error::Config {
                        field: "schedule",
                        ..
                    })
                ),
                "{bad:?}"
            );
        }
    }
}
