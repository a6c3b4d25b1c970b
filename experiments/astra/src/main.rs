//! ASTRA: aligning speech and text representations for ASR without sampling.
//! Gaur et al., Interspeech 2024, arXiv:2406.06664.
//!
//! Read `experiment.rs` top to bottom: reference, arms, claims, run. `objective.rs` is the page with the equations; their
//! numbers (E1) .. (E3) and their provenance are in this paper's README.

mod ablations;
mod arms;
mod config;
mod data;
mod evaluate;
mod experiment;
mod export;
mod memory;
mod network;
mod objective;
mod plan;
mod pretrain;
mod quality;
mod transcribe;
mod upsampler;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::experiment::Astra;
use crate::export::Weights;

/// ASTRA: text injection for speech recognition, with a consistency loss weighted by the recogniser's own alignments
#[derive(Parser)]
#[command(
    name = "astra",
    version,
    after_help = "To train and report all arms: cargo xtask reproduce astra"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Lab(sandhi_lab::Command),
    /// Transcribe audio files with a trained run
    ///
    /// WAV, FLAC, MP3 and Ogg Vorbis are read. One line per file: its path, a tab, the transcript.
    Transcribe {
        /// The run directory, such as runs/astra/mini/astra/seed-0, or an export
        #[arg(long)]
        run: PathBuf,
        /// Hypotheses that beam search keeps [default: as the run was configured, which is greedy unless set]
        #[arg(long, value_name = "N")]
        beam: Option<NonZeroUsize>,
        /// Audio files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Put the model of a finished run into a directory of its own: weights, configuration, text front end, card
    ///
    /// Every run leaves one with its best weights in RUN/export.
    Export {
        /// The run directory
        run: PathBuf,
        /// Where to
        dir: PathBuf,
        /// Which weights
        #[arg(long, value_enum, default_value_t = Weights::Best)]
        weights: Weights,
    },
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let threads = match &cli.command {
        Command::Lab(command) => command.threads().map(Path::to_owned),
        _ => None,
    };
    let carry_out = || match cli.command {
        Command::Lab(command) => sandhi_lab::execute::<Astra>(command),
        Command::Transcribe { run, beam, files } => transcribe::transcribe(&run, beam, &files),
        Command::Export { run, dir, weights } => export::export(&run, &dir, weights),
    };
    // The backward pass recurses over the graph; a default stack would end at some thousand operations.
    match threads {
        Some(file) => sandhi_train::with_stack_among(&file, carry_out)?,
        None => sandhi_train::with_stack(carry_out),
    }
}
