#![doc = include_str!("../README.md")]

mod config;
mod durations;
mod joiner;
mod joint;
mod predictor;
mod resampler;
mod speech_path;
mod steps;

pub use config::JointConfig;
pub use durations::{DurationPredictor, LabelDurations, whole};
pub use joiner::{Joiner, JoinerInputs};
pub use joint::JointModel;
pub use predictor::Predictor;
pub use resampler::Resampler;
pub use speech_path::SpeechPath;
pub use steps::{State, Steps};
