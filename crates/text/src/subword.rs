//! Byte-pair encoding: frequent pieces of words as labels.

use std::collections::HashMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokenizers::Trainer as _;
use tokenizers::models::bpe::{BPE, BpeTrainer};

use crate::error::{Error, Result};
use crate::tokenizer::{Specials, Tokenizer, Unknown, Vocabulary};

/// Begins every word, in place of the space before it.
const WORD_START: char = '▁';

/// Two neighbouring labels of a word.
type Pair = (u32, u32);

/// Byte-pair encoding over characters, within words.
///
/// A word begins with `▁`, so that decoding puts the spaces back and is exact for normalized text. Labels:
/// specials, then the characters of the training text in code-point order, then merged tokens in the order of
/// their merges.
///
/// # Source
///
/// Sennrich, Haddow & Birch 2016, "Neural machine translation of rare words with subword units".
///
/// # Proved by
///
/// `subwords_round_trip`, `subwords_train_deterministically`, `subwords_merge_what_a_naive_count_says`,
/// `subwords_encode_like_tokenizers`.
///
/// # Example
///
/// ```
/// use sandhi_text::{Subwords, Tokenizer, Unknown};
/// # fn main() -> sandhi_text::Result<()> {
/// let subwords = Subwords::train(["low lower lowest", "slow low"], 16, Unknown::Error)?;
/// let labels = subwords.encode("slow lower")?;
/// assert_eq!(subwords.decode(&labels)?, "slow lower");
/// assert!(labels.len() < "slow lower".len());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subwords {
    pub(crate) vocabulary: Vocabulary,
    /// Pairs in the order in which they merge.
    pub(crate) merges: Vec<Pair>,
    /// Rank and result of each merge.
    ranks: HashMap<Pair, (usize, u32)>,
}

impl Subwords {
    /// Learns merges from normalized texts until the vocabulary has `vocab_size` labels, specials included.
    ///
    /// The trainer is that of the `tokenizers` crate: each round merges the pair that occurs most often,
    /// twice at least; of equally frequent pairs, that of the lowest labels. The outcome depends on how often
    /// each word occurs, not on the order of the texts or the number of threads.
    ///
    /// # Errors
    ///
    /// [`Error::Vocabulary`] if `vocab_size` has no room for specials and characters, if the text has too few
    /// pairs that occur twice to fill it, or if the text holds the reserved `▁`.
    pub fn train<S: AsRef<str>>(
        texts: impl IntoIterator<Item = S>,
        vocab_size: usize,
        unknown: Unknown,
    ) -> Result<Self> {
        let texts: Vec<String> = texts.into_iter().map(|text| text.as_ref().to_owned()).collect();
        if let Some(text) = texts.iter().find(|text| text.contains(WORD_START)) {
            return Err(Error::Vocabulary(format!(
                "expected text without the reserved {WORD_START:?}, got {text:?}"
            )));
        }
        // The trainer knows nothing of the specials, so that no merge can spell one of them.
        let specials = Specials::new(unknown).len();
        let learned = learn(&texts, vocab_size.saturating_sub(specials))
            .map_err(|error| Error::Vocabulary(format!("the trainer failed: {error}")))?;
        let got = specials + learned.tokens.len();
        if got > vocab_size {
            let reason =
                format!("expected room for {got} labels (specials and single characters), got {vocab_size}");
            return Err(Error::Vocabulary(reason));
        }
        if got < vocab_size {
            let reason = format!(
                "the text supports {got} labels, expected {vocab_size}; ask for fewer or give more text"
            );
            return Err(Error::Vocabulary(reason));
        }
        let labels: HashMap<&String, u32> = learned.tokens.iter().zip(specials as u32..).collect();
        let merges: Vec<Pair> = learned
            .merges
            .iter()
            .map(|(left, right)| (labels[left], labels[right]))
            .collect();
        Self::from_parts(learned.tokens, merges, unknown)
    }

