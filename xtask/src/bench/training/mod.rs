//! A training step of a Conformer transducer side by side, whole and in pieces.

mod pieces;
mod size;
mod table;

use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;

use super::measure::Job;
use super::{Setting, Timing};
use pieces::Piece;
use size::{Preset, Size};

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench training                                     ours alone
  cargo xtask bench training --against torch --output bench.md
  cargo xtask bench training --against torch --sizes mini --pieces step,encoder --rounds 15

PyTorch is installed with pip into target/bench-python when it is first asked for; that takes a network and some GB. Every
contender is a process of its own with the same inputs and the same initial weights; its losses and gradients are compared with
ours in f64 before it is timed, and one that computes something else is not. In a round each is called once. Close what else uses
the cores: the table is worth what the machine was quiet.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Models and batches, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "mini,base")]
    sizes: Vec<Preset>,
    /// What of a training to time, separated by commas; without it all
    #[arg(long, value_delimiter = ',')]
    pieces: Vec<Piece>,
    /// Whom to install and to time beside ours: torch
    #[arg(long, value_delimiter = ',')]
    against: Vec<String>,
    #[command(flatten)]
    timing: Timing,
}

pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    if let Some(other) = options.against.iter().find(|name| *name != "torch") {
        bail!("unknown rival '{other}'; there is: torch");
    }
    let setting = Setting::new(root, "sandhi-model", "training_worker", &options.timing)?;
    let pieces = match options.pieces.as_slice() {
        [] => Piece::ALL.to_vec(),
        asked => asked.to_vec(),
    };
    let asked = options.sizes.iter().flat_map(|&size| {
        let of = |&piece: &Piece| (Some(size), piece);
        pieces.iter().map(of).collect::<Vec<_>>()
    });
    // The product comes first: the others are shares of it.
    let plan: Vec<(Option<Preset>, Piece)> = [(None, Piece::Product)].into_iter().chain(asked).collect();
    let jobs = plan.iter().map(|&(preset, piece)| {
        let size = preset.map_or_else(Size::of_product, Preset::size);
        let size = serde_json::to_string(&size).context("a size cannot be written")?;
        let told = vec![piece.name().to_owned(), size];
        Ok(Job {
            label: format!("{} {}", preset.map_or("", Preset::name), piece.name())
                .trim()
                .to_owned(),
            contenders: pieces::contenders(!options.against.is_empty()),
            inputs: told.clone(),
            arguments: told,
            tolerance: Some(piece.tolerance()),
        })
    });
    let jobs = jobs.collect::<anyhow::Result<Vec<Job>>>()?;
    let mut peak = None;
    super::measure_all(
        &setting,
        &jobs,
        options.timing.output.as_deref(),
        table::heading(&setting),
        |index, rows| {
            let (preset, piece) = plan[index];
            if piece == Piece::Product {
                peak = table::peak(rows);
            }
            table::piece(preset, piece, rows, peak)
        },
    )
}
