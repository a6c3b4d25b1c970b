//! Whether a quantizer tells frames apart at all.

use std::borrow::Borrow;

use sandhi_core::{Error, Result};

use crate::Targets;

/// How often each code of a codebook is a target.
///
/// A quantizer that gives most frames the same few codes has collapsed: the task is easy, its loss is small, and the encoder
/// learns nothing. Features that are not normalized are the usual cause. Look at the perplexity before a long training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodebookUsage {
    counts: Vec<u64>,
}

impl CodebookUsage {
    /// The number of frames of each code.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The number of frames.
    pub fn num_frames(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The number of codes that some frame has.
    pub fn num_used(&self) -> usize {
        self.counts.iter().filter(|&&n| n > 0).count()
    }

    /// Entropy of the codes, −Σ p ln p, in nats: the loss of a predictor that knows their frequencies and nothing else.
    /// 0 without frames.
    pub fn entropy(&self) -> f64 {
        let total = self.num_frames() as f64;
        let term = |&n: &u64| match n {
            0 => 0.0,
            n => n as f64 / total * (total / n as f64).ln(),
        };
        self.counts.iter().map(term).sum()
    }

    /// The exponential of the entropy: that many equally frequent codes would be as hard to guess.
    pub fn perplexity(&self) -> f64 {
        self.entropy().exp()
    }

    /// The share of frames that have the most frequent code: the accuracy of always guessing it. 0 without frames.
    pub fn top_share(&self) -> f64 {
        let top = self.counts.iter().copied().max().unwrap_or(0);
        top as f64 / self.num_frames().max(1) as f64
    }
}

/// How often each code is a target in a corpus, for each codebook; nothing for a corpus of no batches.
///
/// # Shapes
///
/// * `targets`: the batches of a corpus, or one; by value, so that a corpus need not be held, or by reference.
/// * returns one for each codebook.
///
/// # Errors
///
/// [`Error::Invalid`] if the batches are of different codebooks.
///
/// # Proved by
///
/// `usage_of_even_codes_is_their_number`, `usage_shows_a_collapsed_quantizer`,
/// `usage_of_different_codebooks_is_refused`.
pub fn codebook_usage<T: Borrow<Targets>>(
    targets: impl IntoIterator<Item = T>,
) -> Result<Vec<CodebookUsage>> {
    let mut usage: Vec<CodebookUsage> = Vec::new();
    let mut sizes = None;
    for (batch, targets) in targets.into_iter().enumerate() {
        let targets = targets.borrow();
        let (books, codes) = (targets.num_codebooks(), targets.codebook_size());
        let (first_books, first_codes) = *sizes.get_or_insert((books, codes));
        if (books, codes) != (first_books, first_codes) {
            return Err(Error::Invalid {
                what: "codebook usage",
                why: format!(
                    "batch {batch} has {books} codebooks of {codes} codes, \
                     those before it {first_books} of {first_codes}"
                ),
            });
        }
        usage.resize(
            books,
            CodebookUsage {
                counts: vec![0; codes],
            },
        );
        for row in targets.rows() {
            for frame in row.chunks_exact(books) {
                for (usage, &code) in usage.iter_mut().zip(frame) {
                    usage.counts[code as usize] += 1;
                }
            }
        }
    }
    Ok(usage)
}
