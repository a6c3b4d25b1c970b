use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{read_if_present, write_atomic};
use crate::{Error, Result, Scale};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// A process is at it; or was, and was killed without a chance to say so (then nobody holds the lock).
    Running,
    /// Asked to stop; the state is saved.
    Interrupted,
    /// Complete.
    Done,
    /// Stopped by an error.
    Failed,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Done => "done",
            Self::Failed => "failed",
        })
    }
}

/// What code made a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// Version of the workspace.
    pub version: String,
    /// Commit that was checked out, or "unknown".
    pub git_commit: String,
    /// Whether tracked files differed from it.
    pub git_dirty: bool,
    /// Compiler.
    pub rustc: String,
    /// Version of candle.
    pub candle: String,
}

/// What a run was made on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Processor model.
    pub cpu: String,
    /// Cores this process may use.
    pub cores: u64,
    /// Memory, GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<f64>,
    /// Operating system and architecture.
    pub system: String,
}

/// Everything that identifies a run: `run.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Key of the paper.
    pub paper: String,
    /// Name of the setting, a directory.
    pub setting: String,
    /// Budget.
    pub scale: Scale,
    /// Corpus.
    pub corpus: String,
    /// Where the corpus was, if it is not embedded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_root: Option<PathBuf>,
    /// Arm.
    pub arm: String,
    /// Seed.
    pub seed: u64,
    /// State.
    pub status: Status,
    /// The error that stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// SHA-256 of the configuration.
    pub config_hash: String,
    /// Fields that were set from the command line.
    #[serde(default)]
    pub overrides: Vec<String>,
    /// Command line of the last session.
    pub command: String,
    /// Start of the first session, RFC 3339.
    pub started: String,
    /// End of the last session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Time spent in all sessions, seconds. A session that was killed is not counted.
    pub wall_seconds: f64,
    /// How often the run was started or continued.
    pub sessions: u64,
    /// The code.
    pub code: Code,
    /// The hardware.
    pub machine: Machine,
    /// What the experiment recorded with [`Run::set`](crate::Run::set).
    #[serde(default)]
    pub metadata: BTreeMap<String, toml::Value>,
}

impl Identity {
    /// The file's name.
    pub const FILE: &'static str = "run.toml";

    /// Reads the identity of the run in a directory; `None` if there is no run.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Corrupt`].
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(Self::FILE);
        let Some(text) = read_if_present(&path)? else {
            return Ok(None);
        };
        match toml::from_str(&text) {
            Ok(identity) => Ok(Some(identity)),
            Err(error) => Err(Error::Corrupt {
                what: error.to_string().trim().replace('\n', " "),
                path,
            }),
        }
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(Self::FILE);
        let text = toml::to_string(self).map_err(|error| Error::Corrupt {
            path: path.clone(),
            what: error.to_string(),
        })?;
        write_atomic(&path, text.as_bytes())
    }
}
