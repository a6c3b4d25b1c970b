#![doc = include_str!("../README.md")]

mod gradient;
mod random;
mod tolerance;

pub use gradient::check_gradient;
pub use random::{poison_padding, uniform};
pub use tolerance::{Tolerance, assert_close};
