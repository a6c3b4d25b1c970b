//! What a paper says of itself so that what is shared can serve it.

use anyhow::Result;
use sandhi_core::Padded;
use sandhi_lab::Experiment;
use sandhi_nn::Params;
use sandhi_transducer::Hypothesis;

use crate::{DataOptions, Decoding, Frontends};

/// A paper whose runs end in a recogniser of speech.
pub trait Recipe: Experiment {
    /// What is trained.
    type Network;

    /// What of a configuration is about data.
    fn data(config: &Self::Config) -> DataOptions;

    /// What of it is about decoding.
    fn decoding(config: &Self::Config) -> Decoding;

    /// Builds the network of an arm: only what its losses reach, so that no parameter stays untrained without a word.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    fn network(
        config: &Self::Config,
        frontends: &Frontends,
        params: &Params,
    ) -> sandhi_core::Result<Self::Network>;

    /// Features to hypotheses, without a graph: the network's best answer.
    ///
    /// # Errors
    ///
    /// Those of encoders and search; an utterance is named by its place in the batch.
    fn recognise(network: &Self::Network, features: &Padded, decoding: &Decoding) -> Result<Vec<Hypothesis>>;
}
