//! Laws of the letter-to-sound model, and the example `pronounce`.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[allow(dead_code)] // Its `main`.
#[path = "../examples/pronounce.rs"]
mod pronounce;

use proptest::prelude::*;
use sandhi_text::{Error, Lexicon, Phonemes, Pronouncer, PronouncerConfig, Tokenizer, Unknown};

/// Each letter has a sound of its own, `x` has two, `h` changes the `s` before it, and `e` at the end is silent.
fn sounds(word: &str) -> Vec<&str> {
    let letters: Vec<char> = word.chars().collect();
    let mut phones = Vec::new();
    for (at, letter) in letters.iter().enumerate() {
        match letter {
            's' if letters.get(at + 1) == Some(&'h') => phones.push("SH"),
            'h' if at > 0 && letters[at - 1] == 's' => {}
            'e' if at + 1 == letters.len() => {}
            'x' => phones.extend(["K", "S"]),
            'a' => phones.push("AA"),
            'e' => phones.push("EH"),
            'o' => phones.push("OW"),
            'h' => phones.push("HH"),
            's' => phones.push("S"),
            't' => phones.push("T"),
            _ => phones.push("M"),
        }
    }
    phones
}

fn line(word: &str) -> String {
    format!("{word} {}", sounds(word).join(" "))
}

const WORDS: [&str; 24] = [
    "tam", "tame", "mat", "mate", "sham", "shame", "tax", "axe", "ham", "mesh", "same", "sat", "tosh",
    "most", "mote", "hat", "home", "hox", "shot", "set", "shoe", "exam", "osha", "moxe",
];

fn regular() -> Lexicon {
    Lexicon::parse(WORDS.map(line)).unwrap()
}

fn train(lexicon: &Lexicon) -> Pronouncer {
    Pronouncer::train(lexicon, PronouncerConfig::default()).unwrap()
}

fn mini() -> Lexicon {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../data-manifests/mini/lexicon.tsv"
    );
    Lexicon::read(path).unwrap()
}

#[test]
fn one_phone_a_letter_is_learned_exactly() {
    let lexicon = Lexicon::parse(["ab A B", "bc B C", "ca C A", "abc A B C"]).unwrap();
    let pronouncer = train(&lexicon);
    let mut words = vec![String::new()];
    for _ in 0..4 {
        words = words
            .iter()
            .flat_map(|word| ['a', 'b', 'c'].map(|letter| format!("{word}{letter}")))
            .collect();
        for word in &words {
            assert_eq!(pronouncer.pronounce(word).unwrap().concat(), word.to_uppercase());
        }
    }
    assert_eq!(pronouncer.pronounce("BAC").unwrap().concat(), "BAC");
    let graphones = pronouncer.graphones("cab").unwrap();
    assert!(
        graphones
            .iter()
            .all(|graphone| graphone.letter.to_uppercase().to_string() == graphone.phones.concat())
    );
}

#[test]
fn regular_orthographies_are_learned_exactly() {
    let pronouncer = train(&regular());
    for word in [
        "some", "shax", "mash", "hash", "tomate", "oshe", "maxe", "temosham",
    ] {
        assert_eq!(pronouncer.pronounce(word).unwrap(), sounds(word), "{word}");
    }
    let graphones = pronouncer.graphones("axe").unwrap();
    let graphones: Vec<String> = graphones.iter().map(ToString::to_string).collect();
    assert_eq!(graphones, ["a:AA", "x:K S", "e:"]);
}

#[test]
fn pronouncers_do_not_depend_on_the_order_of_the_lexicon() {
    let reference = train(&regular());
    let mut words = WORDS;
    for turn in 0..10 {
        words.rotate_left(turn);
        words.swap(0, turn);
        let again = train(&Lexicon::parse(words.map(line)).unwrap());
        assert_eq!(again, reference);
        assert_eq!(again.identity(), reference.identity());
    }
    assert!(reference.identity().starts_with("graphones-4-"));
    let fewer = train(&Lexicon::parse(WORDS[1..].iter().map(|word| line(word))).unwrap());
    assert_ne!(fewer.identity(), reference.identity());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn every_word_of_known_letters_is_spelled_by_its_graphones(words in prop::collection::vec("[aehmostx]{1,12}", 8)) {
        let pronouncer = train(&regular());
        for word in words {
            let graphones = pronouncer.graphones(&word).unwrap();
            let letters: String = graphones.iter().map(|graphone| graphone.letter).collect();
            let phones: Vec<String> = graphones.iter().flat_map(|graphone| graphone.phones.clone()).collect();
            prop_assert_eq!(&letters, &word);
            prop_assert!(!phones.is_empty());
            prop_assert_eq!(pronouncer.pronounce(&word).unwrap(), phones);
        }
    }
}

