//! Words and how they are pronounced.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::lines::read_lines;

/// A pronunciation dictionary: one pronunciation for each word.
///
/// Words are looked up in lower case whatever the case of the dictionary, as dictionaries are often written
/// in upper case. Of several pronunciations (`A`, `A(2)`) the first in the file is taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lexicon {
    pub(crate) words: BTreeMap<String, Vec<String>>,
}

impl Lexicon {
    /// From lines in the style of the CMU dictionary: a word, white space, phones apart by white space.
    ///
    /// Empty lines and comments (`;;;`) are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Lexicon`] for a word without phones; [`Error::Vocabulary`] if there is no word at all.
    pub fn parse<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> Result<Self> {
        let mut words = BTreeMap::new();
        for (index, line) in lines.into_iter().enumerate() {
            let line = line.as_ref().trim();
            if line.is_empty() || line.starts_with(";;;") {
                continue;
            }
            let mut fields = line.split_whitespace();
            let word = fields.next().map(without_variant).unwrap_or_default();
            let phones: Vec<String> = fields.map(str::to_owned).collect();
            if word.is_empty() || phones.is_empty() {
                return Err(Error::Lexicon {
                    line: index + 1,
                    text: line.into(),
                });
            }
            words.entry(word.to_lowercase()).or_insert(phones);
        }
        if words.is_empty() {
            return Err(Error::Vocabulary("expected a lexicon of words, got none".into()));
        }
        Ok(Self { words })
    }

    /// From a file of such lines.
    ///
    /// # Errors
    ///
    /// Those of [`read_lines`] and of [`Lexicon::parse`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        Self::parse(read_lines(path)?)
    }

    /// The phones of a word, or `None` if the lexicon does not have it.
    pub fn phones(&self, word: &str) -> Option<&[String]> {
        self.words.get(&word.to_lowercase()).map(Vec::as_slice)
    }

    /// The words, in alphabetical order, and their phones.
    pub fn words(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.words
            .iter()
            .map(|(word, phones)| (word.as_str(), phones.as_slice()))
    }

    /// Every `every`-th word, from the one at place `first` in alphabetical order, apart from the rest: the rest, and
    /// those words.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if `every` is less than 2.
    pub fn hold_out(&self, every: usize, first: usize) -> Result<(Self, Self)> {
        if every < 2 {
            let got = every.to_string();
            return Err(Error::Config {
                what: "one held-out word in",
                expected: "2 or more",
                got,
            });
        }
        let (mut rest, mut held) = (Self::default(), Self::default());
        for (index, (word, phones)) in self.words.iter().enumerate() {
            let side = if index % every == first {
                &mut held
            } else {
                &mut rest
            };
            side.words.insert(word.clone(), phones.clone());
        }
        Ok((rest, held))
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

/// `WORD(2)` is the second pronunciation of `WORD`.
fn without_variant(word: &str) -> &str {
    match word.strip_suffix(')').and_then(|word| word.rsplit_once('(')) {
        Some((word, number)) if !word.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => word,
        _ => word,
    }
}
