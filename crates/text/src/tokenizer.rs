//! What every tokenizer offers, and the vocabulary beneath.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The blank label of a transducer, by convention the first of every vocabulary.
pub const BLANK: u32 = 0;

/// The labels that stand for no text. Part of the front end and saved with the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Specials {
    /// "No label here" in the lattice of a transducer: [`BLANK`].
    pub blank: u32,
    /// Fills a batch up to its longest sequence.
    pub pad: u32,
    /// Begins a sequence.
    pub bos: u32,
    /// Ends a sequence.
    pub eos: u32,
    /// Hides a label from the text encoder.
    pub mask: u32,
    /// Stands for what is not in the vocabulary. Without it, such text is an error.
    pub unk: Option<u32>,
}

impl Specials {
    pub(crate) fn new(unknown: Unknown) -> Self {
        let unk = (unknown == Unknown::Label).then_some(5);
        Self {
            blank: BLANK,
            pad: 1,
            bos: 2,
            eos: 3,
            mask: 4,
            unk,
        }
    }

    fn names(&self) -> &'static [&'static str] {
        const NAMES: [&str; 6] = ["<blank>", "<pad>", "<bos>", "<eos>", "<mask>", "<unk>"];
        &NAMES[..if self.unk.is_some() { 6 } else { 5 }]
    }

    pub(crate) fn len(&self) -> usize {
        self.names().len()
    }

    /// Whether decoding passes over the label: blank, pad, bos or eos.
    pub fn is_silent(&self, label: u32) -> bool {
        [self.blank, self.pad, self.bos, self.eos].contains(&label)
    }
}

/// What becomes of characters outside the alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// Encoding fails with [`Error::UnknownCharacter`].
    #[default]
    Error,
    /// Encoding gives the label `unk`, which decodes to `<unk>`.
    Label,
}

/// Text to labels and back.
///
/// Labels are `u32` in `0..vocab_size`, of which `0` is blank. Tokenizers expect normalized text
/// (see [`crate::normalize`]) and know nothing of normalization; [`crate::TextFrontend`] joins the two.
pub trait Tokenizer: Send + Sync {
    /// The labels of a normalized text, without bos and eos.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownCharacter`] unless the vocabulary has an unknown label.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;

    /// The text of labels. Blank, pad, bos and eos are passed over; mask and unk appear as `<mask>` and
    /// `<unk>`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownLabel`] if a label is outside the vocabulary.
    fn decode(&self, labels: &[u32]) -> Result<String>;

    /// Number of labels, blank and the other specials included.
    fn vocab_size(&self) -> usize;

    /// The token of a label, for people to read; `None` outside the vocabulary.
    fn token(&self, label: u32) -> Option<&str>;

    /// The labels that stand for no text.
    fn specials(&self) -> &Specials;
}

/// Tokens by label and labels by token. The specials come first and are found by label only, so that text
/// that spells `<pad>` is text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vocabulary {
    tokens: Vec<String>,
    labels: HashMap<String, u32>,
    pub(crate) specials: Specials,
}

impl Vocabulary {
    pub(crate) fn new(tokens: impl IntoIterator<Item = String>, unknown: Unknown) -> Result<Self> {
        let specials = Specials::new(unknown);
        let mut all: Vec<String> = specials.names().iter().map(ToString::to_string).collect();
        let mut labels = HashMap::new();
        for token in tokens {
            if labels.insert(token.clone(), all.len() as u32).is_some() {
                return Err(Error::Vocabulary(format!(
                    "expected distinct tokens, got {token:?} twice"
                )));
            }
            all.push(token);
        }
        if labels.is_empty() {
            return Err(Error::Vocabulary("expected at least one token, got none".into()));
        }
        Ok(Self {
            tokens: all,
            labels,
            specials,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(crate) fn token(&self, label: u32) -> Option<&str> {
        self.tokens.get(label as usize).map(String::as_str)
    }

    /// The tokens without the specials, in the order of their labels.
    pub(crate) fn plain_tokens(&self) -> &[String] {
        &self.tokens[self.specials.len()..]
    }

    pub(crate) fn label(&self, token: &str) -> Option<u32> {
        self.labels.get(token).copied()
    }

    /// The label of one character, or the unknown label, or the error that names it.
    pub(crate) fn character(&self, character: char, text: &str) -> Result<u32> {
        self.label(character.encode_utf8(&mut [0; 4]))
            .or(self.specials.unk)
            .ok_or_else(|| Error::UnknownCharacter {
                character,
                text: text.into(),
            })
    }

    /// The tokens that labels sound, blank, pad, bos and eos passed over.
    pub(crate) fn voiced<'a>(&'a self, labels: &[u32]) -> Result<Vec<&'a str>> {
        labels
            .iter()
            .filter(|&&label| !self.specials.is_silent(label))
            .map(|&label| {
                self.token(label).ok_or(Error::UnknownLabel {
                    label,
                    vocab_size: self.len(),
                })
            })
            .collect()
    }
}
