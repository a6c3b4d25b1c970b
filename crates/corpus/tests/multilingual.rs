//! The multilingual corpus: reading a folder laid out as the command writes it.

#![allow(clippy::unwrap_used)] // Helpers of tests fail where tests would.

use std::path::Path;

use sandhi_corpus::{Cut, Error, Manifest, multilingual};

/// Writes one language: three sentences of train, one of dev, one of the test.
fn write(root: &Path, language: &str, word: &str, phones: &str) {
    let folder = root.join(language);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.wav"), b"not looked into").unwrap();
    let cut = |split: &str, sentence: u32| Cut {
        id: format!("{language}-{split}-{sentence}"),
        audio: folder.join("a.wav"),
        duration: 1.0,
        num_samples: 16_000,
        sample_rate: 16_000,
        speaker: format!("{language}-f1"),
        language: language.to_string(),
        text: word.to_string(),
        sentence,
        low_resource: sentence == 0,
        ..Cut::default()
    };
    let splits = [("train", vec![0, 1, 2]), ("dev", vec![3]), ("test", vec![4])];
    for (split, sentences) in splits {
        let cuts = sentences
            .into_iter()
            .map(|sentence| cut(split, sentence))
            .collect();
        let path = folder.join(format!("{split}.jsonl"));
        let manifest = Manifest { cuts };
        manifest.write(&path).unwrap();
        assert_eq!(Manifest::read(&path).unwrap(), manifest);
    }
    std::fs::write(folder.join("lexicon.tsv"), format!("{word}\t{phones}\n")).unwrap();
    std::fs::write(folder.join("text.tsv"), format!("0\t{word}.\n")).unwrap();
}

#[test]
fn multilingual_has_the_languages_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "en", "die", "d aɪ");
    write(folder.path(), "de", "die", "d iː");
    let corpus = multilingual(folder.path(), &["de", "en", "de"]).unwrap();
    assert_eq!(corpus.name, "mini-multilingual");
    let ids: Vec<&str> = corpus.train.iter().map(|cut| cut.id.as_str()).collect();
    let expected = [
        "de-train-0",
        "en-train-0",
        "de-train-1",
        "en-train-1",
        "de-train-2",
        "en-train-2",
    ];
    assert_eq!(ids, expected);
    assert_eq!(corpus.dev.len(), 2);
    assert_eq!(corpus.low_resource.len(), 2);
    let tests: Vec<&str> = corpus.tests.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(tests, ["test-de", "test-en"]);
    // One spelling, two languages.
    assert_eq!(corpus.lexicons["de"]["die"], ["d", "iː"]);
    assert_eq!(corpus.lexicons["en"]["die"], ["d", "aɪ"]);
    assert_eq!(corpus.lexicon_words("de"), ["die"]);
    assert!(corpus.lexicon_words("fr").is_empty());
    assert_eq!(corpus.translations["de"][&0], "die.");

    let all = multilingual(folder.path(), &[]).unwrap();
    let tests: Vec<&str> = all.tests.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(tests, ["test-en", "test-de"]);
}

#[test]
fn multilingual_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let error = multilingual(folder.path(), &[]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("folder of the multilingual corpus not found"),
        "{error}"
    );
    write(folder.path(), "de", "die", "d iː");
    let error = multilingual(folder.path(), &["de", "fr"]).unwrap_err();
    assert!(
        matches!(&error, Error::NotFound { what: "folder of a language", path } if path.ends_with("fr")),
        "{error}"
    );
    std::fs::write(folder.path().join("de/lexicon.tsv"), "die d iː\n").unwrap();
    let error = multilingual(folder.path(), &["de"]).unwrap_err();
    assert!(matches!(error, Error::Line { line: 1, .. }), "{error}");
}
