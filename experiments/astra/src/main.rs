//! ASTRA: aligning speech and text representations for ASR without sampling.
//! Gaur et al., Interspeech 2024, arXiv:2406.06664.
//!
//! Read `experiment.rs` top to bottom: reference, arms, claims, run. `objective.rs` is the page with the equations; their
//! numbers (E1) .. (E3) and their provenance are in this paper's README.

mod ablations;
mod arms;
mod config;
mod experiment;
mod network;
mod objective;
mod pretrain;
mod upsampler;

use sandhi_recipe::NoCommand;

use crate::experiment::Astra;

fn main() -> anyhow::Result<()> {
    let about = "ASTRA: text injection for speech recognition, with a consistency loss weighted by the recogniser's own alignments";
    sandhi_recipe::program::<Astra, NoCommand>(about, |none| match none {})
}
