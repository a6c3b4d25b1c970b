//! The manifest: what is written is read back, and everything that can be wrong with one is an error of its own.

#![allow(clippy::unwrap_used)] // Helpers of tests fail where tests would.

use std::path::{Path, PathBuf};

use sandhi_corpus::{Cut, Error, Interval, Manifest, Synthesis};

const GOOD: &str = r#"{"id":"a","audio":"a.wav","duration":1.5,"num_samples":24000,"sample_rate":16000,"speaker":"s","language":"en","text":"yes","sentence":3}"#;

/// A folder with the audio file that [`GOOD`] names, and the manifest's path in it.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.wav"), b"not looked into").unwrap();
    let manifest = folder.path().join("train.jsonl");
    (folder, manifest)
}

fn read(content: impl AsRef<[u8]>) -> Result<Manifest, Error> {
    let (_folder, path) = folder();
    std::fs::write(&path, content).unwrap();
    Manifest::read(&path)
}

fn cut(folder: &Path, id: &str) -> Cut {
    Cut {
        id: id.to_string(),
        audio: folder.join("a.wav"),
        start: 0.25,
        duration: 1.5,
        num_samples: 24_000,
        sample_rate: 16_000,
        speaker: "slt-1".to_string(),
        language: "en".to_string(),
        text: "it's done".to_string(),
        sentence: 7,
        words: vec![
            Interval {
                text: "it's".to_string(),
                start: 0.1,
                end: 0.4,
            },
            Interval {
                text: "done".to_string(),
                start: 0.4,
                end: 1.25,
            },
        ],
        phones: vec![Interval {
            text: "pau".to_string(),
            start: 0.0,
            end: 0.1,
        }],
        low_resource: true,
        synthesis: Some(Synthesis {
            voice: "slt".to_string(),
            formant: 1.06,
            stretch: 1.111,
            f0_mean: Some(180.5),
            f0_stddev: None,
            pitch: Some(42),
            peak_db: -3.5,
        }),
    }
}

#[test]
fn manifest_reads_what_it_wrote() {
    let (folder, path) = folder();
    let plain = Cut {
        words: Vec::new(),
        phones: Vec::new(),
        synthesis: None,
        low_resource: false,
        ..cut(folder.path(), "b")
    };
    let manifest = Manifest {
        cuts: vec![cut(folder.path(), "a"), plain],
    };
    manifest.write(&path).unwrap();
    assert_eq!(Manifest::read(&path).unwrap(), manifest);
    // The file knows nothing of the folder it lies in, and says nothing that is the default.
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(folder.path().to_str().unwrap()));
    assert!(!text.lines().nth(1).unwrap().contains("low_resource"));
}

#[test]
fn manifest_resolves_audio_against_its_folder() {
    let (folder, path) = folder();
    std::fs::write(&path, GOOD).unwrap();
    assert_eq!(
        Manifest::read(&path).unwrap().cuts[0].audio,
        folder.path().join("a.wav")
    );
}

#[test]
fn manifest_refuses_a_second_use_of_an_id() {
    let error = read(format!("{GOOD}\n\n{GOOD}\n")).unwrap_err();
    assert!(
        matches!(&error, Error::DuplicateId { line: 3, first: 1, id, .. } if id == "a"),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .ends_with("train.jsonl:3: duplicate id \"a\", first used on line 1"),
        "{error}"
    );
}

#[test]
fn manifest_refuses_what_is_not_utf8() {
    let mut bytes = format!("{GOOD}\n").into_bytes();
    bytes.extend_from_slice(b"{\"id\":\"\xff\"}\n");
    let error = read(bytes).unwrap_err();
    assert!(matches!(error, Error::Utf8 { line: 2, byte: 7, .. }), "{error}");
}

#[test]
fn manifest_refuses_a_byte_order_mark() {
    assert!(matches!(
        read(format!("\u{feff}{GOOD}")).unwrap_err(),
        Error::ByteOrderMark { .. }
    ));
    assert!(matches!(
        read(b"\xff\xfe{\x00").unwrap_err(),
        Error::ByteOrderMark { .. }
    ));
}

#[test]
fn manifest_refuses_missing_audio() {
    let error = read(GOOD.replace("a.wav", "audio/b.wav")).unwrap_err();
    assert!(
        matches!(&error, Error::MissingAudio { line: 1, audio, .. } if audio.ends_with("audio/b.wav")),
        "{error}"
    );
}

#[test]
fn manifest_refuses_impossible_durations() {
    for (from, to) in [
        ("1.5", "-1.5"),
        ("1.5", "0.0"),
        ("\"duration\"", "\"start\":-0.1,\"duration\""),
    ] {
        let error = read(GOOD.replace(from, to)).unwrap_err();
        assert!(matches!(error, Error::Duration { line: 1, .. }), "{error}");
    }
}

#[test]
fn manifest_refuses_values_that_contradict_each_other() {
    let wrong = [
        (
            GOOD.replace("24000", "23000"),
            "23000 samples at 16000 Hz are 1.4375 s, but duration is 1.5 s",
        ),
        (GOOD.replace("16000", "0"), "sample_rate is 0"),
        (
            GOOD.replace("\"id\":\"a\"", "\"id\":\"\""),
            "expected a non-empty id",
        ),
        (
            GOOD.replace("}", r#","words":[["yes",0.5,1.6]]}"#),
            "\"yes\" from 0.5 to 1.6 s",
        ),
        (
            GOOD.replace("}", r#","phones":[["y",0.5,0.4]]}"#),
            "\"y\" from 0.5 to 0.4 s",
        ),
    ];
    for (line, message) in wrong {
        let error = read(line).unwrap_err();
        assert!(matches!(error, Error::Line { line: 1, .. }), "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn manifest_refuses_unknown_and_missing_keys() {
    for line in [
        GOOD.replace("\"text\"", "\"txt\""),
        "{}".to_string(),
        GOOD[..40].to_string(),
    ] {
        let error = read(format!("{GOOD}\n{}", line.replace("\"a\"", "\"b\""))).unwrap_err();
        assert!(matches!(error, Error::Json { line: 2, .. }), "{error}");
    }
}

#[test]
fn manifest_refuses_to_be_empty_or_absent() {
    assert!(matches!(read("\n").unwrap_err(), Error::Empty { .. }));
    let error = Manifest::read(Path::new("no/such/train.jsonl")).unwrap_err();
    assert_eq!(error.to_string(), "manifest not found: no/such/train.jsonl");
}
