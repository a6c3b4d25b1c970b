#![doc = include_str!("../README.md")]

mod cmvn;
mod container;
mod decode;
mod error;
mod fbank;
mod fbank_stream;
mod features;
mod framing;
mod log;
mod mel;
mod resample;
mod spec_augment;
mod waveform;

pub use cmvn::{GlobalCmvn, normalize_utterance};
pub use error::{Error, Result};
pub use fbank::{Fbank, FbankConfig};
pub use fbank_stream::FbankStream;
pub use features::Features;
pub use resample::{resample, speed};
pub use spec_augment::{SpecAugmentConfig, spec_augment};
pub use waveform::Waveform;
