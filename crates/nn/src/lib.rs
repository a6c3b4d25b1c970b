#![doc = include_str!("../README.md")]

mod mode;
mod params;
pub mod random;

pub use mode::Mode;
pub use params::{Init, Params};
