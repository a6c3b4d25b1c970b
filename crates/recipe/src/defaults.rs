//! What experiments on minutes of speech begin from; a paper writes it down in its own configuration.

use sandhi_audio::SpecAugmentConfig;
use sandhi_train::{AdamWConfig, Schedule, TrainerConfig};

use crate::options::Budget;

/// Batches that a laptop holds: eight utterances of twelve seconds.
pub const BUDGET: Budget = Budget {
    max_frames: 9_600,
    max_cells: 120_000,
    max_utterances: 8,
};

/// SpecAugment, mild: there is little speech, and of few voices.
pub fn augment() -> SpecAugmentConfig {
    SpecAugmentConfig {
        time_masks: 2,
        max_time: 25,
        max_time_fraction: 0.1,
        freq_masks: 2,
        max_freq: 15,
    }
}

/// AdamW with warm-up, hold and decay to a fiftieth of the highest rate. A smoke run logs, saves and validates within its few steps, and
/// has none to average over.
pub fn trainer(smoke: bool, steps: u64, peak: f64) -> TrainerConfig {
    let choose = |tiny, usual| if smoke { tiny } else { usual };
    TrainerConfig {
        steps,
        accumulate: 1,
        clip_norm: Some(5.0),
        ema_decay: (!smoke).then_some(0.998),
        log_every: choose(5, 20),
        checkpoint_every: choose(10, 200),
        keep: 2,
        validate_every: steps / choose(2, 8),
        patience: 0,
        non_finite_patience: 5,
        snapshots: 0,
        schedule: Schedule::WarmupHoldDecay {
            peak,
            warmup: 0.1,
            hold: 0.4,
            floor: peak / 50.0,
        },
        adam: AdamWConfig {
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-9,
            weight_decay: 0.01,
        },
    }
}
