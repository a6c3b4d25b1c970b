//! Laws of the tokenizers.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use sandhi_text::{
    BLANK, Error, Graphemes, Lexicon, NormalizeConfig, Phonemes, Subwords, Tokenizer, Unknown, normalize,
};

const TEXTS: [&str; 8] = [
    "the lighthouse keeper counts the lanterns",
    "seven lanterns shine above the harbour",
    "the keeper lowers the lantern slowly",
    "the slow boats follow the lower lanterns",
    "don't follow the slowest boat",
    "above the harbour the lights are lower",
    "der wächter zählt die laternen über dem hafen",
    "नाविक दीपक गिनता है",
];

/// Words over an alphabet that all test tokenizers know.
fn known_text() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-eh-il-or-uwä']{1,9}", 0..7).prop_map(|words| words.join(" "))
}

fn graphemes() -> Graphemes {
    Graphemes::train(TEXTS, Unknown::Error).unwrap()
}

fn subwords() -> Subwords {
    Subwords::train(TEXTS, 70, Unknown::Error).unwrap()
}

fn lexicon() -> Lexicon {
    Lexicon::parse([
        ";;; a comment",
        "THE  DH AH",
        "THE(2)  DH IY",
        "",
        "BOAT\tB OW T",
        "SLOW  S L OW",
        "A  AH",
    ])
    .unwrap()
}

proptest! {
    #[test]
    fn graphemes_round_trip(text in known_text()) {
        let graphemes = graphemes();
        let labels = graphemes.encode(&text).unwrap();
        prop_assert_eq!(labels.len(), text.chars().count());
        prop_assert_eq!(graphemes.decode(&labels).unwrap(), text);
    }

    #[test]
    fn subwords_round_trip(text in known_text()) {
        let subwords = subwords();
        let labels = subwords.encode(&text).unwrap();
        prop_assert!(labels.len() <= text.chars().count() + 1);
        prop_assert_eq!(subwords.decode(&labels).unwrap(), text);
    }

    #[test]
    fn graphemes_of_any_normalized_text_round_trip(text in "\\PC{0,40}") {
        let text = normalize(&text, &NormalizeConfig::default());
        prop_assume!(!text.is_empty());
        let graphemes = Graphemes::train([&text], Unknown::Error).unwrap();
        prop_assert_eq!(graphemes.decode(&graphemes.encode(&text).unwrap()).unwrap(), text);
    }

    #[test]
    fn tokenizers_decode_past_silent_specials(text in known_text(), at in 0usize..20, silent in 0u32..4) {
        for tokenizer in [&graphemes() as &dyn Tokenizer, &subwords()] {
            let mut labels = tokenizer.encode(&text).unwrap();
            labels.insert(at.min(labels.len()), silent);
            prop_assert_eq!(tokenizer.decode(&labels).unwrap(), text.clone());
        }
    }

    #[test]
    fn tokenizers_never_emit_specials(text in known_text()) {
        for tokenizer in [&graphemes() as &dyn Tokenizer, &subwords()] {
            let first = tokenizer.specials().mask + 1;
            for label in tokenizer.encode(&text).unwrap() {
                prop_assert!((first..tokenizer.vocab_size() as u32).contains(&label));
                prop_assert!(tokenizer.token(label).is_some());
            }
        }
    }
}

#[test]
fn specials_begin_with_blank_and_are_distinct() {
    let graphemes = Graphemes::new("ab".chars(), Unknown::Label).unwrap();
    let specials = *graphemes.specials();
    assert_eq!((specials.blank, BLANK), (0, 0));
    let all = [
        specials.blank,
        specials.pad,
        specials.bos,
        specials.eos,
        specials.mask,
        specials.unk.unwrap(),
    ];
    let names = all.map(|label| graphemes.token(label).unwrap());
    assert_eq!(names, ["<blank>", "<pad>", "<bos>", "<eos>", "<mask>", "<unk>"]);
    // Six specials, the space and two letters.
    assert_eq!(graphemes.vocab_size(), 9);
    assert_eq!(graphemes.token(9), None);
    assert_eq!(graphemes.token(6), Some(" "));
}

#[test]
fn graphemes_do_not_depend_on_the_order_of_texts() {
    let mut reversed = TEXTS;
    reversed.reverse();
    assert_eq!(Graphemes::train(reversed, Unknown::Error).unwrap(), graphemes());
}

#[test]
fn graphemes_name_the_unknown_character() {
    let error = graphemes().encode("slow ship?").unwrap_err();
    assert!(
        matches!(
            error,
            Error::UnknownCharacter {
                character: 'p' | '?',
                ..
            }
        ),
        "{error:?}"
    );
    let message = Graphemes::new("ab".chars(), Unknown::Error)
        .unwrap()
        .encode("a ☃")
        .unwrap_err()
        .to_string();
    assert!(message.contains("'☃' (U+2603) in \"a ☃\""), "{message}");
}

#[test]
fn unknown_characters_have_a_label_if_asked() {
    let graphemes = Graphemes::new("ab".chars(), Unknown::Label).unwrap();
    assert_eq!(
        graphemes.decode(&graphemes.encode("a☃b").unwrap()).unwrap(),
        "a<unk>b"
    );
    let subwords = Subwords::train(["ab ab"], 11, Unknown::Label).unwrap();
    assert_eq!(
        subwords.decode(&subwords.encode("ab ☃b").unwrap()).unwrap(),
        "ab <unk>b"
    );
}

