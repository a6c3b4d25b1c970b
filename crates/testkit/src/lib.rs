#![doc = include_str!("../README.md")]

mod consistency;
mod gradient;
mod random;
mod tolerance;

pub use consistency::{check_consistency, check_signed_consistency};
pub use gradient::check_gradient;
pub use random::{poison_padding, uniform};
pub use tolerance::{Tolerance, assert_close};
