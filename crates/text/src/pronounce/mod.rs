//! Letters to sound: how a word is pronounced that no dictionary has.

mod align;
mod ngram;
mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::lexicon::Lexicon;
use align::Aligner;
use ngram::Ngram;
use search::{Candidate, search};

/// Contexts that are longer hardly ever occur again.
const MOST_ORDER: usize = 16;

/// A letter of a word and the phones that it stands for there: the unit of a [`Pronouncer`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Graphone {
    /// The letter.
    pub letter: char,
    /// Two phones at most; none if the letter is silent.
    pub phones: Vec<String>,
}

/// As `m:m`, `x:k s`, and for a silent letter `e:`.
impl fmt::Display for Graphone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.letter, self.phones.join(" "))
    }
}

/// How a [`Pronouncer`] learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PronouncerConfig {
    /// `N` of the n-gram model: a graphone depends on the `N - 1` before it. 1 to 16.
    pub order: usize,
    /// Rounds of expectation maximization. 1 or more.
    pub rounds: usize,
}

impl Default for PronouncerConfig {
    fn default() -> Self {
        Self { order: 4, rounds: 20 }
    }
}

/// Says how words are pronounced, as it learned from a lexicon.
///
/// A word and its phones are one sequence of graphones `g₁ … g_K`, letters with their phones, and
///
/// ```text
/// p(g₁ … g_K) = Π_k p(g_k | h_k),   h_k = g_{k-N+1} … g_{k-1},   g_0 the beginning, g_{K+1} the end of the word.
/// ```
///
/// **Which letters go with which phones** no lexicon says. Expectation maximization finds out, with every graphone
/// by itself: from equal `p(g)`, in each round `p(g)` becomes proportional to
///
/// ```text
/// Σ_words Σ_segmentations p(segmentation | word, phones) · (number of g in segmentation),
/// ```
///
/// computed forwards and backwards over all segmentations, the same on every machine. A graphone is one letter and
/// zero, one or two phones: of `sh`, one letter has the sound and the other is silent, which is for the n-gram model
/// to know. The most likely segmentation of each word is then taken for the truth. Words of more than two phones a
/// letter have none and teach nothing; [`Pronouncer::unaligned`] counts them.
///
/// **What comes after what** is an n-gram model with interpolated Kneser-Ney smoothing, in which `h'` is `h` without
/// its oldest graphone:
///
/// ```text
/// p(g | h) = ( max(c(h g) − D, 0) + D · kinds(h) · p(g | h') ) / c(h),   or p(g | h') if h was never seen
/// p(g | nothing at all) = 1 / (number of graphones + 1)
/// ```
///
/// `c` counts occurrences in contexts of full length and those that begin the word, and in shorter ones how many
/// different graphones precede `h g`; `kinds(h)` is how many different graphones come after `h`. `D` is
/// `(n₁ + 1) / (n₁ + 2 n₂ + 2)` for each length of `h`, with `n_i` sequences `h g` that count `i`.
///
/// **The search** is exact: the most likely sequence of graphones that spells the word and has a phone. Its phones are
/// the answer. (That sums over no segmentations: of the same phones, the best one counts.)
///
/// Letters are characters in lower case. Every letter may be silent as far as the model is concerned, so that each
/// word of known letters has a pronunciation, however unlikely, unless nothing in it can sound.
///
/// # Source
///
/// Bisani & Ney 2008, "Joint-sequence models for grapheme-to-phoneme conversion", Speech Communication 50, 434-451;
/// theirs learns the alignment with the n-gram model, ours before it. Kneser & Ney 1995, "Improved backing-off for
/// m-gram language modeling".
///
/// # Proved by
///
/// `regular_orthographies_are_learned_exactly`, `alignment_totals_and_expectations_equal_enumeration`,
/// `segmentations_are_the_best_of_all`, `every_round_raises_the_likelihood`, `words_of_any_length_align`,
/// `smoothed_probabilities_sum_to_one_after_any_history`,
/// `contexts_of_the_automaton_are_all_that_matters_of_a_history`, `search_finds_the_best_of_all_sequences`,
/// `pronouncers_do_not_depend_on_the_order_of_the_lexicon`, `unseen_words_are_pronounced_better_than_letter_by_letter`.
///
/// # Example
///
/// ```
/// use sandhi_text::{Lexicon, Pronouncer, PronouncerConfig};
/// # fn main() -> sandhi_text::Result<()> {
/// let lexicon = Lexicon::parse(["ship sh ih p", "his hh ih z", "pit p ih t", "tap t ae p", "sat s ae t"])?;
/// let pronouncer = Pronouncer::train(&lexicon, PronouncerConfig::default())?;
/// assert_eq!(pronouncer.pronounce("shap")?, ["sh", "ae", "p"]);
/// let graphones: Vec<String> = pronouncer.graphones("shap")?.iter().map(ToString::to_string).collect();
/// assert_eq!(graphones, ["s:", "h:sh", "a:ae", "p:p"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Pronouncer {
    config: PronouncerConfig,
    graphones: Vec<Graphone>,
    /// The graphones of each letter, as the search sees them.
    candidates: BTreeMap<char, Vec<Candidate>>,
    ngram: Ngram,
    unaligned: usize,
    identity: String,
}

