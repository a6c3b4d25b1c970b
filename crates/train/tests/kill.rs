//! `kill -9` at any moment, again and again: what is left at the end is what an undisturbed training leaves.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sandhi_lab::read_metrics;
use sandhi_nn::random::{key, subkey};

/// Another seed tries other moments.
const SEED: u64 = 20_261;
const STEPS: u64 = 120;
const KILLS: u64 = 40;

/// The example `parity`; cargo builds it beside the tests.
fn training(dir: &Path) -> Command {
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().unwrap().parent().unwrap();
    let mut command = Command::new(target.join("examples/parity"));
    command.arg(dir).arg(STEPS.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// A share in 0..1, a function of the seed, the purpose and the number of the kill.
fn share(purpose: &str, kill: u64) -> f64 {
    subkey(key(SEED, purpose), kill) as f64 / u64::MAX as f64
}

/// What is being written or moved at this moment: checkpoints and files beside their place.
fn unfinished(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("checkpoints"))
        .into_iter()
        .flatten()
        .flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "tmp"))
        .collect()
}

/// Everything that is not a time.
fn remains(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (name, place) in [
        ("kept", "checkpoints/best.safetensors".to_owned()),
        ("mean of the last", "checkpoints/mean-last.safetensors".to_owned()),
        ("mean of the best", "checkpoints/mean-best.safetensors".to_owned()),
        (
            "params",
            format!("checkpoints/step-{STEPS:08}/params.safetensors"),
        ),
        (
            "optimizer",
            format!("checkpoints/step-{STEPS:08}/optimizer.safetensors"),
        ),
        ("ema", format!("checkpoints/step-{STEPS:08}/ema.safetensors")),
        ("best", format!("checkpoints/step-{STEPS:08}/best.safetensors")),
    ] {
        files.insert(name.to_owned(), fs::read(dir.join(place)).unwrap());
    }
    let mut metrics = read_metrics(dir).unwrap();
    metrics.retain(|line| line.phase != "machine");
    files.insert("metrics".to_owned(), format!("{metrics:?}").into_bytes());
    files
}

/// Waits for the moment of a kill: some time after the start, or some time after a save began. False if the training
/// ended first.
fn wait(child: &mut Child, dir: &Path, kill: u64) -> bool {
    let start = Instant::now();
    let in_save = kill % 2 == 1;
    // A save takes some milliseconds here, a session reaches its first step in some tens.
    let most = if in_save { 12.0 } else { 400.0 };
    let delay = Duration::from_secs_f64(share("delay", kill) * most / 1000.0);
    // The saves of a session are passed over at first, so that it gets somewhere.
    let passed = Duration::from_secs_f64(share("pass", kill) * 0.3);
    let mut since = (!in_save).then_some(start);
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if since.is_none() && start.elapsed() >= passed && !unfinished(dir).is_empty() {
            since = Some(Instant::now());
        }
        if since.is_some_and(|since| since.elapsed() >= delay) {
            return true;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn training_killed_at_any_moment_ends_with_the_same_bits() {
    let place = tempfile::tempdir().unwrap();
    let (straight, killed) = (place.path().join("straight"), place.path().join("killed"));
    let run = |dir: &Path| {
        let output = training(dir).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "seed {SEED}: {text}");
    };
    run(&straight);

    let (mut kills, mut in_saves) = (0, 0);
    for kill in 0..KILLS {
        let mut child = training(&killed).stderr(Stdio::null()).spawn().unwrap();
        let alive = wait(&mut child, &killed, kill);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        if !alive {
            assert!(status.success(), "seed {SEED}: session {kill} failed: {status}");
            break;
        }
        kills += 1;
        in_saves += u64::from(!unfinished(&killed).is_empty());
    }
    // Else the test would prove little, and its delays need another look.
    assert!(
        kills >= 10 && in_saves >= 3,
        "seed {SEED}: {kills} kills, {in_saves} of them in a save"
    );
    run(&killed);
    let (expected, got) = (remains(&straight), remains(&killed));
    for (name, bytes) in expected {
        assert!(
            got[&name] == bytes,
            "{name} differs after {kills} kills of seed {SEED}, {in_saves} of them in a save"
        );
    }
}
