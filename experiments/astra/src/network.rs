//! What an arm trains: the joint model, and what brings text to the rate of speech.

use sandhi_core::Result;
use sandhi_model::JointModel;
use sandhi_nn::Params;

use crate::config::Config;
use crate::upsampler::Upsampler;

/// The network of an arm: only what its losses reach, so that no parameter stays untrained without a word.
pub(crate) struct Network {
    pub(crate) joint: JointModel,
    pub(crate) upsampler: Upsampler,
}

impl Network {
    pub(crate) fn new(config: &Config, vocabulary: usize, blank: u32, params: &Params) -> Result<Self> {
        let joint = if config.uses_text() {
            JointModel::new(&config.model, vocabulary, blank, params)?
        } else {
            JointModel::speech_only(&config.model, vocabulary, blank, params)?
        };
        let joint = if config.lambda_ctc > 0.0 {
            joint.with_ctc(&config.model, params)?
        } else {
            joint
        };
        let upsampler = Upsampler::new(config, vocabulary, params)?;
        Ok(Self { joint, upsampler })
    }
}
