//! One label per character.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::tokenizer::{Specials, Tokenizer, Unknown, Vocabulary};

/// One label per character (Unicode code point); the space between words is a token.
///
/// Labels follow the order of code points, whatever the order in which the alphabet was given. Decoding is
/// exact for every text in the alphabet.
///
/// # Proved by
///
/// `graphemes_round_trip`, `graphemes_name_the_unknown_character`.
///
/// # Example
///
/// ```
/// use sandhi_text::{Graphemes, Tokenizer, Unknown};
/// # fn main() -> sandhi_text::Result<()> {
/// let graphemes = Graphemes::train(["go west", "stop"], Unknown::Error)?;
/// let labels = graphemes.encode("to go")?;
/// assert_eq!(graphemes.decode(&labels)?, "to go");
/// assert!(graphemes.encode("north").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graphemes {
    pub(crate) vocabulary: Vocabulary,
}

impl Graphemes {
    /// From an alphabet; repetitions do not matter, and the space is added if it is missing.
    ///
    /// # Errors
    ///
    /// [`Error::Vocabulary`] if the alphabet has nothing but the space.
    pub fn new(alphabet: impl IntoIterator<Item = char>, unknown: Unknown) -> Result<Self> {
        let alphabet: BTreeSet<char> = alphabet.into_iter().chain([' ']).collect();
        if alphabet.len() == 1 {
            return Err(Error::Vocabulary(
                "expected an alphabet of characters, got none but the space".into(),
            ));
        }
        let vocabulary = Vocabulary::new(alphabet.into_iter().map(String::from), unknown)?;
        Ok(Self { vocabulary })
    }

    /// From the characters of normalized texts.
    ///
    /// # Errors
    ///
    /// As [`Graphemes::new`].
    pub fn train<S: AsRef<str>>(texts: impl IntoIterator<Item = S>, unknown: Unknown) -> Result<Self> {
        let mut alphabet = BTreeSet::new();
        for text in texts {
            alphabet.extend(text.as_ref().chars());
        }
        Self::new(alphabet, unknown)
    }
}

impl Tokenizer for Graphemes {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        text.chars().map(|c| self.vocabulary.character(c, text)).collect()
    }

    fn decode(&self, labels: &[u32]) -> Result<String> {
        Ok(self.vocabulary.voiced(labels)?.concat())
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