    /// A vocabulary and its merges, checked against each other.
    pub(crate) fn from_parts(
        tokens: impl IntoIterator<Item = String>,
        merges: impl IntoIterator<Item = Pair>,
        unknown: Unknown,
    ) -> Result<Self> {
        let vocabulary = Vocabulary::new(tokens, unknown)?;
        let merges: Vec<Pair> = merges.into_iter().collect();
        let mut ranks = HashMap::new();
        for (rank, &pair) in merges.iter().enumerate() {
            let text = |label| vocabulary.token(label).unwrap_or_default();
            let merged = format!("{}{}", text(pair.0), text(pair.1));
            let label = vocabulary.label(&merged).ok_or_else(|| {
                Error::Vocabulary(format!("merge {rank} gives {merged:?}, which is no token"))
            })?;
            ranks.insert(pair, (rank, label));
        }
        Ok(Self {
            vocabulary,
            merges,
            ranks,
        })
    }

    /// A name that tells this vocabulary from every other: kind, size, and the first 64 bits of the SHA-256
    /// of its tokens and merges, as in `bpe-512-9f86d081884c7d65`.
    pub fn identity(&self) -> String {
        let mut hash = Sha256::new();
        for label in 0..self.vocab_size() as u32 {
            hash.update(self.token(label).unwrap_or_default());
            hash.update([0]);
        }
        for (left, right) in &self.merges {
            hash.update(left.to_le_bytes());
            hash.update(right.to_le_bytes());
        }
        let digest = hash.finalize();
        let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("bpe-{}-{hex}", self.vocab_size())
    }
}

impl Tokenizer for Subwords {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        if text.contains(WORD_START) {
            return Err(Error::UnknownCharacter {
                character: WORD_START,
                text: text.into(),
            });
        }
        let mut labels = Vec::new();
        for word in text.split_whitespace() {
            let mut pieces = std::iter::once(WORD_START)
                .chain(word.chars())
                .map(|c| self.vocabulary.character(c, text))
                .collect::<Result<Vec<u32>>>()?;
            while let Some((rank, label)) = pieces
                .windows(2)
                .filter_map(|pair| self.ranks.get(&(pair[0], pair[1])))
                .min()
                .copied()
            {
                merge_pieces(&mut pieces, self.merges[rank], label);
            }
            labels.extend(pieces);
        }
        Ok(labels)
    }

    fn decode(&self, labels: &[u32]) -> Result<String> {
        let text = self.vocabulary.voiced(labels)?.concat().replace(WORD_START, " ");
        Ok(text.strip_prefix(' ').map(str::to_owned).unwrap_or(text))
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

/// What the trainer learned: tokens in the order of their labels, and merges in theirs.
#[derive(Deserialize)]
struct Learned {
    #[serde(skip)]
    tokens: Vec<String>,
    merges: Vec<(String, String)>,
}

fn learn(texts: &[String], size: usize) -> tokenizers::Result<Learned> {
    let mut trainer = BpeTrainer::builder()
        .vocab_size(size)
        .min_frequency(2)
        .show_progress(false)
        .build();
    trainer.feed(texts.iter(), |text| {
        Ok(text
            .split_whitespace()
            .map(|word| format!("{WORD_START}{word}"))
            .collect())
    })?;
    let mut model = BPE::default();
    trainer.train(&mut model)?;
    // The merges are to be had in the model's saved form only.
    let mut learned: Learned = serde_json::from_value(serde_json::to_value(&model)?)?;
    let mut tokens: Vec<(String, u32)> = model.get_vocab().into_iter().collect();
    tokens.sort_by_key(|&(_, id)| id);
    learned.tokens = tokens.into_iter().map(|(token, _)| token).collect();
    Ok(learned)
}

/// Replaces the occurrences of a pair from left to right.
fn merge_pieces(pieces: &mut Vec<u32>, pair: Pair, label: u32) {
    let mut kept = 0;
    let mut next = 0;
    while next < pieces.len() {
        let found = pieces[next] == pair.0 && pieces.get(next + 1) == Some(&pair.1);
        pieces[kept] = if found { label } else { pieces[next] };
        next += if found { 2 } else { 1 };
        kept += 1;
    }
    pieces.truncate(kept);
}
