//! What a model is saved with: normalization and tokenizer as one thing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::grapheme::Graphemes;
use crate::lexicon::Lexicon;
use crate::normalize::{NormalizeConfig, normalize};
use crate::phoneme::Phonemes;
use crate::pronounce::PronouncerConfig;
use crate::subword::Subwords;
use crate::tokenizer::{Specials, Tokenizer, Unknown};

/// Version of the saved form.
const FORMAT: &str = "sandhi-text-frontend-1";

/// The tokenizers that a front end can hold and save.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Units {
    /// Characters.
    Graphemes(Graphemes),
    /// Pieces of words.
    Subwords(Subwords),
    /// Phones.
    Phonemes(Phonemes),
}

impl From<Graphemes> for Units {
    fn from(graphemes: Graphemes) -> Self {
        Self::Graphemes(graphemes)
    }
}

impl From<Subwords> for Units {
    fn from(subwords: Subwords) -> Self {
        Self::Subwords(subwords)
    }
}

impl From<Phonemes> for Units {
    fn from(phonemes: Phonemes) -> Self {
        Self::Phonemes(phonemes)
    }
}

/// Text to labels as one model does it: normalization, then a tokenizer. Saved with the model as one JSON
/// file.
///
/// # Proved by
///
/// `frontend_saves_and_loads_exactly`, `frontend_refuses_damaged_files`,
/// `frontend_fingerprint_tells_contents_apart`, `frontend_refuses_pronunciations_that_it_would_not_learn`.
///
/// # Example
///
/// ```
/// use sandhi_text::{Graphemes, NormalizeConfig, TextFrontend, Unknown};
/// # fn main() -> sandhi_text::Result<()> {
/// let frontend = TextFrontend::new(NormalizeConfig::default(), Graphemes::new('a'..='z', Unknown::Error)?);
/// let labels = frontend.encode("Go  West!")?;
/// assert_eq!(frontend.decode(&labels)?, "go west");
/// assert_eq!(TextFrontend::from_json(&frontend.to_json())?, frontend);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFrontend {
    normalize: NormalizeConfig,
    units: Units,
}

impl TextFrontend {
    /// Joins a normalization and a tokenizer trained on text normalized alike.
    pub fn new(normalize: NormalizeConfig, units: impl Into<Units>) -> Self {
        Self {
            normalize,
            units: units.into(),
        }
    }

