//! The grammar and the sentences of the embedded corpus, seen from outside.

#![allow(clippy::unwrap_used)] // Helpers of tests fail where tests would.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::OnceLock;

use sandhi_corpus::{
    MiniSizes, MiniText, Parallel, Words, mini_text, rare_words, rng, sentence, unpaired_text,
};

const SIZES: MiniSizes = MiniSizes {
    train: 700,
    dev: 60,
    test_common: 60,
    test_rare: 80,
};

fn text() -> &'static MiniText {
    static TEXT: OnceLock<MiniText> = OnceLock::new();
    TEXT.get_or_init(|| mini_text(5, SIZES))
}

fn words<'a>(sentences: impl IntoIterator<Item = &'a Parallel>) -> BTreeSet<String> {
    let transcripts = sentences.into_iter().map(Parallel::transcript);
    transcripts
        .flat_map(|text| text.split(' ').map(str::to_string).collect::<Vec<_>>())
        .collect()
}

fn rare() -> HashSet<String> {
    let words = rare_words();
    words
        .iter()
        .flat_map(|word| [word.clone(), format!("{word}'s")])
        .collect()
}

fn drawn(seed: u64, count: usize, words: Words) -> Vec<Parallel> {
    let mut rng = rng(seed, "test", []);
    (0..count).map(|_| sentence(&mut rng, words)).collect()
}

#[test]
fn grammar_is_a_function_of_the_seed() {
    assert_eq!(drawn(3, 200, Words::All), drawn(3, 200, Words::All));
    assert_ne!(drawn(3, 200, Words::All), drawn(4, 200, Words::All));
}

#[test]
fn grammar_sentences_have_three_to_fourteen_words_of_letters() {
    for it in drawn(1, 2000, Words::All) {
        let transcript = it.transcript();
        assert!((3..=14).contains(&transcript.split(' ').count()), "{transcript}");
        let letters = |word: &str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'\'')
        };
        assert!(transcript.split(' ').all(letters), "{transcript}");
    }
}

#[test]
fn grammar_sentences_are_cased_and_punctuated_in_every_language() {
    for it in drawn(2, 2000, Words::All) {
        for (language, text) in [("en", &it.en), ("de", &it.de), ("es", &it.es), ("fr", &it.fr)] {
            let body = text.trim_start_matches('¿');
            assert!(body.chars().next().unwrap().is_uppercase(), "{text}");
            assert!(
                !text.contains("  ") && text.trim() == text && !text.contains(" ,"),
                "{language}: {text:?}"
            );
            assert!(
                text.ends_with(['.', '?']) && text.ends_with('?') == it.en.ends_with('?'),
                "{language}: {text}"
            );
        }
        assert_eq!(it.es.starts_with('¿'), it.en.ends_with('?'), "{}", it.es);
    }
}

/// A sentence in one language.
type Form = fn(&Parallel) -> &str;

#[test]
fn grammar_contracts_and_elides_everywhere() {
    let forbidden: [(Form, &[&str]); 4] = [
        (
            |it| &it.en,
            &[
                " a apple",
                " a orange",
                " a egg",
                " a old ",
                " an key",
                " this apples",
            ],
        ),
        (
            |it| &it.de,
            &[
                " in dem ",
                " an dem ",
                " zu dem ",
                " zu der ",
                " ein Tasche",
                " eine Mann",
            ],
        ),
        (
            |it| &it.es,
            &[
                " a el ",
                " de el ",
                " la agua",
                "una libro",
                " a él le gusta",
                " yo ",
            ],
        ),
        (
            |it| &it.fr,
            &[
                " de le ", " à le ", " de les ", " à les ", "je a", "que il", " le a", " la é", " de A",
                " ma é", " ce h", "si il",
            ],
        ),
    ];
    for it in drawn(6, 3000, Words::All) {
        for (text, wrong) in &forbidden {
            let text = text(&it);
            for wrong in *wrong {
                // A name at the beginning of a sentence is as wrong as one within.
                assert!(
                    !format!(" {text}").contains(wrong) || text.contains("a él le gusta"),
                    "{wrong:?} in {text:?}"
                );
            }
        }
    }
}

