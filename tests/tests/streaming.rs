//! What is heard piece by piece is what is heard at once.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Place, best_alignment, fail, succeed};

const SPLIT: &str = "test-common";

/// Hypotheses by utterance.
fn hypotheses(run: &Path, split: &str) -> HashMap<String, String> {
    let text = fs::read_to_string(run.join(format!("utterances.{split}.jsonl"))).unwrap();
    let fields = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| line[name].as_str().unwrap().to_owned();
        (field("id"), field("hypothesis"))
    };
    text.lines().map(fields).collect()
}

#[test]
fn stream_ends_in_what_the_run_decoded_and_takes_nothing_back() {
    let place = Place::new();
    let run = place.path("runs").join("best-alignment/smoke/best/seed-1");
    let mut command = Command::new(best_alignment());
    command
        .args(["run", "--arm", "best", "--scale", "smoke", "--seed", "1"])
        .args([
            "--set",
            "trainer.steps=120",
            "--set",
            "trainer.validate_every=120",
        ])
        .args(["--set", "augment.time_masks=0", "--set", "augment.freq_masks=0"])
        .args(["--set", "text_batch=0", "--set", "lambda_match=1"])
        .arg("--data-root")
        .arg(place.corpus())
        .arg("--runs")
        .arg(place.path("runs"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    succeed(command);
    let (first, last) = (
        hypotheses(&run, &format!("{SPLIT}-streaming")),
        hypotheses(&run, SPLIT),
    );
    let stream = |more: &[&str], file: &Path| {
        let mut command = Command::new(best_alignment());
        command.args(["stream", "--run"]).arg(&run).args(more).arg(file);
        command
    };
    let mut early = 0;
    for index in 0..4 {
        let id = format!("{SPLIT}-{index:02}");
        let file = place.corpus().join(format!("audio/{id}.wav"));
        for more in [&["--piece", "40"][..], &["--piece", "1000"]] {
            let output = String::from_utf8(succeed(stream(more, &file)).stdout).unwrap();
            let lines: Vec<Vec<&str>> = output.lines().map(|line| line.split('\t').collect()).collect();
            let (partial, ends) = lines.split_at(lines.len() - 2);
            assert_eq!(
                (ends[0][1], ends[0][2]),
                ("first", first[&id].as_str()),
                "{output}"
            );
            assert_eq!(
                (ends[1][1], ends[1][2]),
                ("final", last[&id].as_str()),
                "{output}"
            );
            let seconds = |line: &[&str]| line[0].parse::<f64>().unwrap();
            let mut text = "";
            for line in partial {
                assert!(
                    line[1] == "partial" && line[2].starts_with(text) && line[2] != text,
                    "{output}"
                );
                early += usize::from(seconds(line) < seconds(&ends[0]) - 0.2);
                text = line[2];
            }
        }
    }
    assert!(early > 3, "only {early} partial results came before the end");

    fail(
        stream(&[], &place.path("no-such-file.wav")),
        &["no-such-file.wav"],
    );
    let mut elsewhere = Command::new(best_alignment());
    elsewhere
        .args(["stream", "--run"])
        .arg(place.path("nothing"))
        .arg(place.path("no-such-file.wav"));
    fail(elsewhere, &["neither a run directory nor an export"]);
}
