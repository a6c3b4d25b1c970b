use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Writes a file so that a reader sees the old content or the new, never a part: written beside, flushed to the
/// disk, then renamed.
///
/// # Errors
///
/// [`Error::Io`] if the disk is full or the directory cannot be written. The old content is then still in place.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let beside = path.with_file_name(name);
    let written = (|| {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&beside, path)?;
        // The rename itself is durable once the directory is.
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    })();
    written.map_err(|source| {
        // A partial file would only take space on a disk that may be full; the first error is the one to tell.
        let _ = fs::remove_file(&beside);
        Error::Io {
            action: "cannot write",
            path: path.to_owned(),
            source,
        }
    })
}

/// Reads a text file; `None` if there is none.
pub(crate) fn read_if_present(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("cannot read", path)(error)),
    }
}

/// Reads a JSON file; `None` if there is none.
pub(crate) fn read_json_if_present<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let parsed = |text: String| {
        serde_json::from_str(&text).map_err(|error| Error::Corrupt {
            path: path.to_owned(),
            what: error.to_string(),
        })
    };
    read_if_present(path)?.map(parsed).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atomic_write_keeps_the_old_content_when_it_fails() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.toml");
        write_atomic(&path, b"old").unwrap();
        // The name to write beside is taken by a directory, so the write fails before the rename.
        fs::create_dir(dir.path().join("run.toml.tmp")).unwrap();
        assert!(matches!(write_atomic(&path, b"new"), Err(Error::Io { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn full_disk_is_an_error_that_names_the_file() {
        // /dev/full accepts an open and refuses every byte, as a full disk does.
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", dir.path().join("config.toml.tmp")).unwrap();
        let path = dir.path().join("config.toml");
        let error = write_atomic(&path, b"steps = 1").unwrap_err();
        assert!(error.to_string().contains("config.toml"), "{error}");
        assert!(!path.exists());
    }
}
