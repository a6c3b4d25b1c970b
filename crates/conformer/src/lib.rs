#![doc = include_str!("../README.md")]

mod block;
mod config;
mod encoder;
mod streaming;
mod subsampling;

pub use config::ConformerConfig;
pub use encoder::Conformer;
pub use streaming::{ConformerStream, SubsamplingStream};
pub use subsampling::{ConvSubsampling, RECEPTIVE_FIELD, STRIDE, frames_after};
