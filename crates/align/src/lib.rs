#![doc = include_str!("../README.md")]

mod best;
mod gather;
mod search;
mod upsampled;

pub use best::{BestAlignment, best_alignment, best_alignment_cost};
pub use search::Moves;
pub use upsampled::Upsampled;
