//! One label per phone.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::lexicon::Lexicon;
use crate::pronounce::{Pronouncer, PronouncerConfig};
use crate::tokenizer::{Specials, Tokenizer, Unknown, Vocabulary};

/// The token between words.
const BOUNDARY: &str = "|";

/// One label per phone of a [`Lexicon`], a boundary between words, and letters for words that are not in it.
///
/// A word outside the lexicon is **spelled**: one label per letter, in lower case, apart from the phones.
/// [`Phonemes::spelled`] says which words of a text that concerns. The letters are those of the lexicon's words;
/// others are errors, or the unknown label.
///
/// Or it is **pronounced**, if [`Phonemes::pronouncing`] asked for it: as the lexicon's other words suggest, by a
/// [`Pronouncer`]. [`Phonemes::pronounced`] says which words, and how. What the model cannot pronounce, a word with
/// an unknown letter or of silent ones alone, is spelled. The labels are the same either way.
///
/// Decoding gives phones, not words: `g ow | w eh s t`, spelled letters in brackets, `[x] [y]`. What is lost
/// is the spelling; the phones are exact.
///
/// # Proved by
///
/// `phonemes_decode_to_the_phones_of_the_lexicon`, `phonemes_spell_words_outside_the_lexicon`,
/// `phonemes_pronounce_words_outside_the_lexicon_if_asked`.
///
/// # Example
///
/// ```
/// use sandhi_text::{Lexicon, Phonemes, PronouncerConfig, Tokenizer, Unknown};
/// # fn main() -> sandhi_text::Result<()> {
/// let lexicon = Lexicon::parse(["GO  G OW", "SET  S EH T", "WEST  W EH S T", "WEST(2)  W EH S"])?;
/// let phonemes = Phonemes::new(lexicon, Unknown::Error)?;
/// let labels = phonemes.encode("go west")?;
/// assert_eq!(phonemes.decode(&labels)?, "G OW | W EH S T");
/// assert_eq!(phonemes.spelled("go stew").collect::<Vec<_>>(), ["stew"]);
/// assert_eq!(phonemes.decode(&phonemes.encode("stew")?)?, "[s] [t] [e] [w]");
/// let phonemes = phonemes.pronouncing(PronouncerConfig::default())?;
/// assert_eq!(phonemes.decode(&phonemes.encode("stew")?)?, "S T EH W");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phonemes {
    pub(crate) lexicon: Lexicon,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) pronouncer: Option<Pronouncer>,
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
        Ok(Self {
            lexicon,
            vocabulary,
            pronouncer: None,
        })
    }

    /// The same labels, but words outside the lexicon are pronounced, as the lexicon teaches.
    ///
    /// # Errors
    ///
    /// Those of [`Pronouncer::train`].
    pub fn pronouncing(mut self, config: PronouncerConfig) -> Result<Self> {
        self.pronouncer = Some(Pronouncer::train(&self.lexicon, config)?);
        Ok(self)
    }

    /// The words of a text that have no pronunciation and are spelled instead.
    pub fn spelled<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        self.outside(text).filter(|word| self.guess(word).is_none())
    }

    /// The words of a text that are pronounced without being in the lexicon, and their phones.
    pub fn pronounced<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (&'a str, Vec<String>)> {
        self.outside(text)
            .filter_map(|word| self.guess(word).map(|phones| (word, phones)))
    }

    fn outside<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        text.split_whitespace()
            .filter(|word| self.lexicon.phones(word).is_none())
    }

    /// The phones of a word outside the lexicon; `None` if it must be spelled.
    fn guess(&self, word: &str) -> Option<Vec<String>> {
        self.pronouncer.as_ref()?.pronounce(word).ok()
    }

    /// Every phone of the lexicon has a label since `new`.
    fn sound(&self, phones: &[String], labels: &mut Vec<u32>) {
        labels.extend(phones.iter().filter_map(|phone| self.vocabulary.label(phone)));
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
            if let Some(phones) = self.lexicon.phones(word) {
                self.sound(phones, &mut labels);
            } else if let Some(phones) = self.guess(word) {
                self.sound(&phones, &mut labels);
            } else {
                self.spell(word, text, &mut labels)?;
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
