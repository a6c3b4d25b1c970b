//! Checkpoint directories that are whole or not there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The name of the file that says what the others must be.
const MANIFEST: &str = "manifest.toml";

/// One file of a checkpoint, as its manifest describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    bytes: u64,
    sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    files: BTreeMap<String, Entry>,
}

/// A checkpoint whose files are what its manifest says.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) dir: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

impl Found {
    /// The content of a file and its path.
    pub(crate) fn file(&self, name: &str) -> Result<(&[u8], PathBuf)> {
        let path = self.dir.join(name);
        match self.files.get(name) {
            Some(bytes) => Ok((bytes, path)),
            None => Err(Error::corrupt(path, "the checkpoint does not have this file")),
        }
    }
}

/// The checkpoints of a run: `step-00000120/` and so on.
///
/// One is written beside its place, flushed to the disk file by file, and renamed. A kill at any moment leaves the
/// older ones as they were, and at worst a directory ending in `.tmp`, which the next start removes.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    keep: usize,
    write: fn(&Path, &[u8]) -> io::Result<()>,
}

impl Store {
    /// Opens the directory of the checkpoints and removes what a kill left unfinished.
    pub(crate) fn open(dir: PathBuf, keep: usize) -> Result<Self> {
        fs::create_dir_all(&dir).map_err(Error::io("cannot create", &dir))?;
        let store = Self {
            dir,
            keep,
            write: write_synced,
        };
        for path in store.paths()? {
            if path.extension().is_some_and(|extension| extension == "tmp") {
                remove(&path).map_err(Error::io("cannot remove", &path))?;
            }
        }
        Ok(store)
    }

    /// Where a file beside the checkpoints is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes the checkpoint of a step, then drops the oldest ones beyond the number to keep.
    ///
    /// `linked` is a file that stays as it is for good (it is only ever replaced by renaming): it costs no space twice.
    pub(crate) fn save(
        &self,
        step: u64,
        files: &[(&str, Vec<u8>)],
        linked: Option<(&str, &Path)>,
    ) -> Result<()> {
        let dir = self.dir.join(name_of(step));
        let beside = dir.with_extension("tmp");
        let kept = self.list()?.pop().map(|(_, dir)| dir);
        self.fill(&beside, files, linked)
            .and_then(|()| put_in_place(&beside, &dir).map_err(Error::io("cannot write", &dir)))
            .map_err(|source| {
                // It would only take space on a disk that may be full; the first error is the one to tell.
                let _ = remove(&beside);
                Error::Unsaved {
                    step,
                    kept,
                    source: Box::new(source),
                }
            })?;
        for (_, old) in self.list()?.iter().rev().skip(self.keep) {
            fs::remove_dir_all(old).map_err(Error::io("cannot remove", old))?;
        }
        Ok(())
    }

    /// Writes a file beside the checkpoints.
    ///
    /// # Errors
    ///
    /// [`Error::Unsaved`], with the newest checkpoint.
    pub(crate) fn write(&self, step: u64, name: &str, bytes: &[u8]) -> Result<()> {
        let kept = self.list()?.pop().map(|(_, dir)| dir);
        sandhi_lab::write_atomic(&self.path(name), bytes).map_err(|source| Error::Unsaved {
            step,
            kept,
            source: Box::new(source.into()),
        })
    }

    /// The newest checkpoint that is whole, or none if there is none at all.
    ///
    /// Newer ones that are not whole are set aside under another name and reported through `warn`.
    pub(crate) fn newest(&self, mut warn: impl FnMut(&str)) -> Result<Option<Found>> {
        let mut broken: Vec<(PathBuf, Error)> = Vec::new();
        for (_, dir) in self.list()?.into_iter().rev() {
            match verify(&dir) {
                Ok(found) => {
                    for (dir, error) in broken {
                        let aside = dir.with_extension("corrupt");
                        remove(&aside)
                            .and_then(|()| fs::rename(&dir, &aside))
                            .map_err(Error::io("cannot set aside", &dir))?;
                        warn(&format!(
                            "{error}; set aside as {}, using {}",
                            aside.display(),
                            found.dir.display()
                        ));
                    }
                    return Ok(Some(found));
                }
                Err(error) => broken.push((dir, error)),
            }
        }
        if broken.is_empty() {
            return Ok(None);
        }
        let reasons = broken
            .iter()
            .map(|(_, error)| error.to_string())
            .collect::<Vec<_>>()
            .join("; ");
        Err(Error::NoCheckpoint {
            dir: self.dir.clone(),
            num: broken.len(),
            reasons,
        })
    }

