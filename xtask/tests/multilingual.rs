//! `cargo xtask data synthesize mini --lang ..` as a user runs it.

#![allow(clippy::unwrap_used)] // Helpers of tests fail where tests would.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use sandhi_corpus::{Manifest, multilingual};

fn synthesize(out: &Path, languages: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["data", "synthesize", "mini", "--minutes", "0.1"]);
    command.args(["--lang", languages, "--out"]).arg(out);
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every file below a folder, by its path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn synthesize_says_how_to_get_a_missing_espeak() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = synthesize(&out, "de").env("PATH", "").output().unwrap();
    assert!(!output.status.success());
    let message = stderr(&output);
    assert!(message.contains("apt-get install espeak-ng"), "{message}");
    assert!(!out.exists(), "nothing is written before the program is there");
}

#[test]
fn synthesize_refuses_languages_without_translations() {
    let output = synthesize(Path::new("never-made"), "de,it").output().unwrap();
    assert!(!output.status.success());
    assert!(stderr(&output).contains("de, es, fr"), "{}", stderr(&output));
}

#[test]
fn synthesize_makes_the_same_corpus_twice() {
    if Command::new("espeak-ng").arg("--version").output().is_err() {
        eprintln!("skipped: espeak-ng is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = ["a", "b"].map(|name| {
        let out = folder.path().join(name);
        let output = synthesize(&out, "fr,de").output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        out
    });
    assert!(files(&made[0]) == files(&made[1]), "the same seed, other bytes");

    let corpus = multilingual(&made[0], &[]).unwrap();
    let tests: Vec<&str> = corpus.tests.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(tests, ["test-en", "test-de", "test-fr"]);
    // Side by side: the same sentence in each language.
    let first: Vec<(&str, u32)> = corpus
        .train
        .iter()
        .take(3)
        .map(|cut| (cut.language.as_str(), cut.sentence))
        .collect();
    assert_eq!(first, [("en", 0), ("de", 0), ("fr", 0)]);
    let german = &corpus.train[1];
    assert_eq!(german.text, "ihrer tante tut die hand weh");
    assert_eq!(corpus.lexicons["de"]["hand"], ["h", "a", "n", "t"]);
    assert_eq!(corpus.lexicons["en"]["hand"], ["h", "æ", "n", "d"]);

    // What is read is written again as it was.
    let path = made[0].join("de/train.jsonl");
    let manifest = Manifest::read(&path).unwrap();
    let again = made[0].join("de/again.jsonl");
    manifest.write(&again).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), std::fs::read(again).unwrap());

    // Work that is there is not written over.
    let output = synthesize(&made[0], "de").output().unwrap();
    assert!(stderr(&output).contains("is not empty"), "{}", stderr(&output));
}
