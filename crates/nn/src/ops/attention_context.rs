//! Which frames a frame may attend to.

use std::ops::Range;

use candle_core::{Result, bail};
use serde::{Deserialize, Serialize};

/// Rows of the score matrix that are computed together, about: their scores stay in the second cache.
const ROWS: usize = 128;

/// Which frames a frame attends to.
///
/// ```
/// use sandhi_nn::AttentionContext;
///
/// // Chunks of four frames that see each other, the two frames before them and the one after them.
/// let context = AttentionContext::Chunked { size: 4, left: Some(2), right: 1 };
/// assert_eq!(context.visible(5, 20), 2..9);
/// assert_eq!(AttentionContext::CAUSAL.visible(5, 20), 0..6);
/// assert_eq!(AttentionContext::Full.visible(5, 20), 0..20);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum AttentionContext {
    /// All of its utterance.
    #[default]
    Full,
    /// Its chunk and what is near: a model that has to answer while speech goes on waits for a chunk and `right` frames.
    Chunked {
        /// Frames of a chunk, at least 1; the last of an utterance may be shorter.
        size: usize,
        /// Frames before the chunk; without it all.
        left: Option<usize>,
        /// Frames after the chunk.
        right: usize,
    },
}

/// Rows of the score matrix and all columns that any of them sees.
pub(crate) struct Block {
    pub(crate) rows: Range<usize>,
    pub(crate) keys: Range<usize>,
}

impl Block {
    pub(crate) fn cells(&self) -> usize {
        self.rows.len() * self.keys.len()
    }
}

impl AttentionContext {
    /// Every frame sees itself and what came before.
    pub const CAUSAL: Self = Self::Chunked {
        size: 1,
        left: None,
        right: 0,
    };

    /// That chunks have frames.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::Chunked { size: 0, .. } => bail!("attention: expected chunks of at least 1 frame, got 0"),
            _ => Ok(()),
        }
    }

    /// The frames that frame `i` attends to in an utterance of `n`.
    ///
    /// # Panics
    ///
    /// If chunks have no frames.
    pub fn visible(self, i: usize, n: usize) -> Range<usize> {
        match self {
            Self::Full => 0..n,
            Self::Chunked { size, left, right } => {
                let start = i - i % size;
                let first = left.map_or(0, |left| start.saturating_sub(left));
                first..start.saturating_add(size).saturating_add(right).min(n)
            }
        }
    }

    /// The last frame, of `n`, that frame `i` sees through so many layers of attention.
    ///
    /// # Panics
    ///
    /// If chunks have no frames, or `i` is not one of `n`.
    ///
    /// # Proved by
    ///
    /// `conformer_stream_waits_for_what_it_sees_and_no_longer` of `sandhi-conformer`.
    pub fn reach(self, i: usize, n: usize, layers: usize) -> usize {
        (0..layers).fold(i, |i, _| self.visible(i, n).end - 1)
    }

    /// The score matrix of `n` frames, divided by rows as evenly as may be.
    pub(crate) fn blocks(self, n: usize) -> impl Iterator<Item = Block> {
        let rows = n.div_ceil(n.div_ceil(ROWS).max(1)).max(1);
        (0..n).step_by(rows).map(move |start| {
            let end = n.min(start + rows);
            Block {
                rows: start..end,
                // Neither end of what is visible moves back from one frame to the next.
                keys: self.visible(start, n).start..self.visible(end - 1, n).end,
            }
        })
    }
}
