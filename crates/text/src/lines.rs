//! The door through which bytes become text.

use std::path::Path;

use crate::error::{Error, Result};

/// The lines of a UTF-8 file without their ends (`\n` or `\r\n`), as they are: nothing is normalized here.
///
/// A line end after the last line does not begin another line.
///
/// # Errors
///
/// [`Error::Read`]; [`Error::Encoding`] and [`Error::ByteOrderMark`] with file and line. The mark is refused
/// at the start of any line, since joining files puts it anywhere.
///
/// # Proved by
///
/// `read_lines_names_file_and_line`, `read_lines_keeps_empty_lines`.
pub fn read_lines(path: impl AsRef<Path>) -> Result<Vec<String>> {
    let path = path.as_ref();
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