#[test]
fn text_that_spells_a_special_is_text() {
    let graphemes = Graphemes::new("<blank>".chars(), Unknown::Error).unwrap();
    let labels = graphemes.encode("<blank>").unwrap();
    assert!(labels.len() == 7 && !labels.contains(&BLANK));
    // Merges may spell it too, and still do not become it.
    let subwords = Subwords::train(["<pad> <pad> <pad>"], 15, Unknown::Error).unwrap();
    let labels = subwords.encode("<pad>").unwrap();
    assert!(!labels.contains(&subwords.specials().pad));
    assert_eq!(subwords.decode(&labels).unwrap(), "<pad>");
}

#[test]
fn labels_outside_the_vocabulary_are_errors() {
    for tokenizer in [&graphemes() as &dyn Tokenizer, &subwords()] {
        let size = tokenizer.vocab_size();
        let error = tokenizer.decode(&[size as u32]).unwrap_err();
        assert!(
            matches!(error, Error::UnknownLabel { vocab_size, .. } if vocab_size == size),
            "{error:?}"
        );
    }
}

#[test]
fn vocabularies_need_content() {
    assert!(matches!(
        Graphemes::train([""; 0], Unknown::Error),
        Err(Error::Vocabulary(_))
    ));
    assert!(matches!(
        Graphemes::new([' '], Unknown::Error),
        Err(Error::Vocabulary(_))
    ));
    assert!(matches!(
        Subwords::train(["  "], 10, Unknown::Error),
        Err(Error::Vocabulary(_))
    ));
    // Room for fewer labels than characters, more labels than the text has pairs, and the reserved character.
    for (text, size, complaint) in [
        ("abc abc", 6, "expected room for 9 labels"),
        ("ab ab", 100, "supports 10 labels"),
        ("a▁b", 50, "reserved"),
    ] {
        let error = Subwords::train([text], size, Unknown::Error)
            .unwrap_err()
            .to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn subwords_train_deterministically() {
    let reference = subwords();
    assert_eq!(reference.vocab_size(), 70);
    let mut texts = TEXTS;
    for turn in 0..20 {
        texts.rotate_left(turn % 8);
        let again = Subwords::train(texts, 70, Unknown::Error).unwrap();
        assert_eq!(again, reference);
        assert_eq!(again.identity(), reference.identity());
    }
    assert!(reference.identity().starts_with("bpe-70-"));
    assert_ne!(
        Subwords::train(TEXTS, 69, Unknown::Error).unwrap().identity(),
        reference.identity()
    );
}

#[test]
fn subwords_merge_the_most_frequent_pair_first() {
    // "▁l" and "lo" and "ow" occur four times each; of these the pair of the lowest labels goes first.
    // Characters by code point: e l n o r s t w ▁, from label 5 on.
    let subwords = Subwords::train(["low low lower slow", "ten"], 15, Unknown::Error).unwrap();
    let merged = subwords.token(14).unwrap();
    assert_eq!(merged, "lo");
    let labels = subwords.encode("low").unwrap();
    let tokens: Vec<_> = labels
        .iter()
        .map(|&label| subwords.token(label).unwrap())
        .collect();
    assert_eq!(tokens, ["▁", "lo", "w"]);
}

#[test]
fn subwords_reserve_the_word_start() {
    assert!(matches!(
        subwords().encode("a▁b"),
        Err(Error::UnknownCharacter { character: '▁', .. })
    ));
}

#[test]
fn phonemes_decode_to_the_phones_of_the_lexicon() {
    let phonemes = Phonemes::new(lexicon(), Unknown::Error).unwrap();
    let labels = phonemes.encode("The slow BOAT").unwrap();
    assert_eq!(phonemes.decode(&labels).unwrap(), "DH AH | S L OW | B OW T");
    assert_eq!(labels.len(), 10);
    assert_eq!(phonemes.spelled("the slow boat").count(), 0);
}

#[test]
fn phonemes_spell_words_outside_the_lexicon() {
    let phonemes = Phonemes::new(lexicon(), Unknown::Error).unwrap();
    assert_eq!(phonemes.spelled("a lost boat").collect::<Vec<_>>(), ["lost"]);
    let labels = phonemes.encode("a lost boat").unwrap();
    assert_eq!(phonemes.decode(&labels).unwrap(), "AH | [l] [o] [s] [t] | B OW T");
    // The letter of a spelled word is another label than a phone of that name.
    assert!(
        !phonemes
            .encode("b")
            .unwrap()
            .contains(&phonemes.encode("boat").unwrap()[0])
    );
    assert!(matches!(
        phonemes.encode("x"),
        Err(Error::UnknownCharacter { character: 'x', .. })
    ));
    let lenient = Phonemes::new(lexicon(), Unknown::Label).unwrap();
    assert_eq!(
        lenient.decode(&lenient.encode("xa").unwrap()).unwrap(),
        "<unk> [a]"
    );
}

#[test]
fn lexicon_takes_the_first_pronunciation() {
    let lexicon = lexicon();
    assert_eq!(lexicon.phones("the").unwrap(), ["DH", "AH"]);
    assert_eq!(lexicon.len(), 4);
    assert_eq!(lexicon.phones("the(2)"), None);
}

#[test]
fn lexicon_names_the_wrong_line() {
    let error = Lexicon::parse(["A AH", "", "LONELY"]).unwrap_err();
    assert!(
        matches!(&error, Error::Lexicon { line: 3, text } if text == "LONELY"),
        "{error:?}"
    );
    assert!(matches!(
        Lexicon::parse(["", ";;; nothing"]),
        Err(Error::Vocabulary(_))
    ));
    let clash = Lexicon::parse(["A |"]).unwrap();
    assert!(matches!(
        Phonemes::new(clash, Unknown::Error),
        Err(Error::Vocabulary(_))
    ));
}
