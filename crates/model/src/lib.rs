#![doc = include_str!("../README.md")]

mod config;
mod greedy;
mod joiner;
mod joint;
mod predictor;

pub use config::JointConfig;
pub use greedy::{Greedy, Hypothesis};
pub use joiner::{Joiner, JoinerInputs};
pub use joint::JointModel;
pub use predictor::Predictor;
