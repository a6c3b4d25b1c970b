#![doc = include_str!("../README.md")]

mod cascade;
mod cascade_stream;
mod config;
mod decoder;
mod durations;
mod joiner;
mod joint;
mod predictor;
mod resampler;
mod speech_path;
mod steps;
mod text_encoder;

pub use cascade::{CascadeConfig, CascadeModel};
pub use cascade_stream::CascadeStream;
pub use config::JointConfig;
pub use decoder::{Decoder, DecoderConfig};
pub use durations::{DurationPredictor, LabelDurations, whole};
pub use joiner::{Joiner, JoinerInputs};
pub use joint::JointModel;
pub use predictor::Predictor;
pub use resampler::Resampler;
pub use speech_path::SpeechPath;
pub use steps::{HostDecoder, State, Steps};
pub use text_encoder::TextEncoder;
