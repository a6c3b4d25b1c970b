#![doc = include_str!("../README.md")]

mod balance;
mod batch;
mod corpus;
mod cut;
mod error;
mod grammar;
mod manifest;
mod mini_text;
mod random;
mod recipes;
mod speaking;
mod text_file;
mod variants;
mod wav_header;

pub use balance::language_balanced;
pub use batch::{BatchBudget, Size, batches};
pub use corpus::Corpus;
pub use cut::{Cut, Interval, Synthesis};
pub use error::{Error, Result};
pub use grammar::{Parallel, Words, food_words, rare_words, sentence, unpaired_text};
pub use manifest::Manifest;
pub use mini_text::{MiniSizes, MiniText, mini_text};
pub use random::rng;
pub use recipes::an4::an4;
pub use recipes::mini::{LANGUAGES, mini};
pub use recipes::multilingual::multilingual;
pub use speaking::{HELD_OUT_SHARE, HELD_OUT_SPEAKERS, SEEN_SPEAKERS, Speaker, speaking};
pub use variants::{HELD_OUT_VARIANTS, SEEN_VARIANTS, speaking_variant};
