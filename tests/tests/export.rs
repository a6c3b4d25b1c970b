//! A trained model leaves its run: exported, loaded elsewhere, it hears the same.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Place, astra, fail, succeed};

const FILES: [&str; 4] = ["README.md", "config.toml", "frontend.json", "model.safetensors"];

fn export(run: &Path, to: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(astra());
    command.arg("export").arg(run).arg(to).args(more);
    command
}

fn transcripts(place: &Place, model: &Path) -> Vec<u8> {
    let files = (0..4).map(|index| place.corpus().join(format!("audio/dev-{index:02}.wav")));
    let mut command = Command::new(astra());
    command.arg("transcribe").arg("--run").arg(model).args(files);
    let output = succeed(command).stdout;
    assert_eq!(output.iter().filter(|&&byte| byte == b'\n').count(), 4);
    output
}

#[test]
fn exported_model_transcribes_as_its_run() {
    let place = Place::new();
    let run = place.run_dir("runs");
    fail(export(&run, &place.path("early"), &[]), &["config.toml"]);
    succeed(place.run("runs", &["--set", "trainer.snapshots=2"]));

    let (best, mean) = (place.path("best"), place.path("mean"));
    succeed(export(&run, &best, &[]));
    for name in FILES {
        let exported = fs::read(best.join(name)).unwrap();
        assert!(
            exported == fs::read(run.join("export").join(name)).unwrap(),
            "{name}"
        );
    }
    assert_eq!(transcripts(&place, &best), transcripts(&place, &run));
    let card = fs::read_to_string(best.join("README.md")).unwrap();
    for fact in [
        "`astra`, seed 3",
        "24 utterances",
        "word error rate on test-rare",
        "arXiv:2406.06664",
    ] {
        assert!(card.contains(fact), "expected {fact:?} in:\n{card}");
    }
    assert!(!card.contains("unknown"), "{card}");

    succeed(export(&run, &mean, &["--weights", "mean-last"]));
    let weights = |dir: &Path| fs::read(dir.join("model.safetensors")).unwrap();
    assert_ne!(weights(&mean), weights(&best));
    transcripts(&place, &mean);
    // The run did not decode with these.
    assert!(
        !fs::read_to_string(mean.join("README.md"))
            .unwrap()
            .contains("on test-rare")
    );

    fail(export(&run, &run, &[]), &["is a run directory"]);
    fs::write(best.join("model.safetensors"), b"cut short").unwrap();
    let mut command = Command::new(astra());
    command
        .arg("transcribe")
        .arg("--run")
        .arg(&best)
        .arg(place.corpus().join("audio/dev-00.wav"));
    fail(command, &["model.safetensors"]);
}
