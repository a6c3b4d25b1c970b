//! A synchronous grammar: one abstract sentence, said in English, German, Spanish and French.
//!
//! The abstract syntax (`syntax`) holds what is said; `sample` and `compose` choose it, so that verbs get objects
//! they can have; one file per language says it. The words are in `lexicon`, one a line with its forms in all four
//! languages.

mod clauses;
mod compose;
mod domain;
mod english;
mod french;
mod german;
#[cfg(test)]
mod golden;
mod lexicon;
mod sample;
mod spanish;
mod syntax;

use std::collections::{BTreeSet, HashSet};

pub use domain::food_words;

use rand::Rng;

use crate::random::rng;
use lexicon::classes::*;
use lexicon::rare::{RARE_CITIES, RARE_NAMES, RARE_NOUNS};

/// Which words a sentence may be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Those of paired training only.
    Common,
    /// Those and the rare words.
    All,
}

/// A sentence in four languages, cased and punctuated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parallel {
    /// English.
    pub en: String,
    /// German.
    pub de: String,
    /// Spanish.
    pub es: String,
    /// French.
    pub fr: String,
}

impl Parallel {
    /// The English sentence as it is transcribed: lower-case words of a-z and the apostrophe.
    pub fn transcript(&self) -> String {
        self.en
            .chars()
            .filter(|character| !matches!(character, '.' | ',' | '?'))
            .flat_map(char::to_lowercase)
            .collect()
    }

    /// The sentence in a language of [`crate::LANGUAGES`].
    pub fn text(&self, language: &str) -> Option<&str> {
        match language {
            "en" => Some(&self.en),
            "de" => Some(&self.de),
            "es" => Some(&self.es),
            "fr" => Some(&self.fr),
            _ => None,
        }
    }
}

/// Draws a sentence of 3 to 14 English words.
///
/// A function of the generator's state alone: the same generator gives the same sentence.
pub fn sentence(rng: &mut impl Rng, words: Words) -> Parallel {
    loop {
        let drawn = sample::Sampler {
            rng: &mut *rng,
            words,
        }
        .sentence();
        let Some(drawn) = drawn else { continue };
        let parallel = Parallel {
            en: english::sentence(&drawn),
            de: german::sentence(&drawn),
            es: spanish::sentence(&drawn),
            fr: french::sentence(&drawn),
        };
        let transcript = parallel.transcript();
        if (3..=14).contains(&transcript.split(' ').count()) && !repeats_itself(&transcript) {
            return parallel;
        }
    }
}

/// Whether a content word comes twice: `my brother calls his brother`.
fn repeats_itself(transcript: &str) -> bool {
    let mut seen = HashSet::new();
    transcript
        .split(' ')
        .filter(|word| word.len() > 3)
        .any(|word| !seen.insert(word.trim_end_matches("'s")))
}

/// Nouns of these classes are said in the plural too.
const COUNTED: Classes =
    PERSON | ANIMAL | PRODUCE | TEXT | GIFT | TABLEWARE | CLOTHES | THING | DEVICE | VEHICLE | SIGHT;

/// The words that occur in test-rare and in unpaired text, never in paired training: lower-case, sorted, with the
/// plurals that the grammar uses.
pub fn rare_words() -> Vec<String> {
    let nouns = RARE_NOUNS.iter().flat_map(|noun| {
        let forms = if noun.is(COUNTED) { 2 } else { 1 };
        noun.en[..forms].iter().copied()
    });
    let names = RARE_NAMES.iter().map(|name| name.text);
    let cities = RARE_CITIES.iter().map(|city| city.text.en);
    let words: BTreeSet<String> = nouns.chain(names).chain(cities).map(str::to_lowercase).collect();
    words.into_iter().collect()
}

/// English text without audio: `count` distinct transcripts, none of them in `exclude`.
///
/// Drawn from the grammar with all its words, the rare ones included. What is excluded is skipped and nothing else
/// changes, and a shorter list is the beginning of a longer one. The grammar has millions of sentences; the list is
/// shorter than `count` only if a hundred draws per sentence did not find enough.
///
/// # Proved by
///
/// `unpaired_text_is_distinct_and_excludes_what_it_must`, `unpaired_text_has_every_rare_word`.
pub fn unpaired_text(seed: u64, count: usize, exclude: &HashSet<String>) -> Vec<String> {
    let mut rng = rng(seed, "unpaired text", []);
    let mut seen = HashSet::with_capacity(count);
    let mut text = Vec::with_capacity(count);
    for _ in 0..count.saturating_mul(100) {
        if text.len() == count {
            break;
        }
        let transcript = sentence(&mut rng, Words::All).transcript();
        if !exclude.contains(&transcript) && seen.insert(transcript.clone()) {
            text.push(transcript);
        }
    }
    text
}
