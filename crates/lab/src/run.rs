use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::MultiProgress;
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::config::differences;
use crate::files::{read_if_present, write_atomic};
use crate::tensorboard::Events;
use crate::{
    Code, Error, Identity, Lock, Machine, Progress, Result, Scale, Setting, Status, machine, metrics,
};

/// The exit code of a run that was asked to stop and has saved its state (`EX_TEMPFAIL`: try again).
pub const INTERRUPTED: i32 = 75;

/// One line of `utterances.<split>.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utterance {
    /// Identifier, unique within the split.
    pub id: String,
    /// What was said.
    pub reference: String,
    /// What was recognized.
    pub hypothesis: String,
}

/// Which run to open.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) runs: &'a Path,
    pub(crate) paper: &'a str,
    pub(crate) setting: &'a Setting,
    pub(crate) arm: &'a str,
    pub(crate) seed: u64,
    pub(crate) config: &'a Table,
    pub(crate) config_text: &'a str,
    pub(crate) config_hash: String,
    pub(crate) overrides: Vec<String>,
    pub(crate) fresh: bool,
    pub(crate) check_memory: bool,
}

/// A run directory as it is found.
#[derive(Debug)]
pub(crate) enum Opened {
    /// Nothing to do: complete, with the same configuration.
    Done(PathBuf),
    /// To be carried out or continued.
    Open(Box<Run>),
}

/// One run, one arm at one seed, and the directory that is its evidence.
///
/// Everything written here survives a kill: metrics and utterances a line at a time, everything else by renaming.
#[derive(Debug)]
pub struct Run {
    dir: PathBuf,
    identity: Identity,
    metrics: metrics::Writer,
    events: Events,
    splits: HashMap<String, Split>,
    bars: MultiProgress,
    /// What stands before the names of pieces of work: the stage.
    prefix: String,
    log: File,
    begun: Instant,
    earlier: f64,
    interrupted: bool,
    check_memory: bool,
    closed: bool,
    _lock: Lock,
}

#[derive(Debug)]
struct Split {
    file: File,
    path: PathBuf,
    seen: HashSet<String>,
}

impl Run {
    /// The seed.
    pub fn seed(&self) -> u64 {
        self.identity.seed
    }

    /// The arm's name.
    pub fn arm(&self) -> &str {
        &self.identity.arm
    }

    /// The run directory. Checkpoints go to `checkpoints/` in it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether `--check-memory` asks to try what needs the most memory first.
    pub fn checks_memory(&self) -> bool {
        self.check_memory
    }

    /// SHA-256 of the configuration, for a checkpoint to say what it belongs to.
    pub fn config_hash(&self) -> &str {
        &self.identity.config_hash
    }

