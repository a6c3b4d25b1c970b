//! The runner: parses, builds, spawns. It knows neither tensors nor models, so it compiles in seconds; keep it so.

mod ablate;
mod bench;
mod data;
mod doctor;
mod evidence;
mod jobs;
mod list;
mod making;
mod paper;
mod report;
mod reproduce;
mod results;
mod runs;
mod status;
mod tidy;
mod time;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  cargo xtask reproduce astra                       build, run the default arms on the embedded corpus, report
  cargo xtask reproduce astra --scale smoke         the same road in about a minute
  cargo xtask reproduce astra --arms rnnt,astra --seeds 3
  cargo xtask reproduce astra --corpus an4 --data-root ~/data/an4
  cargo xtask reproduce astra --set trainer.steps=500 --dry-run
  cargo xtask ablate astra --dry-run                the ablations: what would be run, and how long it would take
  cargo xtask ablate astra --only NAME --seeds 3    every arm of a group against its reference; `list` names the groups
  cargo xtask status                                what runs, what is done, since when
  cargo xtask report astra                          make the report again from the runs that are there
  cargo xtask results                               RESULTS.md: all settings, with commands, hashes, times
  cargo xtask evidence keep                         what reports rest on, beside them; `restore` brings it back
  cargo xtask verify                                does the committed report say what the runs say?
  cargo xtask bench transducer --against torchaudio our losses beside others, and beside what no loss can beat
  cargo xtask bench align --against all             alignments beside others, and beside the reading of their costs
  cargo xtask bench audio --against torchaudio      decoding and features, in times of real time

A run that is done is reused, one that was stopped is continued: give the same command again.";

/// Reproduces papers, one command each
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build an experiment, run its arms, write the report
    Reproduce(reproduce::Options),
    /// Build an experiment, run its ablations, write the report
    Ablate(ablate::Options),
    /// Show papers, their arms and ablations, and what each asks
    List,
    /// Show runs: state, last step and loss, age
    Status {
        /// Only this paper
        paper: Option<String>,
    },
    /// Write the report from the runs that are there
    Report(report::Options),
    /// Write RESULTS.md from the runs that are there; what was run elsewhere is kept
    Results,
    /// Check that reports say what the runs say, and that runs are what they claim
    Verify {
        /// Only this paper
        paper: Option<String>,
    },
    /// Keep what runs say of themselves with the reports, and restore it elsewhere
    Evidence {
        /// What to do
        #[command(subcommand)]
        command: evidence::EvidenceCommand,
    },
    /// Make, check and list the corpora
    Data {
        /// What to do
        #[command(subcommand)]
        command: data::DataCommand,
    },
    /// Time what is ours beside what others have
    Bench {
        /// What to time
        #[command(subcommand)]
        command: bench::BenchCommand,
    },
    /// Check what this machine has and what is missing
    Doctor,
    /// Check the rules of the repository: layers, file sizes, proofs, READMEs
    Tidy,
}

fn main() -> ExitCode {
    let root = root();
    let outcome = match Cli::parse().command {
        Command::Reproduce(options) => return finish(reproduce::reproduce(&root, &options)),
        Command::Ablate(options) => return finish(ablate::ablate(&root, &options)),
        Command::List => list::list(&root),
        Command::Status { paper } => status::status(&root, paper.as_deref()),
        Command::Report(options) => report::report(&root, &options),
        Command::Results => results::results(&root),
        Command::Verify { paper } => verify::verify(&root, paper.as_deref()),
        Command::Evidence { command } => evidence::evidence(&root, &command),
        Command::Data { command } => data::run(command),
        Command::Bench { command } => bench::run(&root, &command),
        Command::Doctor => doctor::doctor(&root),
        Command::Tidy => tidy::tidy(&root),
    };
    finish(outcome.map(|()| ExitCode::SUCCESS))
}

#[allow(clippy::print_stderr)] // The one place where errors are shown.
fn finish(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The root of the repository: the parent of this package.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
