//! Laws of the edit distance and of the error rate, and an oracle that shares no code with them.

use proptest::prelude::*;
use sandhi_score::{Edits, Unit, alignment, character_edits, edits, error_rate, word_edits, words};

/// Tokens from a small alphabet, so that repetitions and ties abound.
fn tokens(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..4, 0..=longest)
}

/// The definition, spelled out; exponential.
fn naive_distance(reference: &[u8], hypothesis: &[u8]) -> usize {
    match (reference, hypothesis) {
        ([], rest) | (rest, []) => rest.len(),
        ([r, reference @ ..], [h, hypothesis @ ..]) if r == h => naive_distance(reference, hypothesis),
        ([_, shorter_r @ ..], [_, shorter_h @ ..]) => {
            1 + naive_distance(shorter_r, shorter_h)
                .min(naive_distance(shorter_r, hypothesis))
                .min(naive_distance(reference, shorter_h))
        }
    }
}

/// Every (substitutions, deletions, insertions) that some alignment of least cost has.
fn naive_splits(reference: &[u8], hypothesis: &[u8], budget: usize) -> Vec<(usize, usize, usize)> {
    let mut found = Vec::new();
    if let ([r, rest_r @ ..], [h, rest_h @ ..]) = (reference, hypothesis) {
        let cost = usize::from(r != h);
        if cost <= budget {
            let splits = naive_splits(rest_r, rest_h, budget - cost);
            found.extend(splits.into_iter().map(|(s, d, i)| (s + cost, d, i)));
        }
    }
    if budget > 0 {
        if let [_, rest @ ..] = reference {
            let splits = naive_splits(rest, hypothesis, budget - 1);
            found.extend(splits.into_iter().map(|(s, d, i)| (s, d + 1, i)));
        }
        if let [_, rest @ ..] = hypothesis {
            let splits = naive_splits(reference, rest, budget - 1);
            found.extend(splits.into_iter().map(|(s, d, i)| (s, d, i + 1)));
        }
    }
    if reference.is_empty() && hypothesis.is_empty() {
        found.push((0, 0, 0));
    }
    found
}

proptest! {
    #[test]
    fn edits_equal_naive_recursion(reference in tokens(6), hypothesis in tokens(6)) {
        let found = edits(&reference, &hypothesis);
        prop_assert_eq!(found.errors(), naive_distance(&reference, &hypothesis));
        let splits = naive_splits(&reference, &hypothesis, found.errors());
        prop_assert!(splits.contains(&(found.substitutions, found.deletions, found.insertions)));
    }

    #[test]
    fn edits_account_for_every_token(reference in tokens(40), hypothesis in tokens(40)) {
        let found = edits(&reference, &hypothesis);
        prop_assert_eq!(found.reference_len, reference.len());
        prop_assert_eq!(found.hits + found.substitutions + found.deletions, reference.len());
        prop_assert_eq!(found.hypothesis_len(), hypothesis.len());
    }

    #[test]
    fn alignment_has_the_counted_edits(reference in tokens(30), hypothesis in tokens(30)) {
        let columns = alignment(&reference, &hypothesis);
        let found = edits(&reference, &hypothesis);
        let count = |wanted: fn(Option<u8>, Option<u8>) -> bool| {
            columns.iter().filter(|&&(r, h)| wanted(r.copied(), h.copied())).count()
        };
        prop_assert_eq!(count(|_, h| h.is_none()), found.deletions);
        prop_assert_eq!(count(|r, _| r.is_none()), found.insertions);
        prop_assert_eq!(count(|r, h| r == h), found.hits);
        prop_assert_eq!(count(|r, h| r.is_some() && h.is_some() && r != h), found.substitutions);
        prop_assert_eq!(columns.iter().filter_map(|c| c.0.copied()).collect::<Vec<_>>(), reference.clone());
        prop_assert_eq!(columns.iter().filter_map(|c| c.1.copied()).collect::<Vec<_>>(), hypothesis.clone());
    }

    #[test]
    fn edits_of_a_sequence_with_itself_are_hits(reference in tokens(40)) {
        let found = edits(&reference, &reference);
        prop_assert_eq!((found.errors(), found.hits), (0, reference.len()));
    }

    #[test]
    fn edits_swap_insertions_and_deletions(reference in tokens(40), hypothesis in tokens(40)) {
        let (there, back) = (edits(&reference, &hypothesis), edits(&hypothesis, &reference));
        prop_assert_eq!(there.errors(), back.errors());
        // Ties may be split otherwise in the other direction, but the difference of lengths may not.
        prop_assert_eq!(
            there.insertions as i64 - there.deletions as i64,
            back.deletions as i64 - back.insertions as i64
        );
    }

    #[test]
    fn edits_obey_the_triangle(a in tokens(20), b in tokens(20), c in tokens(20)) {
        prop_assert!(edits(&a, &c).errors() <= edits(&a, &b).errors() + edits(&b, &c).errors());
    }

    #[test]
    fn edits_stay_between_their_bounds(reference in tokens(40), hypothesis in tokens(40)) {
        let errors = edits(&reference, &hypothesis).errors();
        prop_assert!(errors >= reference.len().abs_diff(hypothesis.len()));
        prop_assert!(errors <= reference.len().max(hypothesis.len()));
        prop_assert_eq!(errors == 0, reference == hypothesis);
    }

    #[test]
    fn words_hold_every_letter_in_order(line in "[a-c \t\u{a0}é]{0,30}") {
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let words = words(&line);
        prop_assert_eq!(letters(&words.concat()), letters(&line));
        for word in words {
            prop_assert!(!word.is_empty() && !word.contains(' ') && word.trim() == word, "{:?}", word);
        }
    }

    #[test]
    fn error_rate_ignores_the_order_of_utterances(
        mut pairs in prop::collection::vec(("[ab ]{0,8}", "[ab ]{0,8}"), 1..8),
    ) {
        let score = |pairs: &[(String, String)]| {
            let edits: Vec<Edits> = pairs.iter().map(|(r, h)| word_edits(r, h)).collect();
            error_rate(Unit::Word, &edits)
        };
        let forward = score(&pairs);
        pairs.reverse();
        prop_assert_eq!(forward, score(&pairs));
    }
}

#[test]
fn error_rate_without_reference_counts_insertions() {
    assert_eq!(error_rate(Unit::Word, &[]).value, 0.0);
    assert_eq!(error_rate(Unit::Word, &[word_edits("", " ")]).value, 0.0);
    assert_eq!(
        error_rate(Unit::Word, &[word_edits("", "a b"), word_edits("", "c")]).value,
        300.0
    );
    assert_eq!(
        error_rate(Unit::Character, &[character_edits("", "ab")]).value,
        200.0
    );
}

#[test]
fn signature_tells_unit_and_sizes() {
    let edits = [word_edits("a b c", "a c"), word_edits("", "")];
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        error_rate(Unit::Word, &edits).signature.to_string(),
        format!("wer|tok:jiwer4-words|case:as-is|punct:as-is|v:{version}|utts:2|words:3")
    );
    assert_eq!(
        error_rate(Unit::Character, &[character_edits("ab", "a")])
            .signature
            .as_str(),
        format!("cer|tok:jiwer4-chars|case:as-is|punct:as-is|v:{version}|utts:1|chars:2")
    );
}
