use std::path::PathBuf;

/// What can go wrong between an experiment and its run directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was attempted, as "cannot write".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of a run directory does not hold what it should.
    #[error("{path}: {what}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with the line where there is one.
        what: String,
    },
    /// Another process works in the run directory.
    #[error("{dir} is in use by process {pid}; wait for it, or stop it, and try again")]
    Locked {
        /// The run directory.
        dir: PathBuf,
        /// The process that holds the lock, or "unknown" if it has not written its id yet.
        pid: String,
    },
    /// The directory holds a run made with another configuration.
    #[error(
        "{dir} holds a run ({status}) of another configuration ({changed}); --fresh starts over and drops it"
    )]
    ConfigChanged {
        /// The run directory.
        dir: PathBuf,
        /// In which state that run is.
        status: String,
        /// The fields that differ, old value and new.
        changed: String,
    },
    /// A name that is not one of those there are: an arm, a corpus, a configuration key.
    #[error("unknown {kind} '{name}'{suggestion}; there are: {known}")]
    Unknown {
        /// The kind of name.
        kind: &'static str,
        /// The name given.
        name: String,
        /// `, did you mean 'x'?`, or empty.
        suggestion: String,
        /// The names there are.
        known: String,
    },
    /// A value that does not fit its configuration field.
    #[error("cannot set {key} to {value}: {reason}")]
    Value {
        /// Dotted path of the field.
        key: String,
        /// The value as given.
        value: String,
        /// Why it does not fit.
        reason: String,
    },
    /// A configuration file or value is not what the experiment expects.
    #[error("configuration {origin}: {reason}")]
    Config {
        /// The file, or "of arm x".
        origin: String,
        /// What is wrong.
        reason: String,
    },
    /// The same utterance was reported twice for one split.
    #[error("utterance '{id}' was reported twice for split '{split}'")]
    DuplicateUtterance {
        /// The split.
        split: String,
        /// The utterance.
        id: String,
    },
    /// An utterance came before [`Run::start_split`](crate::Run::start_split).
    #[error("utterance '{id}' of split '{split}' came before start_split(\"{split}\")")]
    SplitNotStarted {
        /// The split.
        split: String,
        /// The utterance.
        id: String,
    },
    /// The run was asked to stop and has saved its state.
    #[error("interrupted at step {step}; the state is saved, the same command continues")]
    Interrupted {
        /// The last step that is saved.
        step: u64,
    },
    /// Two runs were scored on different utterances, so that no number can compare them.
    #[error("split '{split}': {left} and {right} were scored on different utterances or references")]
    NotComparable {
        /// The split.
        split: String,
        /// One run.
        left: String,
        /// The other.
        right: String,
    },
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps a system error with what was attempted and where.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
