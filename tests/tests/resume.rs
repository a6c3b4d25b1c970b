//! A run that was killed, stopped or damaged, and carried on, is the run that never was.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use common::{Place, fail, signal, stderr, succeed, wait_for_step};

/// All that a finished run leaves that is not a time: weights, moments, averages, metrics, hypotheses.
fn remains(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut take = |name: &str| files.insert(name.to_owned(), fs::read(dir.join(name)).unwrap());
    take("checkpoints/best.safetensors");
    for name in ["params", "optimizer", "ema", "best"] {
        take(&format!("checkpoints/step-00000012/{name}.safetensors"));
    }
    take("utterances.test-common.jsonl");
    take("utterances.test-rare.jsonl");
    let metrics = fs::read_to_string(dir.join("metrics.jsonl")).unwrap();
    let timeless = metrics
        .lines()
        .filter(|line| !line.contains("\"phase\":\"machine\""))
        .map(|line| format!("{line}\n"));
    files.insert(
        "metrics.jsonl".to_owned(),
        timeless.collect::<String>().into_bytes(),
    );
    files
}

/// What an uninterrupted run leaves; every test has the same corpus, so it is run once.
fn expected() -> &'static BTreeMap<String, Vec<u8>> {
    static EXPECTED: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let place = Place::new();
        succeed(place.run("straight", &[]));
        remains(&place.run_dir("straight"))
    })
}

fn assert_same(dir: &Path, how: &str) {
    let got = remains(dir);
    for (name, bytes) in expected() {
        assert!(got[name] == *bytes, "{name} differs after {how}");
    }
}

/// The checkpoints of a run that are in place, oldest first.
fn checkpoints(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .filter(|path| path.is_dir() && path.extension().is_none())
        .collect();
    found.sort();
    found
}

/// Another seed tries other moments.
const SEED: u64 = 0x5eed;

