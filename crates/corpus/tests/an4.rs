//! AN4 on a tiny tree in its own layout.

#![allow(clippy::unwrap_used)] // Helpers of tests fail where tests would.

use std::collections::BTreeSet;
use std::path::Path;

use sandhi_corpus::{Error, an4};

/// A WAV file of so many samples at 16 kHz, with a chunk before the data that a reader must skip.
fn wav(samples: u32) -> Vec<u8> {
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    bytes.extend_from_slice(&16_000u32.to_le_bytes());
    bytes.extend_from_slice(&32_000u32.to_le_bytes());
    bytes.extend_from_slice(&[2, 0, 16, 0]);
    bytes.extend_from_slice(b"LIST\x03\0\0\0abc\0data");
    bytes.extend_from_slice(&(2 * samples).to_le_bytes());
    bytes.resize(bytes.len() + 2 * samples as usize, 0);
    bytes
}

/// Twelve training speakers of eight utterances, two test speakers of one.
fn tree() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("etc")).unwrap();
    let (mut ids, mut texts) = (String::new(), String::new());
    for speaker in 0..12 {
        let folder = root.path().join(format!("wav/an4_clstk/s{speaker:02}"));
        std::fs::create_dir_all(&folder).unwrap();
        for utterance in 0..8 {
            let id = format!("an{utterance}-s{speaker:02}-b");
            ids.push_str(&format!("an4_clstk/s{speaker:02}/{id}\n"));
            texts.push_str(&format!(
                "<s> ENTER {} </s> ({id})\n",
                ["ONE", "TWO", "SIX", "A B C"][utterance % 4]
            ));
            std::fs::write(
                folder.join(format!("{id}.wav")),
                wav(8000 + 16 * utterance as u32),
            )
            .unwrap();
        }
    }
    std::fs::write(root.path().join("etc/an4_train.fileids"), ids).unwrap();
    std::fs::write(root.path().join("etc/an4_train.transcription"), texts).unwrap();
    for speaker in ["t1", "t2"] {
        let folder = root.path().join(format!("wav/an4test_clstk/{speaker}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("cen1-{speaker}-b.wav")), wav(16_000)).unwrap();
    }
    let test = "an4test_clstk/t1/cen1-t1-b\nan4test_clstk/t2/cen1-t2-b\n";
    std::fs::write(root.path().join("etc/an4_test.fileids"), test).unwrap();
    let texts = "RUBOUT G M (cen1-t1-b)\nENTER ONE (cen1-t2-b)\n";
    std::fs::write(root.path().join("etc/an4_test.transcription"), texts).unwrap();
    std::fs::write(
        root.path().join("etc/an4.dic"),
        "A                    AH\nA(2)                 EY\nONE  W AH N\n",
    )
    .unwrap();
    root
}

fn edit(root: &Path, file: &str, from: &str, to: &str) {
    let path = root.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn an4_reads_its_layout() {
    let root = tree();
    let corpus = an4(root.path()).unwrap();
    let test = &corpus.tests[0].1;
    assert_eq!(
        (corpus.tests.len(), corpus.tests[0].0.as_str(), test.len()),
        (1, "test", 2)
    );
    assert_eq!(
        (
            test[0].id.as_str(),
            test[0].speaker.as_str(),
            test[0].text.as_str()
        ),
        ("cen1-t1-b", "t1", "rubout g m")
    );
    assert_eq!(
        (test[0].num_samples, test[0].sample_rate, test[0].duration),
        (16_000, 16_000, 1.0)
    );
    assert!(
        corpus
            .train
            .iter()
            .all(|cut| cut.text.starts_with("enter ") && cut.audio.is_file())
    );
    assert_eq!(corpus.lexicons["en"]["a"], ["ah"]);
    assert_eq!(corpus.lexicon_words("en"), ["a", "one"]);
}

#[test]
fn an4_equal_transcripts_have_one_sentence_number() {
    let root = tree();
    let corpus = an4(root.path()).unwrap();
    let spoken = &corpus.tests[0].1[1];
    let mut same = corpus
        .train
        .iter()
        .chain(&corpus.dev)
        .filter(|cut| cut.text == spoken.text)
        .peekable();
    assert!(same.peek().is_some() && same.all(|cut| cut.sentence == spoken.sentence));
    assert_ne!(corpus.tests[0].1[0].sentence, spoken.sentence);
}

#[test]
fn an4_holds_eight_speakers_out_for_dev() {
    let root = tree();
    let corpus = an4(root.path()).unwrap();
    let speakers = |cuts: &[sandhi_corpus::Cut]| {
        cuts.iter()
            .map(|cut| cut.speaker.clone())
            .collect::<BTreeSet<_>>()
    };
    let (dev, train) = (speakers(&corpus.dev), speakers(&corpus.train));
    assert_eq!((dev.len(), train.len()), (8, 4));
    assert!(dev.is_disjoint(&train));
    assert_eq!(speakers(&an4(root.path()).unwrap().dev), dev);
}

#[test]
fn an4_low_resource_is_a_quarter_of_every_speaker() {
    let root = tree();
    let corpus = an4(root.path()).unwrap();
    assert_eq!(corpus.low_resource.len(), corpus.train.len() / 4);
    for cut in &corpus.train {
        assert_eq!(
            corpus
                .low_resource
                .iter()
                .filter(|low| low.speaker == cut.speaker)
                .count(),
            2
        );
    }
    assert!(
        corpus
            .low_resource
            .iter()
            .all(|low| low.low_resource && corpus.train.contains(low))
    );
}

#[test]
fn an4_says_which_line_is_wrong() {
    let root = tree();
    edit(
        root.path(),
        "etc/an4_train.transcription",
        "(an1-s00-b)",
        "(an1-s01-b)",
    );
    let error = an4(root.path()).unwrap_err();
    assert!(matches!(error, Error::Line { line: 2, .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("expected a transcript ending in (an1-s00-b)"),
        "{error}"
    );

    let root = tree();
    edit(
        root.path(),
        "etc/an4_test.transcription",
        "ENTER ONE (cen1-t2-b)\n",
        "",
    );
    let error = an4(root.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected 2 transcripts, one per file id, got 1"),
        "{error}"
    );

    let root = tree();
    edit(
        root.path(),
        "etc/an4_train.fileids",
        "an4_clstk/s00/an1-s00-b",
        "an1-s00-b",
    );
    assert!(matches!(
        an4(root.path()).unwrap_err(),
        Error::Line { line: 2, .. }
    ));

    let root = tree();
    edit(root.path(), "etc/an4_train.fileids", "an1-s00-b", "an0-s00-b");
    edit(
        root.path(),
        "etc/an4_train.transcription",
        "an1-s00-b",
        "an0-s00-b",
    );
    edit(root.path(), "etc/an4_train.transcription", "TWO", "ONE");
    assert!(matches!(
        an4(root.path()).unwrap_err(),
        Error::DuplicateId {
            line: 2,
            first: 1,
            ..
        }
    ));
}

#[test]
fn an4_says_what_is_missing_or_cut_short() {
    let error = an4(Path::new("no/such/corpus")).unwrap_err();
    assert_eq!(error.to_string(), "AN4 folder not found: no/such/corpus");

    let root = tree();
    std::fs::remove_file(root.path().join("etc/an4_train.fileids")).unwrap();
    assert!(matches!(
        an4(root.path()).unwrap_err(),
        Error::NotFound {
            what: "AN4 file ids",
            ..
        }
    ));

    let root = tree();
    let audio = root.path().join("wav/an4_clstk/s03/an2-s03-b.wav");
    std::fs::write(&audio, &wav(8000)[..5000]).unwrap();
    let error = an4(root.path()).unwrap_err();
    assert!(
        matches!(&error, Error::WavHeader { path, .. } if *path == audio),
        "{error}"
    );
    std::fs::write(&audio, b"ID3 or anything else").unwrap();
    assert!(matches!(
        an4(root.path()).unwrap_err(),
        Error::WavHeader {
            what: "no RIFF WAVE mark",
            ..
        }
    ));
    std::fs::remove_file(&audio).unwrap();
    assert!(matches!(
        an4(root.path()).unwrap_err(),
        Error::NotFound { what: "audio", .. }
    ));
}
