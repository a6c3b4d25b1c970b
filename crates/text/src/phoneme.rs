//! One label per phone.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::lexicon::Lexicon;
use crate::tokenizer::{Specials, Tokenizer, Unknown, Vocabulary};

/// The token between words.
const BOUNDARY: &str = "|";

/// One label per phone of a [`Lexicon`], a boundary between words, and letters for words that are not in it.
///
/// A word without a pronunciation is **spelled**: one label per letter, in lower case, apart from the phones.
/// There is no letter-to-sound model. [`Phonemes::spelled`] says which words of a text that concerns. The
/// letters are those of the lexicon's words; others are errors, or the unknown label.
///
/// Decoding gives phones, not words: `g ow | w eh s t`, spelled letters in brackets, `[x] [y]`. What is lost
/// is the spelling; the phones are exact.
///
/// # Proved by
///
/// `phonemes_decode_to_the_phones_of_the_lexicon`, `phonemes_spell_words_outside_the_lexicon`.
///
/// # Example
///
/// ```
/// use sandhi_text::{Lexicon, Phonemes, Tokenizer, Unknown};
/// # fn main() -> sandhi_text::Result<()> {
/// let lexicon = Lexicon::parse(["GO  G OW", "WEST  W EH S T", "WEST(2)  W EH S"])?;
/// let phonemes = Phonemes::new(lexicon, Unknown::Error)?;
/// let labels = phonemes.encode("go west")?;
/// assert_eq!(phonemes.decode(&labels)?, "G OW | W EH S T");
/// assert_eq!(phonemes.spelled("go stew").collect::<Vec<_>>(), ["stew"]);
/// assert_eq!(phonemes.decode(&phonemes.encode("stew")?)?, "[s] [t] [e] [w]");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phonemes {
    pub(crate) lexicon: Lexicon,
    pub(crate) vocabulary: Vocabulary,
}

impl Phonemes {
    /// From a lexicon; labels follow the sorted phones, then the sorted letters.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Vocabulary`] if a phone is spelled like the word boundary `|` or like a letter, `[x]`.
    pub fn new(lexicon: Lexicon, unknown: Unknown) -> Result<Self> {
        let phones: BTreeSet<&String> = lexicon.words.values().flatten().collect();
        let letters: BTreeSet<char> = lexicon.words.keys().flat_map(|word| word.chars()).collect();
        let tokens = std::iter::once(BOUNDARY.to_owned())
            .chain(phones.into_iter().cloned())
            .chain(letters.into_iter().map(letter_token));
        let vocabulary = Vocabulary::new(tokens, unknown)?;
        Ok(Self { lexicon, vocabulary })
    }

    /// The words of a text that have no pronunciation and are spelled instead.
    pub fn spelled<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        text.split_whitespace()
            .filter(|word| self.lexicon.phones(word).is_none())
    }

    fn spell(&self, word: &str, text: &str, labels: &mut Vec<u32>) -> Result<()> {
        for character in word.to_lowercase().chars() {
            let label = self
                .vocabulary
                .label(&letter_token(character))
                .or(self.vocabulary.specials.unk);
            labels.push(label.ok_or_else(|| crate::Error::UnknownCharacter {
                character,
                text: text.into(),
            })?);
        }
        Ok(())
    }
}

impl Tokenizer for Phonemes {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut labels = Vec::new();
        for (index, word) in text.split_whitespace().enumerate() {
            labels.extend(self.vocabulary.label(BOUNDARY).filter(|_| index > 0));
            match self.lexicon.phones(word) {
                // Every phone of the lexicon has a label since `new`.
                Some(phones) => labels.extend(phones.iter().filter_map(|phone| self.vocabulary.label(phone))),
                None => self.spell(word, text, &mut labels)?,
            }
        }
        Ok(labels)
    }

    fn decode(&self, labels: &[u32]) -> Result<String> {
        Ok(self.vocabulary.voiced(labels)?.join(" "))
    }

    fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    fn token(&self, label: u32) -> Option<&str> {
        self.vocabulary.token(label)
    }

    fn specials(&self) -> &Specials {
        &self.vocabulary.specials
    }
}

/// Letters stand apart from phones, of which some are spelled alike.
fn letter_token(letter: char) -> String {
    format!("[{letter}]")
}
