//! Reading UTF-8 text with errors that name the line.

use std::path::Path;

use crate::{Error, Result};

/// The whole of a UTF-8 file without a byte order mark.
pub(crate) fn read(what: &'static str, path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(Error::io(what, path))?;
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF])
        || bytes.starts_with(&[0xFF, 0xFE])
        || bytes.starts_with(&[0xFE, 0xFF])
    {
        return Err(Error::ByteOrderMark {
            path: path.to_path_buf(),
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..valid];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let line_start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |position| position + 1);
        Error::Utf8 {
            path: path.to_path_buf(),
            line,
            byte: valid - line_start,
        }
    })
}
