//! Reading line-aligned text files.

use std::path::{Path, PathBuf};

/// Why text files could not be scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error("{}: cannot be read", path.display())]
    Read {
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
    /// Reference and hypothesis have different numbers of lines, so that lines cannot be paired.
    #[error(
        "{} has {references} lines, but {} has {hypotheses}; expected one hypothesis per reference line",
        reference.display(), hypothesis.display()
    )]
    LineCount {
        /// The file of references.
        reference: PathBuf,
        /// Its number of lines.
        references: usize,
        /// The file of hypotheses.
        hypothesis: PathBuf,
        /// Its number of lines.
        hypotheses: usize,
    },
    /// There is nothing to score.
    #[error("{}: has no lines; expected one utterance per line", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// The lines of a UTF-8 file, one utterance each, without their ends (`\n` or `\r\n`).
///
/// A line end after the last line does not begin another line. An empty line is an empty utterance.
///
/// # Errors
///
/// [`Error::Read`]; [`Error::Encoding`] and [`Error::ByteOrderMark`] with file and line.
pub fn read_lines(path: &Path) -> Result<Vec<String>, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read {
        path: path.into(),
        source,
    })?;
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let mut lines = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line).map_err(|error| Error::Encoding {
            path: path.into(),
            line: index + 1,
            column: error.valid_up_to() + 1,
            byte: line[error.valid_up_to()],
        })?;
        if text.starts_with('\u{feff}') {
            return Err(Error::ByteOrderMark {
                path: path.into(),
                line: index + 1,
            });
        }
        lines.push(text.to_owned());
    }
    Ok(lines)
}

/// The pairs (reference, hypothesis) of two files, line by line.
///
/// # Errors
///
/// Those of [`read_lines`]; [`Error::LineCount`] naming both counts; [`Error::Empty`] if there is no line.
pub fn read_pairs(reference: &Path, hypothesis: &Path) -> Result<Vec<(String, String)>, Error> {
    let (references, hypotheses) = (read_lines(reference)?, read_lines(hypothesis)?);
    if references.len() != hypotheses.len() {
        return Err(Error::LineCount {
            reference: reference.into(),
            references: references.len(),
            hypothesis: hypothesis.into(),
            hypotheses: hypotheses.len(),
        });
    }
    if references.is_empty() {
        return Err(Error::Empty {
            path: reference.into(),
        });
    }
    Ok(references.into_iter().zip(hypotheses).collect())
}
