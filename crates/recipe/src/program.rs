//! The command line of a paper: what every experiment can do, and what a recogniser can do besides.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser};

use crate::export::{Weights, export};
use crate::recipe::Recipe;
use crate::transcribe::transcribe;

#[derive(Parser)]
#[command(version)]
struct Cli<C: clap::Subcommand> {
    #[command(subcommand)]
    command: Command<C>,
}

#[derive(clap::Subcommand)]
enum Command<C: clap::Subcommand> {
    #[command(flatten)]
    Lab(sandhi_lab::Command),
    #[command(flatten)]
    Recogniser(Recognising),
    #[command(flatten)]
    Own(C),
}

#[derive(clap::Subcommand)]
enum Recognising {
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

/// A paper that has no commands of its own.
#[derive(Debug, clap::Subcommand)]
pub enum NoCommand {}

/// Does what the command line asks of a paper: what every experiment can do, transcribing, exporting, and the commands `C` that
/// only this paper has.
///
/// # Errors
///
/// Whatever stops the command. A command line that cannot be understood ends the process, as `--help` does.
pub fn program<R: Recipe, C: clap::Subcommand + Send>(
    about: &'static str,
    own: impl FnOnce(C) -> Result<()> + Send,
) -> Result<()> {
    let key = R::REFERENCE.key;
    let command = Cli::<C>::command().name(key).about(about).after_help(format!(
        "To train and report all arms: cargo xtask reproduce {key}"
    ));
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let matches = command.get_matches_from(arguments);
    let cli = Cli::<C>::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let threads = match &cli.command {
        Command::Lab(command) => command.threads().map(Path::to_owned),
        _ => None,
    };
    let carry_out = || match cli.command {
        Command::Lab(command) => sandhi_lab::execute::<R>(command),
        Command::Recogniser(Recognising::Transcribe { run, beam, files }) => {
            transcribe::<R>(&run, beam, &files)
        }
        Command::Recogniser(Recognising::Export { run, dir, weights }) => export::<R>(&run, &dir, weights),
        Command::Own(command) => own(command),
    };
    // The backward pass recurses over the graph; a default stack would end at some thousand operations.
    match threads {
        Some(file) => sandhi_train::with_stack_among(&file, carry_out)?,
        None => sandhi_train::with_stack(carry_out),
    }
}
