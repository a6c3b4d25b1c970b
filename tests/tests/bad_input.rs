//! Wrong input through the command line: each ends with a message that says what and where, and nothing is lost.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Place, astra, fail, stderr, succeed, wait_for_step, wav};

fn astra_run(arguments: &[&str]) -> Command {
    let mut command = Command::new(astra());
    command.arg("run").args(arguments);
    command
}

/// Replaces the first occurrence in a file.
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn corpus_that_is_missing_is_named_with_its_path() {
    let place = Place::new();
    let nowhere = place.path("nowhere").display().to_string();
    let runs = place.path("runs").display().to_string();
    let here = |corpus, root| {
        [
            "--arm",
            "rnnt",
            "--scale",
            "smoke",
            "--corpus",
            corpus,
            "--runs",
            &runs,
            "--data-root",
            root,
        ]
    };
    fail(astra_run(&here("mini", &nowhere)), &["not found", &nowhere]);
    fail(astra_run(&here("an4", &nowhere)), &["not found", &nowhere]);
    // A folder that exists and is no corpus.
    let other = place.path("corpus/audio").display().to_string();
    fail(astra_run(&here("mini", &other)), &["not found", "train.jsonl"]);
    fail(
        astra_run(&here("an4", &other)),
        &["not found", "an4_train.fileids"],
    );
    let without = [
        "--arm", "rnnt", "--scale", "smoke", "--corpus", "an4", "--runs", &runs,
    ];
    let mut command = astra_run(&without);
    command.env_remove("SANDHI_DATA");
    fail(command, &["--data-root"]);
}

#[test]
fn names_that_do_not_exist_come_with_the_nearest() {
    let place = Place::new();
    fail(
        place.run("runs", &["--corpus", "minni"]),
        &["unknown corpus 'minni'", "mini"],
    );
    fail(
        place.run("runs", &["--set", "trainer.stepz=3"]),
        &["trainer.stepz", "did you mean 'trainer.steps'"],
    );
    fail(
        place.run("runs", &["--set", "trainer.schedule.peek=3"]),
        &["did you mean 'trainer.schedule.peak'"],
    );
    fail(
        place.run("runs", &["--set", "trainer.steps=many"]),
        &["trainer.steps", "many"],
    );
    fail(
        place.run("runs", &["--set", "trainer.steps=0"]),
        &["steps", "got 0"],
    );
    for (set, words) in [
        ("match_level=9", ["match_level", "got 9"]),
        ("repeat=0", ["repeat", "got 0"]),
        ("paired_minutes=-1.0", ["paired_minutes", "got -1"]),
        (
            "paired_minutes=1e6",
            ["paired_minutes", "no more than the corpus has"],
        ),
    ] {
        fail(place.run(set, &["--set", set]), &words);
    }
    let mut command = Command::new(astra());
    command
        .args(["run", "--arm", "astro", "--scale", "smoke", "--runs"])
        .arg(place.path("runs"));
    fail(command, &["unknown arm 'astro'", "did you mean 'astra'"]);
}

#[test]
fn utterance_too_short_for_its_labels_is_named_before_training() {
    let place = Place::new();
    fail(
        place.run("runs", &["--set", "speeds=[2.0]"]),
        &["utterance train-", "at speed 2", "encoder frames", "lambda_ctc=0"],
    );
    let metrics = place.run_dir("runs").join("metrics.jsonl");
    assert_eq!(fs::read_to_string(metrics).unwrap(), "", "no step was taken");
}

#[test]
fn configuration_file_with_an_unknown_key_is_refused() {
    let place = Place::new();
    succeed(place.run("runs", &["--set", "trainer.steps=1"]));
    let config = place.path("config.toml");
    fs::copy(place.run_dir("runs").join("config.toml"), &config).unwrap();
    edit(&config, "lambda_text", "lambda_texts");
    let path = config.display().to_string();
    fail(
        place.run("other", &["--config", &path]),
        &["lambda_texts", "did you mean 'lambda_text'"],
    );
}

