//! Losses side by side: ours, what others have, and what nobody can beat.

mod audio;
mod contender;
mod environment;
mod measure;
mod recorded;
mod shape;
mod table;
mod worker;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use contender::Task;
use shape::Shape;

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench transducer                                 ours, and the floors
  cargo xtask bench transducer --against all --output bench.md
  cargo xtask bench transducer --against torchaudio --shapes 8x200x40x1024 --rounds 9
  cargo xtask bench transducer --task joiner --against torchaudio
  cargo xtask bench transducer --task expected

Rivals are installed with pip into target/bench-python when they are first asked for; that takes a network and some GB.
Every contender is a process of its own with the same inputs. In a round each is called once. A table says the median over
the rounds, the time in units of ours, by how much memory grew at the peak of a first call, and the largest differences
from ours in f64. Close what else uses the cores: the table is worth what the machine was quiet.";

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// The RNN-T loss and its gradient
    Transducer(Options),
    /// Decoding, features and augmentation
    Audio(audio::Options),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// What to time, separated by commas: loss (logits to losses and gradient), expected (with the expected cost on top),
    /// joiner (from projections)
    #[arg(long, value_delimiter = ',', default_value = "loss")]
    task: Vec<Task>,
    /// Rivals to install and to time, separated by commas: torchaudio, tensorflow, paddle, warprnnt_numba, or all
    #[arg(long, value_delimiter = ',')]
    against: Vec<String>,
    /// Shapes BxTxUxV, separated by commas: utterances, frames, labels, vocabulary; without it the six in the README, and
    /// for the joiner 8x200x40x1024
    #[arg(long, value_delimiter = ',')]
    shapes: Vec<Shape>,
    /// Calls of each contender
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Threads of each contender
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    threads: u64,
    /// Seconds that one call may take, and all timed calls of a contender on a shape together: who needs longer sits out
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Let the allocator of every contender keep freed pages, as ours does in training; otherwise it is left as it is
    #[arg(long)]
    keep_pages: bool,
    /// Write the tables to this Markdown file, too
    #[arg(long)]
    output: Option<PathBuf>,
}

/// What holds for all contenders.
struct Setting<'a> {
    root: &'a Path,
    /// Our worker.
    program: PathBuf,
    /// Where inputs, logs and environments lie.
    folder: PathBuf,
    rounds: u64,
    threads: u64,
    limit: Duration,
    keep_pages: bool,
}

pub(crate) fn run(root: &Path, command: &BenchCommand) -> anyhow::Result<()> {
    match command {
        BenchCommand::Transducer(options) => transducer(root, options),
        BenchCommand::Audio(options) => audio::run(root, options),
    }
}

fn transducer(root: &Path, options: &Options) -> anyhow::Result<()> {
    let rivals = contender::rivals(&options.against)?;
    let folder = root.join("target/bench-python");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let selection = [
        "--release",
        "-p",
        "sandhi-transducer",
        "--example",
        "bench_worker",
    ];
    let setting = Setting {
        root,
        program: crate::paper::build(root, &selection, "bench_worker")?,
        rounds: options.rounds,
        threads: options.threads,
        limit: Duration::from_secs(options.limit),
        keep_pages: options.keep_pages,
        folder,
    };
    let plan: Vec<(Task, Vec<contender::Contender>, Vec<Shape>)> = options
        .task
        .iter()
        .map(|&task| {
            let shapes = match options.shapes.as_slice() {
                [] => task.shapes(),
                asked => asked.to_vec(),
            };
            (task, contender::contenders(task, &rivals), shapes)
        })
        .collect();
    let missing = install(&setting, &plan)?;

    let calls = |contenders: &[contender::Contender]| contenders.len() as u64 * (setting.rounds + 1);
    let steps = plan
        .iter()
        .map(|(_, contenders, shapes)| calls(contenders) * shapes.len() as u64);
    let progress = progress(steps.sum());
    let mut out = std::io::stdout().lock();
    let mut page = table::heading(&setting);
    write!(out, "{page}")?;
    for (task, contenders, shapes) in &plan {
        for shape in shapes {
            let rows = measure::measure(&setting, *task, *shape, contenders, &missing, &progress)?;
            let text = progress.suspend(|| table::shape(&setting, *task, *shape, &rows));
            progress.suspend(|| write!(out, "\n{text}").and_then(|()| out.flush()))?;
            page.push_str(&format!("\n{text}"));
            // A table that is there stays there, whatever happens to the next.
            if let Some(path) = &options.output {
                std::fs::write(path, &page).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    progress.finish_and_clear();
    Ok(())
}

/// Makes the environments that the plan needs. Returns those that cannot be had, with the reason.
fn install(
    setting: &Setting,
    plan: &[(Task, Vec<contender::Contender>, Vec<Shape>)],
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut wanted: Vec<&contender::Script> = plan
        .iter()
        .flat_map(|(_, contenders, _)| contenders)
        .filter_map(|contender| contender.script())
        .collect();
    wanted.sort_by_key(|script| script.environment.name);
    wanted.dedup_by_key(|script| script.environment.name);
    let mut missing = Vec::new();
    for script in wanted {
        if let Err(error) = environment::prepare(&setting.folder, script.environment) {
            writeln!(std::io::stderr(), "{}: {error:#}", script.environment.name)?;
            missing.push((script.environment.name, format!("{error:#}")));
        }
    }
    Ok(missing)
}

fn progress(steps: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30.cyan/dim} {pos}/{len} calls  {eta} left  {wide_msg}");
    ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