    /// The labels of any text: normalized, then encoded.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownCharacter`] unless the vocabulary has an unknown label.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer().encode(&self.normalize(text))
    }

    /// The text of labels; see [`Tokenizer::decode`].
    ///
    /// # Errors
    ///
    /// [`Error::UnknownLabel`] if a label is outside the vocabulary.
    pub fn decode(&self, labels: &[u32]) -> Result<String> {
        self.tokenizer().decode(labels)
    }

    /// The text as the tokenizer sees it, which is also what a score should compare with.
    pub fn normalize(&self, text: &str) -> String {
        normalize(text, &self.normalize)
    }

    /// How text is normalized.
    pub fn normalize_config(&self) -> &NormalizeConfig {
        &self.normalize
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &dyn Tokenizer {
        match &self.units {
            Units::Graphemes(graphemes) => graphemes,
            Units::Subwords(subwords) => subwords,
            Units::Phonemes(phonemes) => phonemes,
        }
    }

    /// The tokenizer, by kind.
    pub fn units(&self) -> &Units {
        &self.units
    }

    /// Number of labels, blank and the other specials included.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer().vocab_size()
    }

    /// The token of a label; `None` outside the vocabulary.
    pub fn token(&self, label: u32) -> Option<&str> {
        self.tokenizer().token(label)
    }

    /// The labels that stand for no text.
    pub fn specials(&self) -> &Specials {
        self.tokenizer().specials()
    }

    /// SHA-256 of the saved contents, 64 hexadecimal digits: equal for two front ends that do the same.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.contents())
    }

    /// The front end as one JSON document. Equal front ends give equal bytes.
    pub fn to_json(&self) -> String {
        let contents = self.contents();
        let saved = Saved {
            format: FORMAT.into(),
            fingerprint: fingerprint(&contents),
            contents,
        };
        json(&saved) + "\n"
    }

    /// Reads what [`TextFrontend::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Frontend`] if the text is no such document, of another format, or changed since it was
    /// written.
    pub fn from_json(text: &str) -> Result<Self> {
        let damaged = |reason: String| Error::Frontend { path: None, reason };
        let Header { format } = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        if format != FORMAT {
            return Err(damaged(format!("expected format {FORMAT:?}, got {format:?}")));
        }
        let saved: Saved = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        let found = fingerprint(&saved.contents);
        if found != saved.fingerprint {
            let expected = saved.fingerprint;
            return Err(damaged(format!(
                "expected contents of fingerprint {expected}, got {found}"
            )));
        }
        let frontend = saved
            .contents
            .restore()
            .map_err(|error| damaged(error.to_string()))?;
        if frontend.fingerprint() != found {
            return Err(damaged(
                "the vocabulary or the pronunciations are not those that this version writes".into(),
            ));
        }
        Ok(frontend)
    }

    /// Writes one JSON file. A reader sees the old file or the new one, never half of it.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        fs::write(&partial, self.to_json())
            .and_then(|()| fs::rename(&partial, path))
            .map_err(|source| Error::Write {
                path: path.into(),
                source,
            })
    }

    /// Reads what [`TextFrontend::save`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Read`]; [`Error::Frontend`] naming the file if it is damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let at = |reason: String| Error::Frontend {
            path: Some(path.into()),
            reason,
        };
        let bytes = fs::read(path).map_err(|source| Error::Read {
            path: path.into(),
            source,
        })?;
        let text = std::str::from_utf8(&bytes).map_err(|error| at(error.to_string()))?;
        Self::from_json(text).map_err(|error| match error {
            Error::Frontend { reason, .. } => at(reason),
            other => other,
        })
    }

    fn contents(&self) -> Contents {
        let units = match &self.units {
            Units::Graphemes(graphemes) => SavedUnits::Graphemes {
                tokens: graphemes.vocabulary.plain_tokens().to_vec(),
            },
            Units::Subwords(subwords) => SavedUnits::Subwords {
                tokens: subwords.vocabulary.plain_tokens().to_vec(),
                merges: subwords.merges.clone(),
            },
            Units::Phonemes(phonemes) => SavedUnits::Phonemes {
                lexicon: phonemes.lexicon.words.clone(),
                pronouncer: phonemes.pronouncer.as_ref().map(|pronouncer| SavedPronouncer {
                    config: pronouncer.config(),
                    identity: pronouncer.identity().into(),
                }),
            },
        };
        Contents {
            normalize: self.normalize,
            specials: *self.specials(),
            units,
        }
    }
}

/// What is looked at first, so that another format is told from damage.
#[derive(Deserialize)]
struct Header {
    format: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    format: String,
    fingerprint: String,
    contents: Contents,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    normalize: NormalizeConfig,
    specials: Specials,
    units: SavedUnits,
}

/// Labels follow from the specials and the order of the tokens, so neither is spelled out label by label.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum SavedUnits {
    Graphemes {
        tokens: Vec<String>,
    },
    Subwords {
        tokens: Vec<String>,
        merges: Vec<(u32, u32)>,
    },
    Phonemes {
        lexicon: BTreeMap<String, Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pronouncer: Option<SavedPronouncer>,
    },
}

/// It learns from the saved lexicon again, in a moment; by its name the fingerprint tells whether it learned the same.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedPronouncer {
    config: PronouncerConfig,
    identity: String,
}

impl Contents {
    fn restore(self) -> Result<TextFrontend> {
        let unknown = if self.specials.unk.is_some() {
            Unknown::Label
        } else {
            Unknown::Error
        };
        let units = match self.units {
            SavedUnits::Graphemes { tokens } => Graphemes::new(tokens.concat().chars(), unknown)?.into(),
            SavedUnits::Subwords { tokens, merges } => Subwords::from_parts(tokens, merges, unknown)?.into(),
            SavedUnits::Phonemes { lexicon, pronouncer } => {
                let phonemes = Phonemes::new(Lexicon { words: lexicon }, unknown)?;
                match pronouncer {
                    Some(saved) => phonemes.pronouncing(saved.config)?.into(),
                    None => phonemes.into(),
                }
            }
        };
        Ok(TextFrontend {
            normalize: self.normalize,
            units,
        })
    }
}

fn fingerprint(contents: &Contents) -> String {
    Sha256::digest(json(contents))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| {
        unreachable!("strings, numbers and lists under string keys are always JSON: {error}")
    })
}
