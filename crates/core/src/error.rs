//! What can be wrong with a batch.

/// An argument that does not keep its documented contract, or a failure of the tensor library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument's shape is not the documented one.
    #[error("{what}: expected {expected}, got {got:?}")]
    Shape {
        /// Which argument.
        what: &'static str,
        /// The documented shape.
        expected: String,
        /// The shape that came.
        got: Vec<usize>,
    },
    /// A length exceeds the padded extent.
    #[error("{what}: utterance {utterance} has length {length}, but only {max} are stored")]
    Length {
        /// Which argument.
        what: &'static str,
        /// Index of the utterance in the batch.
        utterance: usize,
        /// Its length.
        length: usize,
        /// The padded extent.
        max: usize,
    },
    /// A batch and its lengths disagree in the number of utterances.
    #[error("{what}: expected {expected} utterances, got {got}")]
    BatchSize {
        /// Which argument.
        what: &'static str,
        /// The number the other argument has.
        expected: usize,
        /// The number that came.
        got: usize,
    },
    /// A label is the blank, or lies outside the vocabulary.
    #[error("utterance {utterance}, label {position}: {label} is not a label ({why})")]
    Label {
        /// Index of the utterance in the batch.
        utterance: usize,
        /// Index of the label in the utterance.
        position: usize,
        /// The offending id.
        label: u32,
        /// Why it cannot be one.
        why: String,
    },
    /// No path through the lattice: more labels than the topology allows for these frames.
    #[error("utterance {utterance} has no alignment: {labels} labels over {frames} frames")]
    NoAlignment {
        /// Index of the utterance in the batch.
        utterance: usize,
        /// Its number of frames.
        frames: usize,
        /// Its number of labels.
        labels: usize,
    },
    /// An utterance has fewer frames than an encoder's receptive field.
    #[error("utterance {utterance} has {frames} feature frames, but the encoder needs at least {needed}")]
    TooShort {
        /// Index of the utterance in the batch.
        utterance: usize,
        /// Its number of feature frames.
        frames: usize,
        /// The receptive field.
        needed: usize,
    },
    /// What a model says of a frame cannot be decoded.
    #[error("utterance {utterance}, frame {frame}: {why}")]
    Scores {
        /// Index of the utterance in the batch.
        utterance: usize,
        /// The frame, counted from 0.
        frame: usize,
        /// Which score, and what is wrong with it.
        why: String,
    },
    /// A request that memory cannot grant.
    #[error("{what}: {arithmetic}, but only {available} of memory are available")]
    Memory {
        /// What was asked for.
        what: &'static str,
        /// The extents, multiplied out.
        arithmetic: String,
        /// What there is.
        available: String,
    },
    /// A configuration or argument value that no computation can honour.
    #[error("{what}: {why}")]
    Invalid {
        /// Which argument.
        what: &'static str,
        /// Expected and got, in words.
        why: String,
    },
    /// A failure inside candle, with its own message.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// A result whose error names the utterance at fault.
pub type Result<T, E = Error> = std::result::Result<T, E>;
