//! What the whole-road tests share: the binary, a corpus of tones, and running one on the other.

#![allow(dead_code, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Hertz.
const RATE: u32 = 16_000;

/// The `astra` binary of the profile these tests were built with.
pub(crate) fn astra() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| built("astra"))
}

/// The `best-alignment` binary of the profile these tests were built with.
pub(crate) fn best_alignment() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| built("best-alignment"))
}

/// Builds a paper's binary.
fn built(paper: &str) -> PathBuf {
    // <target>/<profile>/deps/<this test>
    let this = std::env::current_exe().unwrap();
    let profile = this.ancestors().nth(2).unwrap();
    let mut build = Command::new(env!("CARGO"));
    // The whole workspace, so that dependencies have the features they were built with for the tests.
    build
        .args(["build", "--quiet", "--workspace", "--bin", paper, "--target-dir"])
        .arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(
        build
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap()
            .success()
    );
    profile.join(paper)
}

/// A folder that goes with the test, with a corpus in it.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        corpus(&place.corpus());
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn corpus(&self) -> PathBuf {
        self.path("corpus")
    }

    /// `astra run` of the arm with every loss there is, on the corpus of tones, into `runs`.
    pub(crate) fn run(&self, runs: &str, more: &[&str]) -> Command {
        self.run_arm("astra", runs, more)
    }

    /// The same with another arm.
    pub(crate) fn run_arm(&self, arm: &str, runs: &str, more: &[&str]) -> Command {
        let mut command = Command::new(astra());
        command.args(["run", "--arm", arm, "--scale", "smoke", "--seed", "3"]);
        command
            .arg("--data-root")
            .arg(self.corpus())
            .arg("--runs")
            .arg(self.path(runs));
        for set in [
            "steps=12",
            "checkpoint_every=3",
            "validate_every=4",
            "log_every=2",
            "ema_decay=0.9",
        ] {
            command.args(["--set", &format!("trainer.{set}")]);
        }
        command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The directory of that run.
    pub(crate) fn run_dir(&self, runs: &str) -> PathBuf {
        self.arm_dir("astra", runs)
    }

    /// The directory of another arm's run.
    pub(crate) fn arm_dir(&self, arm: &str, runs: &str) -> PathBuf {
        self.path(runs).join(format!("astra/smoke/{arm}/seed-3"))
    }
}

/// Runs to the end and demands success.
pub(crate) fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", stderr(&output));
    output
}

/// Runs to the end and demands an error that says all of `words`, and no panic.
pub(crate) fn fail(mut command: Command, words: &[&str]) -> String {
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{command:?}\n{text}");
    assert!(!text.contains("panicked"), "{text}");
    for word in words {
        assert!(text.contains(word), "expected {word:?} in:\n{text}");
    }
    text
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until a run has logged a step, as its `metrics.jsonl` tells; false if it ended before.
pub(crate) fn wait_for_step(child: &mut Child, dir: &Path, step: u64) -> bool {
    let start = Instant::now();
    let reached = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        line["step"].as_u64().is_some_and(|got| got >= step)
    };
    loop {
        let text = fs::read_to_string(dir.join("metrics.jsonl")).unwrap_or_default();
        if text.lines().any(reached) {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "step {step} was not reached in two minutes"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a signal by name.
#[cfg(unix)]
pub(crate) fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

const WORDS: [&str; 8] = ["bad", "cab", "deaf", "egg", "fade", "gab", "ace", "bee"];

/// Writes a corpus in the layout of the embedded one, in which every letter is a tone of its own.
fn corpus(root: &Path) {
    fs::create_dir_all(root.join("audio")).unwrap();
    for (split, num, offset) in [
        ("train", 30, 0),
        ("dev", 4, 30),
        ("test-common", 4, 34),
        ("test-rare", 4, 38),
    ] {
        let mut manifest = String::new();
        for index in 0..num {
            let sentence = offset + index;
            let word = |i: usize| WORDS[(sentence * 3 + i * 5 + sentence / 8) % WORDS.len()];
            let text = (0..1 + sentence % 3).map(word).collect::<Vec<_>>().join(" ");
            let samples = tones(&text);
            let id = format!("{split}-{index:02}");
            fs::write(root.join(format!("audio/{id}.wav")), wav(RATE, &samples)).unwrap();
            let record = serde_json::json!({
                "id": id,
                "audio": format!("audio/{id}.wav"),
                "duration": samples.len() as f64 / f64::from(RATE),
                "num_samples": samples.len(),
                "sample_rate": RATE,
                "speaker": format!("s{}", index % 4),
                "language": "en",
                "text": text,
                "sentence": sentence,
                "low_resource": split == "train" && index < 24,
            });
            writeln!(manifest, "{record}").unwrap();
        }
        fs::write(root.join(format!("{split}.jsonl")), manifest).unwrap();
    }
    for language in ["en", "de", "es", "fr"] {
        fs::write(root.join(format!("text.{language}.tsv")), "0\tbad cab\n").unwrap();
    }
    let spelled = |word: &str| word.chars().map(String::from).collect::<Vec<_>>().join(" ");
    // The last word is there for its letters: unpaired sentences are made of all of them.
    let lexicon: String = WORDS
        .iter()
        .chain(&["abcdefghijklmnopqrstuvwxyz'"])
        .map(|word| format!("{word}\t{}\n", spelled(word)))
        .collect();
    fs::write(root.join("lexicon.tsv"), lexicon).unwrap();
    fs::write(root.join("rare-words.txt"), "egg\n").unwrap();
}

/// 80 ms per letter, each a tone with a little deterministic noise.
fn tones(text: &str) -> Vec<i16> {
    let mut noise = 1u32;
    let mut samples = Vec::new();
    for letter in text.bytes() {
        let hertz = if letter == b' ' {
            0.0
        } else {
            300.0 + 350.0 * f64::from(letter - b'a')
        };
        for n in 0..RATE * 80 / 1000 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let phase = std::f64::consts::TAU * hertz * f64::from(n) / f64::from(RATE);
            samples.push((6000.0 * phase.sin()) as i16 + (noise >> 26) as i16 - 32);
        }
    }
    samples
}

/// A WAV file of 16-bit mono samples.
pub(crate) fn wav(rate: u32, samples: &[i16]) -> Vec<u8> {
    let bytes = samples.len() as u32 * 2;
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + bytes).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    for word in [16, 0x0001_0001, rate, rate * 2, 0x0010_0002] {
        file.extend_from_slice(&u32::to_le_bytes(word));
    }
    file.extend_from_slice(b"data");
    file.extend_from_slice(&bytes.to_le_bytes());
    samples
        .iter()
        .for_each(|sample| file.extend_from_slice(&sample.to_le_bytes()));
    file
}