/// The n-th delay below `most`: the first output of SplitMix64 from a state of its own.
fn delay(n: u64, most: Duration) -> Duration {
    let mut z = SEED.wrapping_add((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    most.mul_f64((z ^ (z >> 31)) as f64 / u64::MAX as f64)
}

#[test]
fn run_killed_at_random_moments_equals_uninterrupted() {
    let place = Place::new();
    let dir = place.run_dir("killed");
    let mut story = Vec::new();
    // From anywhere in the first steps, then from wherever it stands: loading, in a step, in a save, in validation.
    for (n, step) in [1, 4, 8].into_iter().enumerate() {
        let mut child = place.run("killed", &[]).spawn().unwrap();
        wait_for_step(&mut child, &dir, step);
        let delay = delay(n as u64, Duration::from_millis(400));
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
        story.push(format!("step {step} and {delay:?}"));
    }
    succeed(place.run("killed", &[]));
    assert_same(&dir, &format!("kills of seed {SEED:#x} at {}", story.join(", ")));
}

#[test]
fn run_asked_to_stop_exits_with_75_and_saves() {
    for name in ["TERM", "INT"] {
        let place = Place::new();
        let dir = place.run_dir("stopped");
        // Too many steps to be over before the signal is there.
        let endless = [
            "--set",
            "trainer.steps=1000000",
            "--set",
            "trainer.validate_every=0",
        ];
        let mut child = place.run("stopped", &endless).spawn().unwrap();
        assert!(wait_for_step(&mut child, &dir, 1));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("the state is saved"),
            "{}",
            stderr(&output)
        );
        assert!(
            fs::read_to_string(dir.join("run.toml"))
                .unwrap()
                .contains("interrupted")
        );
        assert!(!checkpoints(&dir).is_empty());
    }
}

#[test]
fn run_stopped_and_killed_while_it_pre_trains_equals_uninterrupted() {
    const ARM: &str = "rnnt-pretrained";
    let place = Place::new();
    succeed(place.run_arm(ARM, "straight", &[]));
    let expected = remains(&place.arm_dir(ARM, "straight"));
    let dir = place.arm_dir(ARM, "stopped");
    let stage = dir.join("pretraining");

    let mut child = place.run_arm(ARM, "stopped", &[]).spawn().unwrap();
    assert!(wait_for_step(&mut child, &stage, 4));
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
    let mut child = place.run_arm(ARM, "stopped", &[]).spawn().unwrap();
    wait_for_step(&mut child, &stage, 10);
    child.kill().unwrap();
    child.wait().unwrap();
    // And once more after the stage is over.
    let mut child = place.run_arm(ARM, "stopped", &[]).spawn().unwrap();
    wait_for_step(&mut child, &dir, 4);
    child.kill().unwrap();
    child.wait().unwrap();
    succeed(place.run_arm(ARM, "stopped", &[]));

    let got = remains(&dir);
    for (name, bytes) in &expected {
        assert!(got[name] == *bytes, "{name} differs");
    }
    let weights = |run: &str| {
        fs::read(
            place
                .arm_dir(ARM, run)
                .join("pretraining/speech-path.safetensors"),
        )
        .unwrap()
    };
    assert!(weights("stopped") == weights("straight"));
}

#[test]
fn run_asked_to_stop_and_continued_equals_uninterrupted() {
    let place = Place::new();
    let dir = place.run_dir("stopped");
    for step in [1, 5] {
        let mut child = place.run("stopped", &[]).spawn().unwrap();
        wait_for_step(&mut child, &dir, step);
        signal(&child, "TERM");
        child.wait_with_output().unwrap();
    }
    succeed(place.run("stopped", &[]));
    assert_same(&dir, "two signals");
}

#[test]
fn run_with_a_corrupt_checkpoint_falls_back_and_says_so() {
    let place = Place::new();
    let dir = place.run_dir("damaged");
    let mut child = place.run("damaged", &[]).spawn().unwrap();
    // The metrics of step 8 are written after the checkpoint of step 6, and those of step 4 after that of step 3.
    assert!(wait_for_step(&mut child, &dir, 8));
    child.kill().unwrap();
    child.wait().unwrap();
    let newest = checkpoints(&dir).pop().unwrap();
    // Cut short, as by a disk that lost its cache.
    let params = newest.join("params.safetensors");
    let bytes = fs::read(&params).unwrap();
    fs::write(&params, &bytes[..bytes.len() / 2]).unwrap();
    let output = succeed(place.run("damaged", &[]));
    let warning = format!("warning: {}", params.display());
    assert!(stderr(&output).contains(&warning), "{}", stderr(&output));
    assert_same(&dir, "a corrupt checkpoint");

    // With none left that is whole, the run says so and does not start over on its own.
    let dir = place.run_dir("broken");
    let mut child = place.run("broken", &[]).spawn().unwrap();
    assert!(wait_for_step(&mut child, &dir, 4));
    child.kill().unwrap();
    child.wait().unwrap();
    for checkpoint in checkpoints(&dir) {
        fs::write(checkpoint.join("manifest.toml"), b"not a manifest").unwrap();
    }
    fail(place.run("broken", &[]), &["none can be used", "--fresh"]);
    succeed(place.run("broken", &["--fresh"]));
    assert_same(&dir, "--fresh");
}

#[test]
fn run_that_cannot_write_its_checkpoint_keeps_the_old_one() {
    let place = Place::new();
    let dir = place.run_dir("full");
    // A first checkpoint gets through.
    let mut child = place.run("full", &[]).spawn().unwrap();
    assert!(wait_for_step(&mut child, &dir, 4));
    child.kill().unwrap();
    child.wait().unwrap();
    let before = checkpoints(&dir);
    assert!(!before.is_empty());

    // Then files may no longer grow beyond 64 KiB: writes fail halfway, as on a disk that runs full.
    let command = place.run("full", &[]);
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\""])
        .arg(command.get_program());
    limited
        .args(command.get_args())
        .stderr(std::process::Stdio::piped());
    let newest = before.last().unwrap().display().to_string();
    fail(
        limited,
        &["cannot write", "safetensors", &format!("{newest} is kept")],
    );
    assert_eq!(checkpoints(&dir), before);
    let left = fs::read_dir(dir.join("checkpoints")).unwrap();
    assert!(
        left.into_iter()
            .all(|entry| entry.unwrap().path().extension().is_none_or(|end| end != "tmp"))
    );

    // With room again, nothing was lost.
    succeed(place.run("full", &[]));
    assert_same(&dir, "a full disk");
}