// No probability is NaN.
impl Eq for Pronouncer {}

impl Pronouncer {
    /// Learns from a lexicon, the same from the same whatever the order of its lines.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for an order or a number of rounds out of range; [`Error::Vocabulary`] if every word has more
    /// than two phones a letter.
    pub fn train(lexicon: &Lexicon, config: PronouncerConfig) -> Result<Self> {
        for (what, value, most, expected) in [
            ("order of the n-gram", config.order, MOST_ORDER, "1 to 16"),
            ("rounds of alignment", config.rounds, usize::MAX, "1 or more"),
        ] {
            if !(1..=most).contains(&value) {
                let got = value.to_string();
                return Err(Error::Config { what, expected, got });
            }
        }
        let mut aligner = Aligner::new(lexicon);
        for _ in 0..config.rounds {
            aligner.improve();
        }
        let words = aligner.segmentations();
        if words.is_empty() {
            let reason = format!(
                "expected a word with two phones a letter at most, got none in {}",
                lexicon.len()
            );
            return Err(Error::Vocabulary(reason));
        }
        // What the alignment uses, and each letter silent, so that every word of known letters has a way through.
        let of = |id: &u32| &aligner.graphones[*id as usize];
        let silent = aligner.graphones.iter().map(|graphone| Graphone {
            letter: graphone.letter,
            phones: Vec::new(),
        });
        let graphones: BTreeSet<Graphone> = words.iter().flatten().map(of).cloned().chain(silent).collect();
        let ids: BTreeMap<&Graphone, u32> = graphones.iter().zip(0..).collect();
        let words: Vec<Vec<u32>> = words
            .iter()
            .map(|word| word.iter().map(|id| ids[of(id)]).collect())
            .collect();

        let mut candidates: BTreeMap<char, Vec<Candidate>> = BTreeMap::new();
        for (graphone, &id) in &ids {
            candidates.entry(graphone.letter).or_default().push(Candidate {
                graphone: id,
                voiced: !graphone.phones.is_empty(),
            });
        }
        Ok(Self {
            config,
            ngram: Ngram::new(&words, graphones.len(), config.order),
            candidates,
            unaligned: lexicon.len() - words.len(),
            identity: identity(&graphones, &words, config.order),
            graphones: graphones.into_iter().collect(),
        })
    }

    /// The phones of a word, at least one.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownCharacter`] for a character that no word learned from has; [`Error::Silent`] for a word
    /// without letters or of letters that never sound.
    pub fn pronounce(&self, word: &str) -> Result<Vec<String>> {
        Ok(self
            .graphones(word)?
            .into_iter()
            .flat_map(|graphone| graphone.phones.iter().cloned())
            .collect())
    }

    /// Which letters of a word stand for which phones, when it is pronounced.
    ///
    /// # Errors
    ///
    /// Those of [`Pronouncer::pronounce`].
    pub fn graphones(&self, word: &str) -> Result<Vec<&Graphone>> {
        let of = |character: char| {
            let candidates = self.candidates.get(&character).map(Vec::as_slice);
            candidates.ok_or_else(|| Error::UnknownCharacter {
                character,
                text: word.into(),
            })
        };
        let candidates = word.to_lowercase().chars().map(of).collect::<Result<Vec<_>>>()?;
        let best = search(&self.ngram, &candidates).ok_or_else(|| Error::Silent { word: word.into() })?;
        Ok(best.into_iter().map(|id| &self.graphones[id as usize]).collect())
    }

    /// How it learned.
    pub fn config(&self) -> PronouncerConfig {
        self.config
    }

    /// How many words of the lexicon were not learned from: those of more than two phones a letter.
    pub fn unaligned(&self) -> usize {
        self.unaligned
    }

    /// A name that tells this model from every other: order, and the first 64 bits of the SHA-256 of its graphones
    /// and of the segmentations it learned from, as in `graphones-4-9f86d081884c7d65`.
    pub fn identity(&self) -> &str {
        &self.identity
    }
}

/// See [`Pronouncer::identity`]. The n-gram model follows from what is hashed.
fn identity(graphones: &BTreeSet<Graphone>, words: &[Vec<u32>], order: usize) -> String {
    let mut hash = Sha256::new();
    for graphone in graphones {
        hash.update(graphone.to_string());
        hash.update([0]);
    }
    for word in words {
        for id in word {
            hash.update(id.to_le_bytes());
        }
        hash.update([0xff; 4]);
    }
    let hex: String = hash
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("graphones-{order}-{hex}")
}
