#![doc = include_str!("../README.md")]

pub mod fused;
mod layers;
mod matmul;
mod mode;
pub mod ops;
mod params;
pub mod position;
pub mod random;
mod real;
mod sums;

pub use layers::{Attention, Conv2d, Embedding, GatedConv, LayerNorm, Linear, Lstm};
pub use mode::Mode;
pub use ops::{Activation, AttentionContext};
pub use params::{Init, Params};
