use std::path::PathBuf;

/// Why text could not become labels, or labels text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("{}: cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not UTF-8.
    #[error(
        "{}:{line}: expected UTF-8, got the byte 0x{byte:02x} at byte {column} of the line",
        path.display()
    )]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Place of the first wrong byte within the line, from 1.
        column: usize,
        /// The byte.
        byte: u8,
    },
    /// A line begins with a byte-order mark, which would count as part of its first word.
    #[error(
        "{}:{line}: begins with a byte-order mark (U+FEFF); expected plain UTF-8 without it",
        path.display()
    )]
    ByteOrderMark {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A character has no label, and no label for unknown ones is configured.
    #[error(
        "{character:?} (U+{:04X}) in {text:?} is not in the alphabet; normalize the text, \
         extend the alphabet or configure an unknown label", u32::from(*character)
    )]
    UnknownCharacter {
        /// The character.
        character: char,
        /// The text that holds it.
        text: String,
    },
    /// A label lies outside the vocabulary.
    #[error("label {label} is outside the vocabulary of {vocab_size} labels")]
    UnknownLabel {
        /// The label.
        label: u32,
        /// Size of the vocabulary.
        vocab_size: usize,
    },
    /// A vocabulary cannot be built from what was given.
    #[error("vocabulary: {0}")]
    Vocabulary(String),
    /// A line of a pronunciation lexicon cannot be understood.
    #[error("lexicon line {line}: expected a word and its phones, got {text:?}")]
    Lexicon {
        /// The line, from 1.
        line: usize,
        /// The line itself.
        text: String,
    },
    /// No pronunciation of a word has a phone: it has no letter, or only silent ones.
    #[error("{word:?}: expected a word of which some letter is not silent")]
    Silent {
        /// The word.
        word: String,
    },
    /// A saved front end is damaged or of another format.
    #[error("saved text front end{}: {reason}", at(path))]
    Frontend {
        /// The file, if it came from one.
        path: Option<PathBuf>,
        /// What is wrong with it.
        reason: String,
    },
    /// A configuration value is out of its range.
    #[error("{what}: expected {expected}, got {got}")]
    Config {
        /// The value's name.
        what: &'static str,
        /// Its range.
        expected: &'static str,
        /// The value.
        got: String,
    },
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

fn at(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .map_or_else(String::new, |path| format!(" {}", path.display()))
}