#[test]
fn audio_that_cannot_be_used_is_named_with_its_utterance() {
    let whole: Vec<i16> = (0..8000).map(|n| (n % 256) as i16 * 40).collect();
    let good = wav(16_000, &whole);
    let cases: [(&str, Vec<u8>, &[&str]); 6] = [
        ("truncated", good[..good.len() / 2].to_vec(), &["truncated"]),
        (
            "not audio",
            b"These are words, and words are no samples.".repeat(40),
            &["not an audio file"],
        ),
        ("wrong rate", wav(8_000, &whole), &["16000", "8000"]),
        ("empty", wav(16_000, &[]), &["0 samples"]),
        ("no bytes", Vec::new(), &[]),
        (
            "shorter than a window",
            wav(16_000, &whole[..200]),
            &["too short"],
        ),
    ];
    for (what, bytes, words) in cases {
        let place = Place::new();
        fs::write(place.corpus().join("audio/train-07.wav"), bytes).unwrap();
        let text = fail(place.run("runs", &[]), &["train-07"]);
        assert!(
            words.iter().all(|word| text.contains(word)),
            "{what}: expected {words:?} in:\n{text}"
        );
    }
}

#[test]
fn audio_shorter_than_the_receptive_field_is_refused() {
    // One window fits, and the subsampling needs more frames than that.
    let place = Place::new();
    let samples: Vec<i16> = (0..500).map(|n| (n % 100) as i16 * 90).collect();
    fs::write(place.corpus().join("audio/train-07.wav"), wav(16_000, &samples)).unwrap();
    fail(
        place.run("runs", &[]),
        &["utterance train-07", "feature frames", "at least 7"],
    );
}

#[test]
fn manifest_that_is_wrong_is_named_with_its_line() {
    type Damage = fn(&Path);
    let cases: [(Damage, &[&str]); 6] = [
        (
            |path| edit(path, "\"id\":\"train-05\"", "\"id\":\"train-04\""),
            &["train.jsonl:6", "duplicate id \"train-04\"", "line 5"],
        ),
        (
            |path| edit(path, "\"speaker\"", "\"speakr\""),
            &["train.jsonl:1", "speakr"],
        ),
        (
            |path| edit(path, "audio/train-03.wav", "audio/gone.wav"),
            &["train.jsonl:4", "gone.wav"],
        ),
        (
            |path| {
                let text = fs::read(path).unwrap();
                fs::write(path, [b"\xEF\xBB\xBF".as_slice(), &text].concat()).unwrap();
            },
            &["train.jsonl:1", "byte order mark"],
        ),
        (
            |path| {
                let mut text = fs::read(path).unwrap();
                let second = text.iter().position(|&byte| byte == b'\n').unwrap() + 5;
                text[second] = 0xFF;
                fs::write(path, text).unwrap();
            },
            &["train.jsonl:2", "invalid UTF-8"],
        ),
        (
            |path| fs::write(path, "").unwrap(),
            &["train.jsonl", "at least one cut"],
        ),
    ];
    for (damage, words) in cases {
        let place = Place::new();
        damage(&place.corpus().join("train.jsonl"));
        fail(place.run("runs", &[]), words);
    }
}

#[test]
fn run_directory_has_one_process_at_a_time() {
    let place = Place::new();
    let dir = place.run_dir("runs");
    let mut first = place.run("runs", &[]).spawn().unwrap();
    assert!(wait_for_step(&mut first, &dir, 1));
    let id = first.id().to_string();
    let text = fail(place.run("runs", &[]), &["in use", &id]);
    assert!(text.contains(&dir.display().to_string()), "{text}");
    // --fresh does not pull the directory from under it either.
    fail(place.run("runs", &["--fresh"]), &["in use", &id]);
    let output = first.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn run_of_another_configuration_is_not_mixed_in() {
    let place = Place::new();
    succeed(place.run("runs", &[]));
    let before = fs::read(place.run_dir("runs").join("metrics.jsonl")).unwrap();
    fail(
        place.run("runs", &["--set", "lambda_text=0.5"]),
        &["lambda_text", "lambda_text: 1.0 -> 0.5", "0.5", "--fresh"],
    );
    assert_eq!(
        fs::read(place.run_dir("runs").join("metrics.jsonl")).unwrap(),
        before
    );
    // The same again is done, and says so.
    let output = succeed(place.run("runs", &[]));
    assert!(stderr(&output).contains("done already"), "{}", stderr(&output));

    // Transcribing goes on after a file that is not audio, and fails in the end.
    let (good, bad) = (
        place.corpus().join("audio/dev-01.wav"),
        place.corpus().join("dev.jsonl"),
    );
    let mut command = Command::new(astra());
    command
        .args(["transcribe", "--run"])
        .arg(place.run_dir("runs"))
        .arg(&bad)
        .arg(&good);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("dev.jsonl: not an audio file"),
        "{}",
        stderr(&output)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(
        lines.starts_with(&format!("{}\t", good.display())) && lines.lines().count() == 1,
        "{lines}"
    );
}
