//! Merges against a count spelled out, and encoding against the `tokenizers` crate.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use sandhi_text::{NormalizeConfig, Subwords, TextFrontend, Tokenizer, Unknown};
use tokenizers::Model;
use tokenizers::models::bpe::BPE;

const VOCAB_SIZE: usize = 120;

/// Made words of one to four syllables, the lower-numbered ones more frequent.
fn texts() -> Vec<String> {
    let syllables = [
        "ka", "lo", "mi", "ren", "ta", "shu", "ve", "dor", "ni", "pa", "quel", "zi", "lor", "mer",
    ];
    let word = |number: usize| {
        let (mut rest, mut word) = (number, String::new());
        for _ in 0..=number % 4 {
            word += syllables[rest % syllables.len()];
            rest = rest / 3 + 5 * number + 1;
        }
        word
    };
    (1..400usize)
        .map(|line| {
            (1..7)
                .map(|at| word((line * at * 31 % 211) * line % (7 + line)))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

/// Our merges as pairs of strings, read from the saved front end.
fn merges(subwords: &Subwords) -> Vec<(String, String)> {
    let saved = TextFrontend::new(NormalizeConfig::default(), subwords.clone()).to_json();
    let saved: serde_json::Value = serde_json::from_str(&saved).unwrap();
    let token =
        |label: &serde_json::Value| subwords.token(label.as_u64().unwrap() as u32).unwrap().to_owned();
    let merges = saved["contents"]["units"]["merges"].as_array().unwrap().iter();
    merges.map(|pair| (token(&pair[0]), token(&pair[1]))).collect()
}

/// Byte-pair encoding by its definition: count all pairs anew, merge the most frequent, of equals that whose
/// tokens came first.
fn naive_merges(texts: &[String], tokens: usize) -> Vec<(String, String)> {
    let mut words: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for word in texts.iter().flat_map(|text| text.split_whitespace()) {
        let pieces = std::iter::once('▁')
            .chain(word.chars())
            .map(String::from)
            .collect();
        *words.entry(pieces).or_default() += 1;
    }
    let mut known: Vec<String> = words.keys().flatten().cloned().collect();
    known.sort();
    known.dedup();
    let mut merges = Vec::new();
    while known.len() < tokens {
        let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let place = |piece: &String| known.iter().position(|token| token == piece).unwrap();
        for (pieces, count) in &words {
            for pair in pieces.windows(2) {
                *counts.entry((place(&pair[0]), place(&pair[1]))).or_default() += count;
            }
        }
        // The first of the largest, in the order of the tokens.
        let most = *counts.values().max().unwrap();
        let (left, right) = *counts.iter().find(|&(_, &count)| count == most).unwrap().0;
        let pair = (known[left].clone(), known[right].clone());
        let merged = format!("{}{}", pair.0, pair.1);
        let mut next = BTreeMap::new();
        for (pieces, count) in words {
            let mut joined: Vec<String> = Vec::new();
            let mut pieces = pieces.into_iter().peekable();
            while let Some(piece) = pieces.next() {
                let found = piece == pair.0 && pieces.next_if_eq(&pair.1).is_some();
                joined.push(if found { merged.clone() } else { piece });
            }
            *next.entry(joined).or_default() += count;
        }
        words = next;
        known.push(merged);
        merges.push(pair);
    }
    merges
}

#[test]
fn subwords_merge_what_a_naive_count_says() {
    let texts = texts();
    let subwords = Subwords::train(&texts, VOCAB_SIZE, Unknown::Error).unwrap();
    let merges = merges(&subwords);
    assert!(merges.len() > 80, "only {} merges", merges.len());
    assert_eq!(merges, naive_merges(&texts, VOCAB_SIZE - 5));
}

#[test]
fn subwords_encode_like_tokenizers() {
    let texts = texts();
    let subwords = Subwords::train(&texts, VOCAB_SIZE, Unknown::Error).unwrap();
    let vocab: Vec<(String, u32)> = (5..VOCAB_SIZE as u32)
        .map(|label| (subwords.token(label).unwrap().to_owned(), label))
        .collect();
    let model = BPE::builder().vocab_and_merges(
        vocab.into_iter().collect::<tokenizers::models::bpe::Vocab>(),
        merges(&subwords),
    );
    let model = model.build().unwrap();
    // Words that were trained on, and their reversals, which were not.
    for text in texts
        .iter()
        .cloned()
        .chain(texts.iter().map(|text| text.chars().rev().collect()))
    {
        let theirs: Vec<u32> = text
            .split_whitespace()
            .flat_map(|word| model.tokenize(&format!("▁{word}")).unwrap())
            .map(|token| token.id)
            .collect();
        assert_eq!(subwords.encode(&text).unwrap(), theirs, "{text}");
    }
}