    /// Appends a line to `metrics.jsonl`: values of one phase (`train`, `dev`) at one step. TensorBoard shows them too.
    ///
    /// Losses in nats, error rates in percent, times in seconds. A value that is not finite is written as `null`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn log(&mut self, step: u64, phase: &str, values: &[(&str, f64)]) -> Result<()> {
        self.metrics.write(step, phase, values)?;
        self.events.write(machine::seconds(), step, phase, values)
    }

    /// Drops the metrics after `step`, in one move. For a run that continues from a checkpoint of that step.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Corrupt`].
    pub fn rewind(&mut self, step: u64) -> Result<()> {
        self.metrics.rewind(step)?;
        self.events.rewind(machine::seconds(), step)
    }

    /// Begins the utterances of a split anew.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn start_split(&mut self, split: &str) -> Result<()> {
        let path = self.dir.join(format!("utterances.{split}.jsonl"));
        let file = File::create(&path).map_err(Error::io("cannot create", &path))?;
        self.splits.insert(
            split.to_owned(),
            Split {
                file,
                path,
                seen: HashSet::new(),
            },
        );
        Ok(())
    }

    /// Appends an utterance to `utterances.<split>.jsonl`: what was said and what was recognized.
    ///
    /// # Errors
    ///
    /// [`Error::SplitNotStarted`], [`Error::DuplicateUtterance`], [`Error::Io`].
    pub fn utterance(&mut self, split: &str, id: &str, reference: &str, hypothesis: &str) -> Result<()> {
        let Some(open) = self.splits.get_mut(split) else {
            return Err(Error::SplitNotStarted {
                split: split.to_owned(),
                id: id.to_owned(),
            });
        };
        if !open.seen.insert(id.to_owned()) {
            return Err(Error::DuplicateUtterance {
                split: split.to_owned(),
                id: id.to_owned(),
            });
        }
        let line = serde_json::json!({ "id": id, "reference": reference, "hypothesis": hypothesis });
        open.file
            .write_all(format!("{line}\n").as_bytes())
            .map_err(Error::io("cannot write", &open.path))
    }

    /// Writes a value as JSON into the run directory, in one move.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Corrupt`] if the value cannot be written as JSON.
    pub fn artifact<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let path = self.dir.join(name);
        let text = serde_json::to_vec(value).map_err(|error| Error::Corrupt {
            path: path.clone(),
            what: error.to_string(),
        })?;
        write_atomic(&path, &text)
    }

    /// Starts showing how far a piece of work is.
    pub fn progress(&self, what: &str, total: u64) -> Progress {
        Progress::start(&self.bars, &format!("{}{what}", self.prefix), total)
    }

    /// Shows a warning and keeps it in `log.txt`.
    #[allow(clippy::print_stderr)] // A warning belongs on standard error.
    pub fn warn(&mut self, message: impl AsRef<str>) {
        let message = message.as_ref();
        self.bars.suspend(|| eprintln!("warning: {message}"));
        self.note(&format!("warning: {message}"));
    }

    /// Keeps a line in `log.txt`.
    pub fn note(&mut self, message: &str) {
        // The log is a convenience; what must not be lost goes through the methods that can fail.
        let _ = writeln!(self.log, "{} {message}", machine::now());
    }

    /// Records a fact about the run for the report: `parameters`, `corpus_hash`, `train_hours`, `device`.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] if the value cannot be written as TOML; [`Error::Io`].
    pub fn set(&mut self, key: &str, value: impl Serialize) -> Result<()> {
        let value = toml::Value::try_from(value).map_err(|error| Error::Value {
            key: key.to_owned(),
            value: "metadata".to_owned(),
            reason: error.to_string(),
        })?;
        self.identity.metadata.insert(key.to_owned(), value);
        self.identity.write(&self.dir)
    }

    /// Says that the run was asked to stop and that everything up to `step` is saved. Return the error from
    /// [`Experiment::run`](crate::Experiment::run); the process then exits with [`INTERRUPTED`].
    #[must_use = "return it from Experiment::run"]
    pub fn interrupt(&mut self, step: u64) -> Error {
        self.interrupted = true;
        Error::Interrupted { step }
    }

    /// A stage of this run that trains by itself, such as a pre-training: a run in the directory `name` below this one's, with
    /// the same arm, seed and configuration. End it with [`done`](Self::done).
    ///
    /// # Errors
    ///
    /// [`Error::Locked`], [`Error::Io`].
    pub fn stage(&self, name: &str) -> Result<Self> {
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir).map_err(Error::io("cannot create", &dir))?;
        let lock = Lock::take(&dir)?;
        let identity = Identity::read(&dir)?.unwrap_or_else(|| Identity {
            sessions: 0,
            wall_seconds: 0.0,
            metadata: BTreeMap::new(),
            ..self.identity.clone()
        });
        let mut stage = Self::begin(dir, lock, identity)?;
        stage.prefix = format!("{name}: ");
        stage.bars = self.bars.clone();
        Ok(stage)
    }

    /// Ends a [`stage`](Self::stage) that is complete.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn done(self) -> Result<()> {
        self.close(Status::Done, None)
    }

    /// A run in a directory of its own, outside of any experiment: for tests and for programs that only train.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`], [`Error::Io`].
    pub fn at(dir: &Path, seed: u64) -> Result<Self> {
        fs::create_dir_all(dir).map_err(Error::io("cannot create", dir))?;
        let lock = Lock::take(dir)?;
        let identity = Identity::read(dir)?.unwrap_or_else(|| {
            new_identity(
                "scratch",
                &Setting::embedded(Scale::Smoke),
                "scratch",
                seed,
                String::new(),
            )
        });
        Self::begin(dir.to_owned(), lock, identity)
    }

    /// Opens the run directory of an arm and a seed.
    pub(crate) fn open(request: Request<'_>) -> Result<Opened> {
        let Request {
            runs,
            paper,
            setting,
            arm,
            seed,
            ..
        } = request;
        let dir = runs
            .join(paper)
            .join(setting.name())
            .join(arm)
            .join(format!("seed-{seed}"));
        fs::create_dir_all(&dir).map_err(Error::io("cannot create", &dir))?;
        let lock = Lock::take(&dir)?;
        if request.fresh {
            clear(&dir)?;
        }
        let identity = match Identity::read(&dir)? {
            Some(found) if found.config_hash != request.config_hash => {
                let old =
                    read_if_present(&dir.join("config.toml"))?.and_then(|text| text.parse::<Table>().ok());
                let changed = old
                    .map(|old| differences(&old, request.config).join(", "))
                    .unwrap_or_default();
                let changed = if changed.is_empty() {
                    "its configuration hash differs".to_owned()
                } else {
                    changed
                };
                return Err(Error::ConfigChanged {
                    dir,
                    status: found.status.to_string(),
                    changed,
                });
            }
            Some(found) if found.status == Status::Done => return Ok(Opened::Done(dir)),
            Some(mut found) => {
                found.setting = setting.name();
                found.data_root.clone_from(&setting.data_root);
                found
            }
            None => {
                let mut new = new_identity(paper, setting, arm, seed, request.config_hash);
                new.overrides = request.overrides;
                write_atomic(&dir.join("config.toml"), request.config_text.as_bytes())?;
                new
            }
        };
        let mut run = Self::begin(dir, lock, identity)?;
        run.check_memory = request.check_memory;
        Ok(Opened::Open(Box::new(run)))
    }

    fn begin(dir: PathBuf, lock: Lock, mut identity: Identity) -> Result<Self> {
        identity.status = Status::Running;
        identity.error = None;
        identity.ended = None;
        identity.sessions += 1;
        identity.command = machine::command_line();
        identity.code = machine::code();
        identity.machine = machine::machine();
        identity.write(&dir)?;
        let log_path = dir.join("log.txt");
        let log = OpenOptions::new().append(true).create(true).open(&log_path);
        Ok(Self {
            metrics: metrics::Writer::open(&dir)?,
            events: Events::open(&dir, identity.sessions, machine::seconds())?,
            log: log.map_err(Error::io("cannot open", log_path))?,
            splits: HashMap::new(),
            bars: MultiProgress::new(),
            prefix: String::new(),
            begun: Instant::now(),
            earlier: identity.wall_seconds,
            interrupted: false,
            check_memory: false,
            closed: false,
            identity,
            dir,
            _lock: lock,
        })
    }

    /// Whether [`Run::interrupt`] was called.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// A second handle on `log.txt`.
    pub(crate) fn log_file(&self) -> Result<File> {
        self.log
            .try_clone()
            .map_err(Error::io("cannot open", self.dir.join("log.txt")))
    }

    /// Ends the run. `done` is written last of all, so a run that says so is complete.
    pub(crate) fn close(mut self, status: Status, error: Option<String>) -> Result<()> {
        self.end(status, error)
    }

    fn end(&mut self, status: Status, error: Option<String>) -> Result<()> {
        self.closed = true;
        for split in self.splits.values() {
            split
                .file
                .sync_all()
                .map_err(Error::io("cannot write", &split.path))?;
        }
        self.identity.status = status;
        self.identity.error = error;
        self.identity.ended = Some(machine::now());
        self.identity.wall_seconds = self.earlier + self.begun.elapsed().as_secs_f64();
        self.identity.write(&self.dir)
    }
}

