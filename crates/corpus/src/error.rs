//! What can be wrong with a corpus, said so that the user can find the line.

use std::path::PathBuf;

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a manifest, a corpus or a batch request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder of the corpus is not there.
    #[error("{what} not found: {}", .path.display())]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A text file begins with a byte order mark.
    #[error("{}:1: starts with a byte order mark, expected plain UTF-8", .path.display())]
    ByteOrderMark {
        /// The file.
        path: PathBuf,
    },
    /// A text file is not UTF-8.
    #[error("{}:{line}: invalid UTF-8 at byte {byte} of the line", .path.display())]
    Utf8 {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The first wrong byte of that line, from 0.
        byte: usize,
    },
    /// A line of a manifest is not the JSON of a cut.
    #[error("{}:{line}: expected a cut as JSON: {source}", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What serde found.
        source: serde_json::Error,
    },
    /// A line of a manifest or of a corpus' text files has a value that cannot be.
    #[error("{}:{line}: {what}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected and what was found.
        what: String,
    },
    /// Two cuts of a manifest have one id.
    #[error("{}:{line}: duplicate id {id:?}, first used on line {first}", .path.display())]
    DuplicateId {
        /// The file.
        path: PathBuf,
        /// The line of the second use, from 1.
        line: usize,
        /// The id.
        id: String,
        /// The line of the first use, from 1.
        first: usize,
    },
    /// A cut names an audio file that does not exist.
    #[error("{}:{line}: cut {id:?}: audio not found: {}", .path.display(), .audio.display())]
    MissingAudio {
        /// The manifest.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The cut.
        id: String,
        /// The resolved path.
        audio: PathBuf,
    },
    /// A cut starts before zero, or its duration is not above zero.
    #[error(
        "{}:{line}: cut {id:?}: expected start >= 0 and duration > 0, got start {start} s and duration {duration} s",
        .path.display()
    )]
    Duration {
        /// The manifest.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The cut.
        id: String,
        /// Its start in seconds.
        start: f64,
        /// Its duration in seconds.
        duration: f64,
    },
    /// The header of a WAV file does not say how long it is.
    #[error("{}: expected a RIFF WAVE header: {what}", .path.display())]
    WavHeader {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        what: &'static str,
    },
    /// A manifest or a split has no cut.
    #[error("{}: expected at least one cut, got none", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// One utterance alone is over the budget of a batch.
    #[error("utterance {utterance} alone is over the batch budget: {what} {got}, allowed {allowed}")]
    OverBudget {
        /// Its index in the sizes given.
        utterance: usize,
        /// Which limit.
        what: &'static str,
        /// What it needs.
        got: usize,
        /// The limit.
        allowed: usize,
    },
    /// A sampling temperature that would make small languages smaller.
    #[error("sampling temperature: expected at least 1, got {got}")]
    Temperature {
        /// The temperature.
        got: f64,
    },
    /// A batch budget that allows no utterance at all.
    #[error("batch budget: {what} is 0, expected at least 1")]
    ZeroBudget {
        /// Which limit.
        what: &'static str,
    },
}

impl Error {
    /// Wraps an I/O error with the file it happened on; a missing file becomes [`Error::NotFound`].
    pub(crate) fn io(what: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                Error::NotFound { what, path }
            } else {
                Error::Io { path, source }
            }
        }
    }
}