    fn fill(&self, dir: &Path, files: &[(&str, Vec<u8>)], linked: Option<(&str, &Path)>) -> Result<()> {
        fs::create_dir(dir).map_err(Error::io("cannot create", dir))?;
        let mut manifest = Manifest {
            files: BTreeMap::new(),
        };
        for (name, bytes) in files {
            let path = dir.join(name);
            (self.write)(&path, bytes).map_err(Error::io("cannot write", path))?;
            manifest.files.insert((*name).to_owned(), entry(bytes));
        }
        if let Some((name, source)) = linked {
            let bytes = fs::read(source).map_err(Error::io("cannot read", source))?;
            let path = dir.join(name);
            if fs::hard_link(source, &path).is_err() {
                // Not every file system has links.
                (self.write)(&path, &bytes).map_err(Error::io("cannot write", path))?;
            }
            manifest.files.insert(name.to_owned(), entry(&bytes));
        }
        let path = dir.join(MANIFEST);
        let text = toml::to_string(&manifest).map_err(|error| Error::corrupt(&path, error.to_string()))?;
        (self.write)(&path, text.as_bytes()).map_err(Error::io("cannot write", &path))?;
        sync(dir).map_err(Error::io("cannot write", dir))
    }

    /// A file of every checkpoint there is, oldest first. One that cannot be read is left out: it is found corrupt when
    /// it is needed.
    pub(crate) fn each(&self, name: &str) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let paths = self.list()?.into_iter().map(|(_, dir)| dir.join(name));
        Ok(paths
            .filter_map(|path| fs::read(&path).ok().map(|bytes| (path, bytes)))
            .collect())
    }

    /// The checkpoints by step, oldest first.
    fn list(&self) -> Result<Vec<(u64, PathBuf)>> {
        let step = |path: &Path| path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok();
        let mut found: Vec<(u64, PathBuf)> = self
            .paths()?
            .into_iter()
            .filter_map(|path| Some((step(&path)?, path)))
            .collect();
        found.sort();
        Ok(found)
    }

    fn paths(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.dir).and_then(|entries| entries.map(|e| Ok(e?.path())).collect());
        entries.map_err(Error::io("cannot read", &self.dir))
    }
}

fn name_of(step: u64) -> String {
    format!("step-{step:08}")
}

/// Reads a checkpoint and compares it with its manifest.
fn verify(dir: &Path) -> Result<Found> {
    let path = dir.join(MANIFEST);
    let text = fs::read(&path).map_err(Error::io("cannot read", &path))?;
    let manifest: Manifest =
        toml::from_slice(&text).map_err(|error| Error::corrupt(&path, error.to_string()))?;
    let mut files = BTreeMap::new();
    for (name, expected) in manifest.files {
        let path = dir.join(&name);
        let bytes = fs::read(&path).map_err(Error::io("cannot read", &path))?;
        let got = entry(&bytes);
        if got != expected {
            let reason = match got.bytes == expected.bytes {
                true => "its SHA-256 is not that of the manifest".to_owned(),
                false => format!("expected {} bytes, got {}", expected.bytes, got.bytes),
            };
            return Err(Error::corrupt(path, reason));
        }
        files.insert(name, bytes);
    }
    Ok(Found {
        dir: dir.to_owned(),
        files,
    })
}

fn entry(bytes: &[u8]) -> Entry {
    Entry {
        bytes: bytes.len() as u64,
        sha256: sha256(bytes),
    }
}

/// In hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Renames a finished directory to its name, in exchange for one that is there already.
fn put_in_place(beside: &Path, dir: &Path) -> io::Result<()> {
    if dir.exists() {
        // A directory cannot be replaced in one move. A kill between the two leaves the older checkpoints.
        let old = dir.with_extension("old.tmp");
        remove(&old)?;
        fs::rename(dir, &old)?;
        fs::rename(beside, dir)?;
        remove(&old)?;
    } else {
        fs::rename(beside, dir)?;
    }
    dir.parent().map_or(Ok(()), sync)
}