impl Drop for Run {
    /// A run that is dropped without being ended did not get to its end: a panic, or a program that left early.
    fn drop(&mut self) {
        if !self.closed {
            let status = if self.interrupted {
                Status::Interrupted
            } else {
                Status::Failed
            };
            let _ = self.end(status, Some("ended without a result".to_owned()));
        }
    }
}

fn new_identity(paper: &str, setting: &Setting, arm: &str, seed: u64, config_hash: String) -> Identity {
    Identity {
        paper: paper.to_owned(),
        setting: setting.name(),
        scale: setting.scale,
        corpus: setting.corpus.clone(),
        data_root: setting.data_root.clone(),
        arm: arm.to_owned(),
        seed,
        status: Status::Running,
        error: None,
        config_hash,
        overrides: Vec::new(),
        command: String::new(),
        started: machine::now(),
        ended: None,
        wall_seconds: 0.0,
        sessions: 0,
        code: Code {
            version: String::new(),
            git_commit: String::new(),
            git_dirty: false,
            rustc: String::new(),
            candle: String::new(),
        },
        machine: Machine {
            cpu: String::new(),
            cores: 0,
            memory_gib: None,
            system: String::new(),
        },
        metadata: BTreeMap::new(),
    }
}

/// Empties a run directory, except for the lock this process holds.
fn clear(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(Error::io("cannot read", dir))? {
        let path = entry.map_err(Error::io("cannot read", dir))?.path();
        if path.file_name().is_some_and(|name| name == crate::lock::FILE) {
            continue;
        }
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(Error::io("cannot remove", &path))?;
    }
    Ok(())
}

/// Reads `utterances.<split>.jsonl` of a run directory; `None` if there is none.
///
/// # Errors
///
/// [`Error::Io`]; [`Error::Corrupt`] with the line's number; [`Error::DuplicateUtterance`].
pub fn read_utterances(dir: &Path, split: &str) -> Result<Option<Vec<Utterance>>> {
    let path = dir.join(format!("utterances.{split}.jsonl"));
    let Some(text) = read_if_present(&path)? else {
        return Ok(None);
    };
    let mut seen = HashSet::new();
    let mut utterances = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let utterance: Utterance = serde_json::from_str(line).map_err(|error| Error::Corrupt {
            path: path.clone(),
            what: format!("line {}: {error}", index + 1),
        })?;
        if !seen.insert(utterance.id.clone()) {
            return Err(Error::DuplicateUtterance {
                split: split.to_owned(),
                id: utterance.id,
            });
        }
        utterances.push(utterance);
    }
    Ok(Some(utterances))
}
