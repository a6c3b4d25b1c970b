//! What can stop a training run.

use std::path::{Path, PathBuf};

/// Why training ended without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field of the configuration that no run can honour.
    #[error("{field}: {why}")]
    Config {
        /// The field.
        field: &'static str,
        /// Expected and got, in words.
        why: String,
    },
    /// The run was asked to stop, and everything up to `step` is saved.
    #[error("interrupted at step {step}; the state is saved, the same command continues")]
    Interrupted {
        /// The last step that was taken.
        step: u64,
    },
    /// More steps in a row than the patience allows had a loss or a gradient that is not finite.
    #[error("step {step}: {what}; {skipped} steps in a row were skipped, {patience} are allowed; see {dump}")]
    NotFinite {
        /// The step that exhausted the patience.
        step: u64,
        /// The term and utterance, or the variable, with its value.
        what: String,
        /// A directory with the losses of every utterance of the step, and the norms of all parameters and gradients.
        dump: PathBuf,
        /// How many steps in a row were skipped, this one included.
        skipped: u64,
        /// `non_finite_patience`.
        patience: u64,
    },
    /// Variables that the objective does not depend on: they would stay at their initial values without a word.
    #[error("no gradient reached {} at step {step}: {}", count(names), names.join(", "))]
    Dead {
        /// The step.
        step: u64,
        /// The variables.
        names: Vec<String>,
    },
    /// A gradient of another shape or type than its variable.
    #[error("gradient of {name}: expected {expected}, got {got}")]
    Gradient {
        /// The variable.
        name: String,
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
    },
    /// A file could not be read or written. The checkpoints that were there before are still there.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was attempted, as "cannot write".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A checkpoint could not be written, as on a full disk. Those that were there before are still there.
    #[error("the checkpoint of step {step} is not saved: {source}; {}", kept_one(kept.as_deref()))]
    Unsaved {
        /// The step.
        step: u64,
        /// The newest checkpoint from before.
        kept: Option<PathBuf>,
        /// What failed.
        source: Box<Error>,
    },
    /// A checkpoint does not hold what its manifest says, or not what this model needs.
    #[error("{path}: {reason}")]
    Corrupt {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There are checkpoints, and none can be used.
    #[error("{dir} holds {num} checkpoints and none can be used ({reasons}); --fresh starts over")]
    NoCheckpoint {
        /// The directory of the checkpoints.
        dir: PathBuf,
        /// How many there are.
        num: usize,
        /// What is wrong with each.
        reasons: String,
    },
    /// The thread that prepares batches failed.
    #[error("step {step}: the batch could not be prepared: {reason}")]
    Producer {
        /// The step whose batch was being prepared.
        step: u64,
        /// The error or the panic message.
        reason: String,
    },
    /// A failure inside a loss or a layer.
    #[error(transparent)]
    Core(#[from] sandhi_core::Error),
    /// A failure of the run directory.
    #[error(transparent)]
    Lab(#[from] sandhi_lab::Error),
    /// A failure inside candle, with its own message.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps a system error with what was attempted and where.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// A checkpoint file that cannot be used.
    pub(crate) fn corrupt(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

fn kept_one(checkpoint: Option<&Path>) -> String {
    match checkpoint {
        Some(path) => format!("{} is kept, the same command continues from it", path.display()),
        None => "there was none before".to_owned(),
    }
}

fn count(names: &[String]) -> String {
    match names.len() {
        1 => "1 variable".to_owned(),
        n => format!("{n} variables"),
    }
}
