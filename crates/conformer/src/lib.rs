#![doc = include_str!("../README.md")]

mod block;
mod config;
mod encoder;
mod subsampling;

pub use config::ConformerConfig;
pub use encoder::Conformer;
pub use subsampling::{ConvSubsampling, RECEPTIVE_FIELD, frames_after};