#[test]
fn what_cannot_be_pronounced_is_named() {
    let pronouncer = train(&Lexicon::parse(["a' A", "b' B"]).unwrap());
    let error = pronouncer.pronounce("a☃b").unwrap_err();
    assert!(
        matches!(&error, Error::UnknownCharacter { character: '☃', text } if text == "a☃b"),
        "{error:?}"
    );
    for silent in ["", "'", "''"] {
        let error = pronouncer.pronounce(silent).unwrap_err();
        assert!(
            matches!(&error, Error::Silent { word } if word == silent),
            "{error:?}"
        );
    }
}

#[test]
fn words_of_too_many_phones_teach_nothing_and_are_counted() {
    let pronouncer = train(&Lexicon::parse(["w d ah b", "ab A B"]).unwrap());
    assert_eq!(pronouncer.unaligned(), 1);
    assert!(matches!(
        pronouncer.pronounce("w"),
        Err(Error::UnknownCharacter { character: 'w', .. })
    ));
    let nothing = Lexicon::parse(["w d ah b"]).unwrap();
    let error = Pronouncer::train(&nothing, PronouncerConfig::default()).unwrap_err();
    assert!(error.to_string().contains("two phones a letter"), "{error}");
    for (order, rounds) in [(0, 1), (17, 1), (1, 0)] {
        assert!(matches!(
            Pronouncer::train(&regular(), PronouncerConfig { order, rounds }),
            Err(Error::Config { .. })
        ));
    }
}

#[test]
fn phonemes_pronounce_words_outside_the_lexicon_if_asked() {
    let spelling = Phonemes::new(regular(), Unknown::Error).unwrap();
    let phonemes = spelling.clone().pronouncing(PronouncerConfig::default()).unwrap();
    let text = "tame some sat";
    assert_eq!(
        phonemes.decode(&phonemes.encode(text).unwrap()).unwrap(),
        "T AA M | S OW M | S AA T"
    );
    assert_eq!(phonemes.spelled(text).count(), 0);
    let pronounced: Vec<_> = phonemes.pronounced(text).collect();
    assert_eq!(
        pronounced,
        [("some", ["S", "OW", "M"].map(String::from).to_vec())]
    );
    // The labels are those of before, and so is what becomes of words of the lexicon.
    assert_eq!(phonemes.vocab_size(), spelling.vocab_size());
    assert_eq!(
        phonemes.encode("tame shoe").unwrap(),
        spelling.encode("tame shoe").unwrap()
    );
    assert_eq!(spelling.pronounced(text).count(), 0);
    assert_eq!(spelling.spelled(text).collect::<Vec<_>>(), ["some"]);
}

#[test]
fn phonemes_spell_what_cannot_be_pronounced() {
    let lexicon = Lexicon::parse(["a A", "b B", "ab A B", "a' A", "w d ah b"]).unwrap();
    let phonemes = |unknown| {
        let phonemes = Phonemes::new(lexicon.clone(), unknown).unwrap();
        phonemes.pronouncing(PronouncerConfig::default()).unwrap()
    };
    let strict = phonemes(Unknown::Error);
    assert_eq!(
        strict.decode(&strict.encode("ab ' wa").unwrap()).unwrap(),
        "A B | ['] | [w] [a]"
    );
    assert_eq!(strict.spelled("ab ' wa").collect::<Vec<_>>(), ["'", "wa"]);
    assert!(matches!(
        strict.encode("ax"),
        Err(Error::UnknownCharacter { character: 'x', .. })
    ));
    let lenient = phonemes(Unknown::Label);
    assert_eq!(
        lenient.decode(&lenient.encode("ax").unwrap()).unwrap(),
        "[a] <unk>"
    );
}

#[test]
fn holding_out_splits_a_lexicon() {
    let lexicon = mini();
    let parts: Vec<_> = (0..10)
        .map(|first| lexicon.hold_out(10, first).unwrap())
        .collect();
    assert!(
        parts
            .iter()
            .all(|(rest, held)| rest.len() == 621 && held.len() == 69)
    );
    assert!(
        parts
            .iter()
            .all(|(rest, held)| held.words().all(|(word, _)| rest.phones(word).is_none()))
    );
    let held: usize = parts.iter().map(|(_, held)| held.len()).sum();
    assert_eq!(held, lexicon.len());
    assert!(matches!(lexicon.hold_out(1, 0), Err(Error::Config { .. })));
}

#[test]
fn unseen_words_are_pronounced_better_than_letter_by_letter() {
    let whole = PronouncerConfig::default();
    let [alone, context] = [1, whole.order].map(|order| {
        let mut errors = pronounce::Errors::default();
        for first in [0, 5] {
            errors
                .hold_out(&mini(), 10, first, PronouncerConfig { order, ..whole })
                .unwrap();
        }
        errors
    });
    println!("{alone}\n{context}");
    assert!(context.phone_error_rate() < 14.0, "{context}");
    assert!(context.word_accuracy() > 60.0, "{context}");
    assert!(
        context.phone_error_rate() < alone.phone_error_rate() / 2.0,
        "{alone}; {context}"
    );
}
