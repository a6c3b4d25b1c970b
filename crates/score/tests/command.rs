//! The command line, as a user meets it.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

struct Files {
    dir: TempDir,
}

impl Files {
    fn new(reference: impl AsRef<[u8]>, hypothesis: impl AsRef<[u8]>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ref.txt"), reference).unwrap();
        std::fs::write(dir.path().join("hyp.txt"), hypothesis).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn score(&self, metric: &str, more: &[&str]) -> Command {
        let mut command = Command::cargo_bin("sandhi-score").unwrap();
        command
            .arg(metric)
            .arg("--ref")
            .arg(self.path("ref.txt"))
            .arg("--hyp")
            .arg(self.path("hyp.txt"));
        command.args(more);
        command
    }

    fn json(&self, metric: &str) -> Value {
        let output = self
            .score(metric, &["--json"])
            .assert()
            .success()
            .get_output()
            .stdout
            .clone();
        serde_json::from_slice(&output).unwrap()
    }

    /// What a failing run says on the error stream, after checking that it printed no score.
    fn complaint(&self) -> String {
        let output = self
            .score("wer", &[])
            .assert()
            .failure()
            .code(1)
            .get_output()
            .clone();
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    }
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn command_json_has_all_counts() {
    let report = Files::new("a b c\n\nd e\n", "a x c y\n\ne\n").json("wer");
    assert_eq!(report["metric"], "wer");
    assert_eq!(report["value"], 60.0);
    for (key, count) in [
        ("substitutions", 1),
        ("deletions", 1),
        ("insertions", 1),
        ("hits", 3),
        ("reference_len", 5),
        ("utterances", 3),
    ] {
        assert_eq!(report[key], count, "{key}");
    }
    let signature = report["signature"].as_str().unwrap();
    assert!(
        signature.starts_with("wer|") && signature.ends_with("|utts:3|words:5"),
        "{signature}"
    );
    let interval = &report["interval"];
    assert!(interval["low"].as_f64().unwrap() <= 60.0 && interval["high"].as_f64().unwrap() >= 60.0);
    assert_eq!(
        (&interval["samples"], &interval["seed"]),
        (&Value::from(1000), &Value::from(0))
    );
}

#[test]
fn command_counts_characters() {
    let report = Files::new("ab c\n", "abc\n").json("cer");
    assert_eq!(
        (&report["metric"], &report["value"], &report["deletions"]),
        (&"cer".into(), &25.0.into(), &1.into())
    );
}

#[test]
fn command_table_shows_rate_and_signature() {
    let files = Files::new("a b c d\n", "a b x d\n");
    let output = files
        .score("wer", &[])
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let table = String::from_utf8(output).unwrap();
    for line in [
        "25.00 %",
        "95 % interval",
        "substitutions",
        "wer|tok:jiwer4-words|",
    ] {
        assert!(table.contains(line), "{line:?} is missing from:\n{table}");
    }
}

#[test]
fn command_shows_the_worst_utterances_aligned() {
    let files = Files::new("a b\none two three\n", "a b\none to three four\n");
    let output = files
        .score("wer", &["--show", "9"])
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let shown = String::from_utf8(output).unwrap();
    let expected =
        "line 2: 2 errors\n  ref  one two three *\n  hyp  one to  three four\n           S         I\n";
    assert!(shown.ends_with(expected), "{shown}");
    assert!(!shown.contains("line 1:"));
}

#[test]
fn command_says_what_empty_references_give() {
    let files = Files::new("\n\n", "a b\nc\n");
    assert_eq!(files.json("wer")["value"], 300.0);
    let output = files
        .score("wer", &[])
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    assert!(String::from_utf8(output).unwrap().contains("100 per insertion"));
}

#[test]
fn command_reads_windows_line_ends_and_a_missing_last_one() {
    let report = Files::new("a b\r\nc\r\n", "a b\nc").json("wer");
    assert_eq!(
        (&report["value"], &report["utterances"]),
        (&0.0.into(), &2.into())
    );
}

#[test]
fn lines_come_without_their_ends() {
    let files = Files::new("a b\r\n\r\n c\n\n", "");
    assert_eq!(
        sandhi_score::read_lines(&files.path("ref.txt")).unwrap(),
        ["a b", "", " c", ""]
    );
    assert!(
        sandhi_score::read_lines(&files.path("hyp.txt"))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn command_refuses_different_line_counts() {
    let complaint = Files::new("a\nb\nc\n", "a\nb\n").complaint();
    assert!(
        complaint.contains("ref.txt has 3 lines") && complaint.contains("hyp.txt has 2"),
        "{complaint}"
    );
}

#[test]
fn command_refuses_text_that_is_not_utf8() {
    let files = Files::new("a\nb\n", b"a\nb\xff\n");
    let complaint = files.complaint();
    assert!(
        complaint.contains(&format!("{}:2: expected UTF-8", display(&files.path("hyp.txt")))),
        "{complaint}"
    );
    assert!(complaint.contains("0xff at byte 2"), "{complaint}");
}

#[test]
fn command_refuses_a_byte_order_mark() {
    let files = Files::new("\u{feff}a\n", "a\n");
    let complaint = files.complaint();
    assert!(
        complaint.contains(&format!(
            "{}:1: begins with a byte-order",
            display(&files.path("ref.txt"))
        )),
        "{complaint}"
    );
    // Files joined by `cat` have it further down.
    assert!(
        Files::new("a\nb\n", "a\n\u{feff}b\n")
            .complaint()
            .contains("hyp.txt:2: begins with")
    );
}

#[test]
fn command_refuses_missing_and_empty_files() {
    let files = Files::new("", "");
    assert!(files.complaint().contains("has no lines"));
    std::fs::remove_file(files.path("hyp.txt")).unwrap();
    let complaint = files.complaint();
    assert!(
        complaint.contains("hyp.txt: cannot be read") && complaint.contains("No such file"),
        "{complaint}"
    );
}

#[test]
fn command_refuses_zero_resamples() {
    Files::new("a\n", "a\n")
        .score("wer", &["--samples", "0"])
        .assert()
        .failure()
        .code(2);
}

#[test]
fn command_help_teaches() {
    let output = Command::cargo_bin("sandhi-score")
        .unwrap()
        .arg("--help")
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let help = String::from_utf8(output).unwrap();
    for word in ["one utterance per line", "jiwer 4", "Examples:", "signature"] {
        assert!(help.contains(word), "{word:?} is missing from:\n{help}");
    }
}