#[test]
fn grammar_common_words_exclude_the_rare_ones() {
    let rare = rare();
    let common = words(&drawn(1, 3000, Words::Common));
    assert!(common.len() >= 250, "{} word types", common.len());
    assert_eq!(common.iter().filter(|word| rare.contains(*word)).count(), 0);
}

#[test]
fn unpaired_text_has_every_rare_word() {
    let text = unpaired_text(1, 20_000, &HashSet::new());
    let written: HashSet<&str> = text.iter().flat_map(|text| text.split(' ')).collect();
    let missing: Vec<String> = rare_words()
        .into_iter()
        .filter(|word| !written.contains(word.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(
        (50..130).contains(&rare_words().len()),
        "{} rare words",
        rare_words().len()
    );
}

#[test]
fn unpaired_text_is_distinct_and_excludes_what_it_must() {
    let all = unpaired_text(9, 500, &HashSet::new());
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 500);
    assert_eq!(unpaired_text(9, 100, &HashSet::new()), all[..100]);
    assert_ne!(unpaired_text(10, 100, &HashSet::new()), all[..100]);
    let exclude: HashSet<String> = all.iter().step_by(2).cloned().collect();
    let kept: Vec<String> = all.iter().skip(1).step_by(2).cloned().collect();
    assert_eq!(unpaired_text(9, 250, &exclude), kept);
}

#[test]
fn mini_text_splits_are_disjoint() {
    let splits = [&text().train, &text().dev, &text().test_common, &text().test_rare];
    assert_eq!(
        (text().dev.len(), text().test_common.len()),
        (SIZES.dev, SIZES.test_common)
    );
    // Covering the words may take more sentences than were asked for.
    assert!(text().train.len() >= SIZES.train && text().test_rare.len() >= SIZES.test_rare);
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (split, sentences) in splits.iter().enumerate() {
        for it in *sentences {
            for text in [&it.en, &it.de, &it.es, &it.fr] {
                if let Some(other) = seen.insert(text, split) {
                    // One translation may serve two languages that spell it alike, never two sentences.
                    assert!(it.en == *text || it.de == *text || it.es == *text || it.fr == *text);
                    assert_eq!(other, split, "{text}");
                }
            }
        }
    }
}

#[test]
fn mini_text_rare_words_are_absent_from_training() {
    let rare = rare();
    for sentences in [&text().train, &text().dev, &text().test_common] {
        assert!(words(sentences).is_disjoint(&rare.iter().cloned().collect()));
    }
    assert!(
        text()
            .test_rare
            .iter()
            .all(|it| it.transcript().split(' ').any(|word| rare.contains(word)))
    );
}

#[test]
fn mini_text_tests_have_no_other_unknown_word() {
    let known = words(&text().train);
    let rare = rare();
    let tests = words(
        text()
            .dev
            .iter()
            .chain(&text().test_common)
            .chain(&text().test_rare),
    );
    let unknown: Vec<&String> = tests
        .iter()
        .filter(|word| !known.contains(*word) && !rare.contains(*word))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn mini_text_low_resource_order_covers_the_words() {
    let train = &text().train;
    let all = words(train);
    let first = (1..=train.len())
        .find(|&count| words(&train[..count]) == all)
        .unwrap();
    assert!(
        first < train.len() * 2 / 3,
        "all words only after {first} of {}",
        train.len()
    );
}

#[test]
fn mini_text_is_a_function_of_the_seed() {
    let small = MiniSizes {
        train: 60,
        dev: 10,
        test_common: 10,
        test_rare: 10,
    };
    assert_eq!(mini_text(5, small), mini_text(5, small));
    assert_ne!(mini_text(5, small), mini_text(6, small));
}
