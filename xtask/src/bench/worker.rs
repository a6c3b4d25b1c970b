//! A contender's process and the lines it speaks; `crates/transducer/examples/bench_worker/protocol.rs` says which.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};

use super::Setting;
use super::contender::{Contender, Kind};
use super::environment;

/// The folder of `protocol.py`.
const PROTOCOL: &str = "crates/transducer/bench";
/// Libraries take their time to load, more so from a cold disk.
const LOADING: Duration = Duration::from_secs(180);

/// A process that answers.
pub(crate) struct Worker {
    child: Child,
    ask: ChildStdin,
    answers: Receiver<String>,
    log: PathBuf,
    /// What it calls itself.
    pub(crate) version: String,
}

/// The answer to a call.
pub(crate) enum Answer {
    Given(Value),
    TooLong,
}

impl Worker {
    pub(crate) fn start(
        setting: &Setting,
        contender: &Contender,
        inputs: &Path,
        arguments: &[String],
    ) -> anyhow::Result<Self> {
        Self::spawn(
            command(setting, contender, inputs, arguments)?,
            contender.name,
            setting.folder.join("worker.log"),
        )
    }

    /// Starts a process that speaks in lines, and waits until it is ready. What else it says is kept in the log.
    pub(crate) fn spawn(mut command: Command, name: &str, log: PathBuf) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let (Some(ask), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("a process without pipes");
        };
        let (send, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let mut worker = Self {
            child,
            ask,
            answers,
            log,
            version: String::new(),
        };
        match worker.answer(LOADING)? {
            Answer::Given(ready) => {
                worker.version = ready["ready"].as_str().unwrap_or_default().to_owned();
                Ok(worker)
            }
            Answer::TooLong => bail!("not ready after {} s", LOADING.as_secs()),
        }
    }

    pub(crate) fn run(&mut self, limit: Duration) -> anyhow::Result<Answer> {
        self.ask(&json!({"do": "run"}), limit)
    }

    pub(crate) fn peak(&mut self, limit: Duration) -> anyhow::Result<Answer> {
        self.ask(&json!({"do": "peak"}), limit)
    }

    /// The comparison itself is not fast.
    pub(crate) fn check(&mut self, reference: &Path, limit: Duration) -> anyhow::Result<Answer> {
        self.ask(&json!({"do": "check", "reference": reference}), limit + LOADING)
    }

    pub(crate) fn ask(&mut self, line: &Value, limit: Duration) -> anyhow::Result<Answer> {
        // If it is gone, its last words say more than the broken pipe.
        let _ = writeln!(self.ask, "{line}").and_then(|()| self.ask.flush());
        self.answer(limit)
    }

    fn answer(&mut self, limit: Duration) -> anyhow::Result<Answer> {
        let line = match self.answers.recv_timeout(limit) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return Ok(Answer::TooLong),
            Err(RecvTimeoutError::Disconnected) => return Err(self.last_words()),
        };
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("it says {line:?}"))?;
        match answer["error"].as_str() {
            Some(error) => Err(anyhow!("{error}")),
            None => Ok(Answer::Given(answer)),
        }
    }

    fn last_words(&self) -> anyhow::Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rfind(|line| !line.trim().is_empty());
        anyhow!(
            "it ended: {}",
            last.unwrap_or("without a word, perhaps out of memory")
        )
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be in the middle of a call that nobody waits for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a contender is started: with our environment variables but for those that set threads, which are the same for all,
/// and the allocator, which is as the contender says.
fn command(
    setting: &Setting,
    contender: &Contender,
    inputs: &Path,
    arguments: &[String],
) -> anyhow::Result<Command> {
    let threads = setting.threads.to_string();
    let mut command = match contender.kind {
        Kind::Ours(mode) | Kind::Floor(mode) => {
            let mut command = crate::paper::program(setting.root, &setting.program)?;
            command.arg(mode).args(arguments).arg(inputs);
            // Products of tensors are candle's; everything else of ours goes through rayon.
            let products = if mode == "dense" { threads.as_str() } else { "1" };
            command.env("CANDLE_NUM_THREADS", products);
            command
        }
        Kind::Rival(script) => {
            let python = environment::python(&setting.folder, script.environment);
            let script = setting.root.join(script.file);
            let mut command = Command::new(python);
            command
                .args([script.as_os_str(), inputs.as_os_str()])
                .arg(&threads)
                .args(arguments);
            command.env("PYTHONDONTWRITEBYTECODE", "1");
            command.env("PYTHONPATH", setting.root.join(PROTOCOL));
            command
        }
    };
    for name in [
        "RAYON_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ] {
        command.env(name, &threads);
    }
    // Libraries for GPUs are not to look for any.
    command.env("CUDA_VISIBLE_DEVICES", "");
    const ALLOCATOR: &str = "GLIBC_TUNABLES";
    command.env_remove(ALLOCATOR);
    if contender.keep_pages
        && let Some(value) = crate::paper::setting(setting.root, ALLOCATOR)?
    {
        command.env(ALLOCATOR, OsString::from(value));
    }
    if contender.unlocked {
        command.env("LD_PRELOAD", environment::unlocked(setting)?);
    }
    Ok(command)
}
