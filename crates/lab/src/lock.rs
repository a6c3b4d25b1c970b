use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::{Error, Result};

/// The name of the lock file in a run directory.
pub(crate) const FILE: &str = "lock";

/// Holds a run directory for this process until dropped.
///
/// The lock is the system's and goes with the process: a run that was killed leaves the file, not the lock.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing would do, were there not processes started meanwhile that hold the file open too.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Takes the lock of a directory.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] with the process that holds it; [`Error::Io`].
    pub fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let mut file = open(&path).map_err(Error::io("cannot open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked {
                    dir: dir.to_owned(),
                    pid: pid_in(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(Error::io("cannot lock", &path)(source)),
        }
        let wrote = file
            .set_len(0)
            .and_then(|()| write!(file, "{}", std::process::id()))
            .and_then(|()| file.flush());
        wrote.map_err(Error::io("cannot write", &path))?;
        Ok(Self { file })
    }
}

/// The process that holds the lock of a directory, if one does.
pub fn holder(dir: &Path) -> Option<String> {
    let mut file = OpenOptions::new().read(true).open(dir.join(FILE)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(pid_in(&mut file)),
        _ => None,
    }
}

/// Opens without truncating: the content belongs to whoever holds the lock.
fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

fn pid_in(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    match (read, text.trim()) {
        (Ok(_), pid) if !pid.is_empty() => pid.to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_held_twice_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holder(dir.path()), None);
        let held = Lock::take(dir.path()).unwrap();
        let pid = std::process::id().to_string();
        match Lock::take(dir.path()) {
            Err(Error::Locked { pid: named, .. }) => assert_eq!(named, pid),
            other => panic!("expected Locked, got {other:?}"),
        }
        assert_eq!(holder(dir.path()), Some(pid));
        drop(held);
        assert_eq!(holder(dir.path()), None);
        Lock::take(dir.path()).unwrap();
    }
}
