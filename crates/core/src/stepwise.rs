//! A transducer one step at a time, as a search sees it.

use crate::Lengths;

/// What a decoder asks of a transducer whose encoder has already run over a batch of utterances.
///
/// It lives here because a search (in a loss crate) and a model must meet without either knowing the other.
///
/// All methods are pure: the same arguments give the same answer, from any thread and in any order. A search relies on it
/// when it keeps states and scores, and when it decodes utterances side by side.
pub trait Stepwise: Sync {
    /// What the prediction network remembers of the labels so far.
    type State: Clone + Send + Sync;

    /// The number of frames of each utterance.
    fn frames(&self) -> &Lengths;

    /// The number V of ids, blank included.
    fn vocabulary(&self) -> usize;

    /// The id of the blank.
    fn blank(&self) -> u32;

    /// The state before the first label, the same for every utterance.
    fn start(&self) -> Self::State;

    /// The state after one more label, never the blank.
    fn advance(&self, state: &Self::State, label: u32) -> Self::State;

    /// Writes the V scores of all arcs that leave a node: logits, or anything else that differs from ln p by a constant of
    /// the node.
    ///
    /// −∞ is an arc that does not exist. NaN, +∞ and a node without arcs are for the search to report.
    fn scores(&self, utterance: usize, frame: usize, state: &Self::State, scores: &mut [f64]);
}
