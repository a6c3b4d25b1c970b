//! Equal to jiwer 4 on text that is easy to get wrong. `golden/make_jiwer.py` wrote the answers.

#![allow(clippy::unwrap_used)]

use sandhi_score::{Edits, Unit, character_edits, error_rate, word_edits};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/jiwer.json")).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn counts(value: &Value) -> [usize; 4] {
    ["substitutions", "deletions", "insertions", "hits"].map(|key| value[key].as_u64().unwrap() as usize)
}

fn assert_edits_equal(unit: &str, edits: fn(&str, &str) -> Edits) {
    let golden = golden();
    let cases = golden["cases"].as_array().unwrap();
    assert!(
        cases.len() > 300,
        "the golden file has shrunk to {} cases",
        cases.len()
    );
    for case in cases {
        let (reference, hypothesis) = (text(case, "reference"), text(case, "hypothesis"));
        let Edits {
            substitutions,
            deletions,
            insertions,
            hits,
            reference_len,
        } = edits(reference, hypothesis);
        let ours = [substitutions, deletions, insertions, hits];
        assert_eq!(
            ours,
            counts(&case[unit]),
            "{unit}: {reference:?} / {hypothesis:?}"
        );
        assert_eq!(reference_len, hits + substitutions + deletions);
    }
}

#[test]
fn word_edits_equal_jiwer() {
    assert_edits_equal("word", word_edits);
}

#[test]
fn character_edits_equal_jiwer() {
    assert_edits_equal("character", character_edits);
}

#[test]
fn error_rate_equals_jiwer() {
    for corpus in golden()["corpora"].as_array().unwrap() {
        let lines = |key: &str| corpus[key].as_array().unwrap().clone();
        let (references, hypotheses) = (lines("references"), lines("hypotheses"));
        let rate = |unit, edits: fn(&str, &str) -> Edits| {
            let edits: Vec<Edits> = references
                .iter()
                .zip(&hypotheses)
                .map(|(r, h)| edits(r.as_str().unwrap(), h.as_str().unwrap()))
                .collect();
            error_rate(unit, &edits).value / 100.0
        };
        for (ours, key) in [
            (rate(Unit::Word, word_edits), "wer"),
            (rate(Unit::Character, character_edits), "cer"),
        ] {
            let jiwer = corpus[key].as_f64().unwrap();
            assert!(
                (ours - jiwer).abs() <= 1e-12 * jiwer.max(1.0),
                "{key}: {ours} here, {jiwer} in jiwer"
            );
        }
    }
}
