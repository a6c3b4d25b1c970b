#![doc = include_str!("../README.md")]

mod config;
mod joiner;
mod joint;
mod predictor;
mod steps;

pub use config::JointConfig;
pub use joiner::{Joiner, JoinerInputs};
pub use joint::JointModel;
pub use predictor::Predictor;
pub use steps::{State, Steps};
