#![doc = include_str!("../README.md")]

mod batches;
mod cloud;
mod corpora;
mod data;
mod decoding;
mod export;
mod figure;
mod gold;
mod memory;
mod options;
mod plan;
mod program;
mod quality;
mod recipe;
mod timing;
mod training;
mod transcribe;
mod utterance;

pub use batches::{Batch, Batches, Counts, Sentences};
pub use cloud::{Cloud, retrieval};
pub use corpora::corpus;
pub use data::{Data, Frontends};
pub use decoding::{Decoding, dev_error_rate, lattice, length_batches, padded, recognise, test};
pub use export::{Recogniser, Weights, export};
pub use figure::{alignment_figure, representative};
pub use gold::gold_frames;
pub use memory::{Extent, Need, Sizes};
pub use options::{Budget, DataOptions, Normalization, Paired, TextInput};
pub use plan::{Choice, Plan};
pub use program::{NoCommand, program};
pub use quality::{Seen, look};
pub use recipe::Recipe;
pub use timing::Timing;
pub use training::{Terms, train};
pub use utterance::{Utterance, features, single};
