//! Greedy search.

use sandhi_core::{Result, Stepwise};

use super::node::{normalize, read};
use super::{Emission, Hypothesis, each_utterance};
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
        each_utterance(model, self.emission, |utterance| self.utterance(model, utterance))
    }

    fn utterance<M: Stepwise>(&self, model: &M, utterance: usize) -> Result<Hypothesis> {
        let most = match self.emission {
            Emission::UpTo(most) => most,
            Emission::One => 1,
        };
        let blank = model.blank() as usize;
        let mut row = vec![0.0; model.vocabulary()];
        let mut state = model.start();
        let mut hypothesis = Hypothesis::default();
        for t in 0..model.frames().get(utterance) {
            for _ in 0..most {
                read(model, (utterance, t), &state, &mut row)?;
                if self.normalize == Normalize::Hat {
                    normalize(&mut row, blank, self.normalize);
                }
                let best = (0..row.len()).fold(0, |best, id| if row[id] > row[best] { id } else { best });
                if best == blank {
                    break;
                }
                hypothesis.labels.push(best as u32);
                hypothesis.frames.push(t);
                state = model.advance(&state, best as u32);
            }
        }
        Ok(hypothesis)
    }
}
