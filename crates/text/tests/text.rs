//! Laws of normalization and of reading lines.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use sandhi_text::{Case, Error, NormalizeConfig, Punctuation, normalize, read_lines};
use unicode_normalization::is_nfc;

fn any_config() -> impl Strategy<Value = NormalizeConfig> {
    let case = prop_oneof![Just(Case::Lower), Just(Case::Upper), Just(Case::Keep)];
    let punctuation = prop_oneof![Just(Punctuation::Keep), Just(Punctuation::Remove)];
    (case, punctuation).prop_map(|(case, punctuation)| NormalizeConfig { case, punctuation })
}

/// Any characters, with a liking for those that cause trouble.
fn any_text() -> impl Strategy<Value = String> {
    let tricky = "[ΐŉßİıΣςǅﬁᾳé'’\u{301}\u{345}\u{308} \t.\\-a-cA-C]";
    prop::collection::vec(prop_oneof![3 => tricky, 1 => "\\PC"], 0..25).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn normalize_is_idempotent(text in any_text(), config in any_config()) {
        let once = normalize(&text, &config);
        prop_assert_eq!(normalize(&once, &config), once);
    }

    #[test]
    fn normalize_composes(text in any_text(), config in any_config()) {
        let text = normalize(&text, &config);
        prop_assert!(is_nfc(&text));
        prop_assert!(!text.contains("  ") && text.trim() == text, "{:?}", text);
        prop_assert!(text.chars().all(|c| c == ' ' || !c.is_whitespace()));
    }

    #[test]
    fn normalize_removes_punctuation_and_only_that(text in any_text()) {
        let config = NormalizeConfig { case: Case::Keep, punctuation: Punctuation::Remove };
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        let kept = NormalizeConfig { punctuation: Punctuation::Keep, ..config };
        prop_assert_eq!(letters(&normalize(&text, &config)), letters(&normalize(&text, &kept)));
        prop_assert!(!normalize(&text, &config).contains(|c: char| c.is_ascii_punctuation() && c != '\''));
    }
}

#[test]
fn normalize_treats_case_as_asked() {
    let with = |case| {
        normalize(
            "Straße ΟΔΟΣ",
            &NormalizeConfig {
                case,
                punctuation: Punctuation::Keep,
            },
        )
    };
    assert_eq!(with(Case::Lower), "straße οδος");
    assert_eq!(with(Case::Upper), "STRASSE ΟΔΟΣ");
    assert_eq!(with(Case::Keep), "Straße ΟΔΟΣ");
}

#[test]
fn normalize_keeps_apostrophes_inside_words() {
    let config = NormalizeConfig::default();
    for (text, expected) in [
        ("Don't", "don't"),
        ("don’t", "don't"),
        ("'quoted'", "quoted"),
        ("the boys' boat", "the boys boat"),
        ("rock 'n' roll", "rock n roll"),
        ("l'été", "l'été"),
        ("a''b", "a b"),
        ("twenty-one, 3.5 & more…", "twenty one 3 5 more"),
        ("नि\u{94d}\u{200d}क", "नि\u{94d}\u{200d}क"),
    ] {
        assert_eq!(normalize(text, &config), expected, "{text:?}");
    }
}

#[test]
fn read_lines_keeps_empty_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text.txt");
    for (bytes, expected) in [
        (&b""[..], vec![]),
        (b"\n", vec![""]),
        (b"a", vec!["a"]),
        (b"a\r\n\r\n b \n", vec!["a", "", " b "]),
        (b"a\n\n", vec!["a", ""]),
    ] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read_lines(&path).unwrap(), expected);
    }
}

#[test]
fn read_lines_names_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text.txt");
    let complaint = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        read_lines(&path).unwrap_err()
    };
    let error = complaint(b"fine\nbr\xc3oken\n");
    assert!(
        matches!(
            error,
            Error::Encoding {
                line: 2,
                column: 3,
                byte: 0xc3,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("text.txt:2: expected UTF-8"),
        "{error}"
    );
    // The first half of a two-byte character at the end of a line.
    assert!(matches!(
        complaint(b"caf\xc3"),
        Error::Encoding {
            line: 1,
            column: 4,
            ..
        }
    ));
    assert!(matches!(
        complaint("\u{feff}a\n".as_bytes()),
        Error::ByteOrderMark { line: 1, .. }
    ));
    assert!(matches!(
        complaint("a\n\u{feff}b\n".as_bytes()),
        Error::ByteOrderMark { line: 2, .. }
    ));
    // UTF-16 with its mark.
    assert!(matches!(
        complaint(b"\xff\xfea\0"),
        Error::Encoding {
            line: 1,
            column: 1,
            byte: 0xff,
            ..
        }
    ));
    assert!(matches!(
        read_lines(dir.path().join("absent")),
        Err(Error::Read { .. })
    ));
}
