//! The learning rate as a function of the step.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The learning rate as a function of the step alone, so that a resumed run needs no state for it.
///
/// Steps count from 1. All warm-ups are linear: peak · step / warmup.
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
    /// Linear to the peak, then half a cosine down to the floor at step `total`.
    Cosine {
        /// The rate at step `warmup`.
        peak: f64,
        /// The number of steps to get there.
        warmup: u64,
        /// The step that reaches the floor.
        total: u64,
        /// The rate at the end and after it.
        floor: f64,
    },
    /// Linear to the peak, level for `hold` steps, then linear down to the floor at step `total`.
    WarmupHoldDecay {
        /// The rate at step `warmup` and until step `warmup + hold`.
        peak: f64,
        /// The number of steps to get there.
        warmup: u64,
        /// The number of steps to stay there.
        hold: u64,
        /// The step that reaches the floor.
        total: u64,
        /// The rate at the end and after it.
        floor: f64,
    },
}

impl Schedule {
    /// The learning rate of a step, counted from 1.
    pub fn lr(&self, step: u64) -> f64 {
        let warm = |peak: f64, warmup: u64| peak * step as f64 / warmup as f64;
        // How much of the way from `from` to `to` is behind us, at most all of it.
        let share =
            |from: u64, to: u64| ((step - from) as f64 / to.saturating_sub(from).max(1) as f64).min(1.0);
        match *self {
            Self::Constant { lr } => lr,
            Self::InverseSqrt { peak, warmup }
            | Self::Cosine { peak, warmup, .. }
            | Self::WarmupHoldDecay { peak, warmup, .. }
                if step < warmup =>
            {
                warm(peak, warmup)
            }
            Self::InverseSqrt { peak, warmup } => peak * (warmup.max(1) as f64 / step as f64).sqrt(),
            Self::Cosine {
                peak,
                warmup,
                total,
                floor,
            } => floor + (peak - floor) * 0.5 * (1.0 + (PI * share(warmup, total)).cos()),
            Self::WarmupHoldDecay {
                peak, warmup, hold, ..
            } if step <= warmup + hold => peak,
            Self::WarmupHoldDecay {
                peak,
                warmup,
                hold,
                total,
                floor,
            } => peak + (floor - peak) * share(warmup + hold, total),
        }
    }

    /// Checks that rates are finite and not negative, and that the phases fit into the total.
    pub(crate) fn check(&self) -> Result<()> {
        let fail = |why: String| {
            Err(Error::Config {
                field: "schedule",
                why,
            })
        };
        let (peak, floor, phases, total) = match *self {
            Self::Constant { lr } => (lr, 0.0, 0, u64::MAX),
            Self::InverseSqrt { peak, .. } => (peak, 0.0, 0, u64::MAX),
            Self::Cosine {
                peak,
                warmup,
                total,
                floor,
            } => (peak, floor, warmup, total),
            Self::WarmupHoldDecay {
                peak,
                warmup,
                hold,
                total,
                floor,
            } => (peak, floor, warmup + hold, total),
        };
        match (peak, floor) {
            (peak, _) if !(peak > 0.0 && peak.is_finite()) => {
                fail(format!("expected a positive rate, got {peak}"))
            }
            (_, floor) if !(0.0..=peak).contains(&floor) => {
                fail(format!("expected a floor in 0..={peak}, got {floor}"))
            }
            _ if phases >= total => fail(format!(
                "warm-up and hold take {phases} steps, but the total is {total}"
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSINE: Schedule = Schedule::Cosine {
        peak: 1.0,
        warmup: 10,
        total: 110,
        floor: 0.1,
    };
    const HOLD: Schedule = Schedule::WarmupHoldDecay {
        peak: 1.0,
        warmup: 10,
        hold: 20,
        total: 130,
        floor: 0.0,
    };

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn schedule_takes_its_documented_values() {
        close(Schedule::Constant { lr: 0.3 }.lr(77), 0.3);
        let sqrt = Schedule::InverseSqrt { peak: 2.0, warmup: 4 };
        for (step, lr) in [(1, 0.5), (2, 1.0), (4, 2.0), (16, 1.0), (64, 0.5)] {
            close(sqrt.lr(step), lr);
        }
        for (step, lr) in [(1, 0.1), (5, 0.5), (10, 1.0), (60, 0.55), (110, 0.1), (1000, 0.1)] {
            close(COSINE.lr(step), lr);
        }
        for (step, lr) in [(1, 0.1), (10, 1.0), (30, 1.0), (80, 0.5), (130, 0.0), (1000, 0.0)] {
            close(HOLD.lr(step), lr);
        }
    }

    #[test]
    fn schedule_without_warmup_starts_at_the_peak() {
        close(Schedule::InverseSqrt { peak: 2.0, warmup: 0 }.lr(1), 2.0);
        close(
            Schedule::WarmupHoldDecay {
                peak: 2.0,
                warmup: 0,
                hold: 1,
                total: 3,
                floor: 0.0,
            }
            .lr(1),
            2.0,
        );
    }

    #[test]
    fn schedule_is_continuous_at_its_joints() {
        for schedule in [
            COSINE,
            HOLD,
            Schedule::InverseSqrt {
                peak: 1.0,
                warmup: 10,
            },
        ] {
            for step in 1..200 {
                let jump = (schedule.lr(step + 1) - schedule.lr(step)).abs();
                assert!(
                    jump <= 0.1 + 1e-12,
                    "{schedule:?} jumps by {jump} after step {step}"
                );
            }
        }
    }

    #[test]
    fn schedule_rejects_unknown_keys_and_phases_that_do_not_fit() {
        let good = "kind = \"cosine\"\npeak = 1\nwarmup = 10\ntotal = 110\nfloor = 0.1";
        assert_eq!(toml::from_str::<Schedule>(good).unwrap(), COSINE);
        let error = toml::from_str::<Schedule>(&good.replace("floor", "flor")).unwrap_err();
        assert!(error.to_string().contains("flor"), "{error}");
        assert!(COSINE.check().is_ok());
        for bad in [
            Schedule::Cosine {
                peak: 1.0,
                warmup: 110,
                total: 110,
                floor: 0.0,
            },
            Schedule::Cosine {
                peak: 1.0,
                warmup: 1,
                total: 110,
                floor: 2.0,
            },
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