/// Removes a file or a directory; there may be none.
fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Writes a file and waits until the disk has it.
fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Waits until the disk has the names of a directory.
fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["params.safetensors", "state.toml"];

    fn store(dir: &Path) -> Store {
        Store::open(dir.join("checkpoints"), 2).unwrap()
    }

    fn save(store: &Store, step: u64) -> Result<()> {
        let content = format!("of step {step}").into_bytes();
        store.save(step, &NAMES.map(|name| (name, content.clone())), None)
    }

    fn newest(store: &Store) -> (Option<String>, Vec<String>) {
        let mut warnings = Vec::new();
        let found = store.newest(|text| warnings.push(text.to_owned())).unwrap();
        let content = found.map(|found| String::from_utf8(found.file(NAMES[0]).unwrap().0.to_vec()).unwrap());
        (content, warnings)
    }

    fn names(store: &Store) -> Vec<String> {
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<String> = store.paths().unwrap().into_iter().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn checkpoint_keeps_the_newest_two() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        assert_eq!(newest(&store).0, None);
        for step in [5, 100_000_000, 10] {
            save(&store, step).unwrap();
        }
        assert_eq!(names(&store), ["step-00000010", "step-100000000"]);
        assert_eq!(newest(&store), (Some("of step 100000000".to_owned()), Vec::new()));
    }

    #[test]
    fn checkpoint_corrupt_in_any_way_falls_back_and_is_set_aside() {
        type Damage = fn(&Path);
        let damages: [Damage; 5] = [
            |dir| fs::write(dir.join(NAMES[0]), b"of step 19").unwrap(),
            |dir| fs::write(dir.join(NAMES[0]), b"of").unwrap(),
            |dir| fs::remove_file(dir.join(NAMES[1])).unwrap(),
            |dir| fs::write(dir.join(MANIFEST), b"[files").unwrap(),
            |dir| fs::remove_file(dir.join(MANIFEST)).unwrap(),
        ];
        for damage in damages {
            let dir = tempfile::tempdir().unwrap();
            let store = store(dir.path());
            save(&store, 10).unwrap();
            save(&store, 20).unwrap();
            damage(&store.path("step-00000020"));
            let (content, warnings) = newest(&store);
            assert_eq!(content.as_deref(), Some("of step 10"));
            assert!(
                warnings.len() == 1 && warnings[0].contains("step-00000020"),
                "{warnings:?}"
            );
            assert_eq!(names(&store), ["step-00000010", "step-00000020.corrupt"]);
            // The damaged one does not count among those that are kept.
            save(&store, 20).unwrap();
            assert_eq!(newest(&store), (Some("of step 20".to_owned()), Vec::new()));
        }
    }

    #[test]
    fn checkpoints_all_corrupt_are_an_error_that_names_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        for step in [10, 20] {
            save(&store, step).unwrap();
            fs::write(store.path(&name_of(step)).join(NAMES[1]), b"x").unwrap();
        }
        let error = store.newest(|_| {}).unwrap_err();
        assert!(matches!(error, Error::NoCheckpoint { num: 2, .. }), "{error}");
        assert!(error.to_string().contains("--fresh"), "{error}");
        assert_eq!(names(&store), ["step-00000010", "step-00000020"]);
    }

    #[test]
    fn checkpoint_unfinished_is_removed_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let first = store(dir.path());
        save(&first, 10).unwrap();
        // What a kill leaves: while the files are written, and between the two moves of a replacement.
        for left in ["step-00000020.tmp", "step-00000010.old.tmp"] {
            fs::create_dir(first.path(left)).unwrap();
            fs::write(first.path(left).join(NAMES[0]), b"half").unwrap();
        }
        fs::write(first.path("best.safetensors.tmp"), b"half").unwrap();
        let second = store(dir.path());
        assert_eq!(names(&second), ["step-00000010"]);
        save(&second, 20).unwrap();
        assert_eq!(newest(&second).0.as_deref(), Some("of step 20"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn checkpoint_on_a_full_disk_is_an_error_and_the_old_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = store(dir.path());
        save(&store, 10).unwrap();
        save(&store, 15).unwrap();
        // The first file gets through; the second meets a device that is always full.
        store.write = |path, bytes| match path.ends_with(NAMES[1]) {
            true => fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")?
                .write_all(bytes),
            false => write_synced(path, bytes),
        };
        let error = save(&store, 20).unwrap_err();
        let text = error.to_string();
        let Error::Unsaved {
            step: 20,
            kept: Some(kept),
            source,
        } = error
        else {
            panic!("{error:?}")
        };
        assert!(
            matches!(&*source, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull),
            "{source}"
        );
        assert!(kept.ends_with("step-00000015"));
        for part in ["state.toml", "step 20", "step-00000015 is kept"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(names(&store), ["step-00000010", "step-00000015"]);
        store.write = write_synced;
        assert_eq!(newest(&store), (Some("of step 15".to_owned()), Vec::new()));
    }

    #[test]
    fn checkpoint_linked_file_survives_its_replacement() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let best = store.path("best.safetensors");
        sandhi_lab::write_atomic(&best, b"first").unwrap();
        store.save(10, &[], Some(("best.safetensors", &best))).unwrap();
        sandhi_lab::write_atomic(&best, b"second").unwrap();
        let found = store.newest(|_| {}).unwrap().unwrap();
        assert_eq!(found.file("best.safetensors").unwrap().0, b"first");
    }
}
