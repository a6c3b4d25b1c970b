//! The embedded corpus as it is committed.

#![allow(clippy::unwrap_used)] // Helpers of tests fail where tests would.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sandhi_corpus::{Error, LANGUAGES, mini, rare_words, unpaired_text};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-manifests/mini")
}

#[test]
fn mini_has_its_splits_and_its_subset() {
    let corpus = mini(&root()).unwrap();
    let names: Vec<&str> = corpus.tests.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["test-common", "test-rare"]);
    assert_eq!((corpus.train.len(), corpus.dev.len()), (1320, 100));
    let minutes = corpus.low_resource.iter().map(|cut| cut.duration).sum::<f64>() / 60.0;
    assert!((20.0..=25.0).contains(&minutes), "{minutes} minutes");
    assert!(
        corpus
            .low_resource
            .iter()
            .all(|cut| cut.low_resource && corpus.train.contains(cut))
    );
    assert_eq!(corpus.rare_words, rare_words());
}

#[test]
fn mini_has_every_sentence_in_every_language() {
    let corpus = mini(&root()).unwrap();
    let tests = corpus.tests.iter().flat_map(|(_, cuts)| cuts);
    for cut in corpus.train.iter().chain(&corpus.dev).chain(tests) {
        for language in LANGUAGES {
            assert!(!corpus.translations[language][&cut.sentence].is_empty());
        }
        let written = corpus.translations["en"][&cut.sentence]
            .to_lowercase()
            .replace(['.', ',', '?'], "");
        assert_eq!(written, cut.text);
    }
}

#[test]
fn mini_lexicon_has_the_words_of_unpaired_text() {
    let corpus = mini(&root()).unwrap();
    let text = unpaired_text(77, 5000, &corpus.held_out_text());
    let words: BTreeSet<&str> = text.iter().flat_map(|text| text.split(' ')).collect();
    let missing: Vec<&&str> = words
        .iter()
        .filter(|word| !corpus.lexicons["en"].contains_key(**word))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(text.iter().all(|text| !corpus.held_out_text().contains(text)));
}

#[test]
fn mini_says_what_is_missing_or_wrong() {
    let error = mini(Path::new("no/such/folder")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "folder of the mini corpus not found: no/such/folder"
    );

    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        mini(folder.path()).unwrap_err(),
        Error::NotFound { what: "manifest", .. }
    ));
    let cut = r#"{"id":"a","audio":"a.mp3","duration":1,"num_samples":16000,"sample_rate":16000,"speaker":"s","language":"en","text":"yes","sentence":0}"#;
    std::fs::write(folder.path().join("a.mp3"), b"").unwrap();
    for split in ["train", "dev", "test-common", "test-rare"] {
        std::fs::write(folder.path().join(format!("{split}.jsonl")), cut).unwrap();
    }
    for language in LANGUAGES {
        std::fs::write(folder.path().join(format!("text.{language}.tsv")), "0\tYes.\n").unwrap();
    }
    std::fs::write(folder.path().join("rare-words.txt"), "").unwrap();
    std::fs::write(folder.path().join("lexicon.tsv"), "yes\ty eh s\n").unwrap();
    assert_eq!(
        mini(folder.path()).unwrap().lexicons["en"]["yes"],
        ["y", "eh", "s"]
    );
    for wrong in ["one\tYes.\n", "0 Yes.\n", "0\tYes.\n0\tNo.\n"] {
        std::fs::write(folder.path().join("text.fr.tsv"), wrong).unwrap();
        let error = mini(folder.path()).unwrap_err();
        assert!(matches!(error, Error::Line { .. }), "{error}");
    }
}
