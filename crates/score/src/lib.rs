#![doc = include_str!("../README.md")]

mod align;
mod bootstrap;
mod edit;
mod error_rate;
mod lines;
mod tokens;

pub use align::{Column, alignment};
pub use bootstrap::{Interval, Paired, bootstrap, paired_bootstrap};
pub use edit::{Edits, character_edits, edits, word_edits};
pub use error_rate::{Score, Signature, Unit, error_rate};
pub use lines::{Error, read_lines, read_pairs};
pub use tokens::{characters, words};
