//! Greedy search.

use sandhi_core::{Error, Result, Stepwise};

use super::node::{normalize, read};
use super::{Emission, Hypothesis, check, each_utterance};
use crate::Normalize;

/// Takes the most probable arc at each node: a path, and not always the best.
///
/// **Ties** go to the lower id.
///
/// # Proved by
///
/// `greedy_takes_the_best_arc_at_every_node`, `greedy_and_beam_of_a_batch_equal_their_singles`,
/// `greedy_ties_go_to_the_lower_id`, `searches_end_where_labels_always_beat_the_blank`,
/// `searches_name_the_utterance_and_frame_of_what_is_no_distribution`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greedy {
    /// How many labels a frame may emit.
    pub emission: Emission,
    /// How scores become probabilities. It matters for [`Normalize::Hat`]: a softmax does not change which arc is best.
    pub normalize: Normalize,
}

impl Default for Greedy {
    /// The standard RNN-T with up to 4 labels a frame.
    fn default() -> Self {
        Self {
            emission: Emission::UpTo(4),
            normalize: Normalize::Softmax,
        }
    }
}

impl Greedy {
    /// Decodes every utterance of the model's batch, in parallel. At most `T (n + 1)` nodes are scored in an utterance of T
    /// frames that may emit n labels each; one without frames has no labels.
    ///
    /// # Errors
    ///
    /// [`Error::Scores`](sandhi_core::Error::Scores) naming utterance and frame if a score is NaN or +∞, or all are −∞;
    /// [`Error::Invalid`](sandhi_core::Error::Invalid) for 0 labels per frame or a blank outside the vocabulary.
    pub fn decode<M: Stepwise>(&self, model: &M) -> Result<Vec<Hypothesis>> {
        each_utterance(model, self.emission, |utterance| {
            let mut stream = self.stream();
            stream.frames_of(model, utterance)?;
            Ok(stream.hypothesis)
        })
    }

    /// Starts an utterance that comes piece by piece.
    pub fn stream<S: Clone>(self) -> GreedyStream<S> {
        GreedyStream {
            greedy: self,
            state: None,
            hypothesis: Hypothesis::default(),
            frames: 0,
        }
    }
}

/// Greedy search over an utterance that is still being spoken: what it has written stays written.
///
/// # Proved by
///
/// `greedy_stream_equals_the_whole_utterance`.
#[derive(Clone, Debug)]
pub struct GreedyStream<S> {
    greedy: Greedy,
    /// After the labels so far; none before the first frame.
    state: Option<S>,
    hypothesis: Hypothesis,
    /// Frames heard so far.
    frames: usize,
}

impl<S: Clone + Send + Sync> GreedyStream<S> {
    /// Hears the next frames, a batch of one; returns everything written so far, frames counted from the beginning.
    ///
    /// # Errors
    ///
    /// As [`Greedy::decode`], and [`Error::BatchSize`](sandhi_core::Error::BatchSize) unless the batch is of one.
    pub fn push<M: Stepwise<State = S>>(&mut self, piece: &M) -> Result<&Hypothesis> {
        let got = piece.frames().len();
        if got != 1 {
            return Err(Error::BatchSize {
                what: "pieces of one utterance",
                expected: 1,
                got,
            });
        }
        check(piece, self.greedy.emission)?;
        self.frames_of(piece, 0)?;
        Ok(&self.hypothesis)
    }

    fn frames_of<M: Stepwise<State = S>>(&mut self, model: &M, utterance: usize) -> Result<()> {
        let Greedy {
            emission,
            normalize: how,
        } = self.greedy;
        let most = match emission {
            Emission::UpTo(most) => most,
            Emission::One => 1,
        };
        let blank = model.blank() as usize;
        let mut row = vec![0.0; model.vocabulary()];
        let mut state = self.state.take().unwrap_or_else(|| model.start());
        let frames = model.frames().get(utterance);
        for t in 0..frames {
            for _ in 0..most {
                read(model, (utterance, t), &state, &mut row)?;
                if how == Normalize::Hat {
                    normalize(&mut row, blank, how);
                }
                let best = (0..row.len()).fold(0, |best, id| if row[id] > row[best] { id } else { best });
                if best == blank {
                    break;
                }
                self.hypothesis.labels.push(best as u32);
                self.hypothesis.frames.push(self.frames + t);
                state = model.advance(&state, best as u32);
            }
        }
        self.frames += frames;
        self.state = Some(state);
        Ok(())
    }
}
