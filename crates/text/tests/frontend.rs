//! Saving, loading and telling front ends apart.

#![allow(clippy::unwrap_used)]

use sandhi_text::{
    Case, Error, Graphemes, Lexicon, NormalizeConfig, Phonemes, PronouncerConfig, Punctuation, Subwords,
    TextFrontend, Unknown,
};

const TEXTS: [&str; 2] = ["the slow boat follows the slower boat", "don't follow the boat"];

fn frontends() -> Vec<TextFrontend> {
    let config = NormalizeConfig::default();
    let lexicon = Lexicon::parse(["THE DH AH", "BOAT B OW T", "FOLLOWS F AA L OW Z"]).unwrap();
    vec![
        TextFrontend::new(config, Graphemes::train(TEXTS, Unknown::Error).unwrap()),
        TextFrontend::new(config, Graphemes::train(TEXTS, Unknown::Label).unwrap()),
        TextFrontend::new(
            NormalizeConfig {
                case: Case::Keep,
                ..config
            },
            Graphemes::train(TEXTS, Unknown::Error).unwrap(),
        ),
        TextFrontend::new(
            NormalizeConfig {
                punctuation: Punctuation::Keep,
                ..config
            },
            Graphemes::train(TEXTS, Unknown::Error).unwrap(),
        ),
        TextFrontend::new(
            config,
            Graphemes::new("tabelowsfhnd'z".chars(), Unknown::Error).unwrap(),
        ),
        TextFrontend::new(config, Subwords::train(TEXTS, 30, Unknown::Error).unwrap()),
        TextFrontend::new(config, Subwords::train(TEXTS, 31, Unknown::Error).unwrap()),
        TextFrontend::new(config, Phonemes::new(lexicon.clone(), Unknown::Error).unwrap()),
        TextFrontend::new(config, pronouncing(lexicon.clone(), 2)),
        TextFrontend::new(config, pronouncing(lexicon, 3)),
    ]
}

fn pronouncing(lexicon: Lexicon, order: usize) -> Phonemes {
    let phonemes = Phonemes::new(lexicon, Unknown::Error).unwrap();
    let config = PronouncerConfig {
        order,
        ..PronouncerConfig::default()
    };
    phonemes.pronouncing(config).unwrap()
}

#[test]
fn frontend_normalizes_before_it_encodes() {
    let frontend = &frontends()[0];
    assert_eq!(
        frontend.encode("  The BOAT!").unwrap(),
        frontend.encode("the boat").unwrap()
    );
    assert_eq!(
        frontend
            .decode(&frontend.encode("Don’t follow…").unwrap())
            .unwrap(),
        "don't follow"
    );
}

#[test]
fn frontend_saves_and_loads_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frontend.json");
    for frontend in frontends() {
        frontend.save(&path).unwrap();
        let loaded = TextFrontend::load(&path).unwrap();
        assert_eq!(loaded, frontend);
        assert_eq!(loaded.specials(), frontend.specials());
        assert_eq!(loaded.fingerprint(), frontend.fingerprint());
        assert_eq!(loaded.to_json(), frontend.to_json());
        let text = "the boat follows the boat";
        assert_eq!(loaded.encode(text).unwrap(), frontend.encode(text).unwrap());
    }
    // Nothing half-written stays behind.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn frontend_fingerprint_tells_contents_apart() {
    let mut fingerprints: Vec<String> = frontends().iter().map(TextFrontend::fingerprint).collect();
    assert!(
        fingerprints
            .iter()
            .all(|f| f.len() == 64 && f.bytes().all(|b| b.is_ascii_hexdigit()))
    );
    let all = fingerprints.len();
    fingerprints.sort();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), all);
}

#[test]
fn frontend_refuses_damaged_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frontend.json");
    for frontend in frontends() {
        let good = frontend.to_json();
        let halved = &good.as_bytes()[..good.len() / 2];
        let renamed = good.replace("sandhi-text-frontend-1", "sandhi-text-frontend-9");
        let recased =
            good.replacen("\"case\": \"", "\"case\": \"upper", 1)
                .replacen("upperlower", "upper", 1);
        let retokened = good.replacen("\"mask\": 4", "\"mask\": 3", 1);
        assert_ne!(retokened, good);
        let mut bytes = good.clone().into_bytes();
        let middle = bytes.len() / 2;
        bytes[middle] = 0xff;
        for damaged in [
            halved,
            renamed.as_bytes(),
            recased.as_bytes(),
            retokened.as_bytes(),
            &bytes,
            b"",
            b"{}",
            b"[1, 2]",
        ] {
            std::fs::write(&path, damaged).unwrap();
            let error = TextFrontend::load(&path).unwrap_err();
            assert!(
                matches!(&error, Error::Frontend { path: Some(p), .. } if *p == path),
                "{error:?}"
            );
            assert!(error.to_string().contains("frontend.json"), "{error}");
        }
    }
    assert!(matches!(
        TextFrontend::load(dir.path().join("absent")),
        Err(Error::Read { .. })
    ));
}

#[test]
fn frontend_names_the_format_it_expects() {
    let error = TextFrontend::from_json(r#"{"format": "other", "more": 1}"#)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        r#"saved text front end: expected format "sandhi-text-frontend-1", got "other""#
    );
}

#[test]
fn frontend_save_tells_where_it_failed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("absent").join("frontend.json");
    assert!(matches!(frontends()[0].save(&path), Err(Error::Write { path: p, .. }) if p == path));
}

#[test]
fn frontend_refuses_pronunciations_that_it_would_not_learn() {
    let lexicon = Lexicon::parse(["THE DH AH", "BOAT B OW T", "FOLLOWS F AA L OW Z"]).unwrap();
    let plain = Phonemes::new(lexicon.clone(), Unknown::Error).unwrap();
    let plain = TextFrontend::new(NormalizeConfig::default(), plain).to_json();
    assert!(!plain.contains("pronouncer"), "{plain}");

    let frontend = TextFrontend::new(NormalizeConfig::default(), pronouncing(lexicon, 2));
    let other = frontend.to_json().replace("graphones-2-", "graphones-2-0");
    let error = TextFrontend::from_json(&other).unwrap_err().to_string();
    let found = error.rsplit(' ').next().unwrap();
    // The fingerprint is that of the changed contents, as if another version had learned otherwise.
    let consistent = other.replace(&frontend.fingerprint(), found);
    let error = TextFrontend::from_json(&consistent).unwrap_err().to_string();
    assert!(error.contains("pronunciations"), "{error}");
}
