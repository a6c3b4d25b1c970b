//! Ours and others side by side: losses, alignments, and whole trainings.

mod align;
mod audio;
mod contender;
mod environment;
mod extents;
mod markdown;
mod measure;
mod training;
mod transducer;
mod worker;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use contender::Contender;
use measure::{Job, Row};

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// The RNN-T loss and its gradient
    Transducer(transducer::Options),
    /// Alignments, hard and soft
    Align(align::Options),
    /// A whole training step of a Conformer transducer, and its pieces
    Training(training::Options),
    /// Decoding, features and augmentation
    Audio(audio::Options),
}

/// How contenders are timed, and where the tables go.
#[derive(Debug, Args)]
struct Timing {
    /// Calls of each contender
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Threads of each contender
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    threads: u64,
    /// Seconds that one call may take, and all timed calls of a contender on a shape together: who needs longer sits out
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
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
}

pub(crate) fn run(root: &Path, command: &BenchCommand) -> anyhow::Result<()> {
    match command {
        BenchCommand::Transducer(options) => transducer::run(root, options),
        BenchCommand::Align(options) => align::run(root, options),
        BenchCommand::Training(options) => training::run(root, options),
        BenchCommand::Audio(options) => audio::run(root, options),
    }
}

impl<'a> Setting<'a> {
    /// Builds our worker, an example of a package.
    fn new(root: &'a Path, package: &str, example: &str, timing: &Timing) -> anyhow::Result<Self> {
        let folder = root.join("target/bench-python");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let selection = ["--release", "-p", package, "--example", example];
        Ok(Self {
            root,
            program: crate::paper::build(root, &selection, example)?,
            folder,
            rounds: timing.rounds,
            threads: timing.threads,
            limit: Duration::from_secs(timing.limit),
        })
    }
}

/// Measures one job after another and writes what `table` makes of each, as soon as it is there.
fn measure_all(
    setting: &Setting,
    jobs: &[Job],
    output: Option<&Path>,
    heading: String,
    mut table: impl FnMut(usize, &[Row]) -> String,
) -> anyhow::Result<()> {
    let missing = install(setting, jobs)?;
    let calls = |job: &Job| job.contenders.len() as u64 * (setting.rounds + 1);
    let progress = progress(jobs.iter().map(calls).sum());
    let mut out = std::io::stdout().lock();
    let mut page = heading;
    write!(out, "{page}")?;
    for (index, job) in jobs.iter().enumerate() {
        let rows = measure::measure(setting, job, &missing, &progress)?;
        let text = table(index, &rows);
        progress.suspend(|| write!(out, "\n{text}").and_then(|()| out.flush()))?;
        page.push_str(&format!("\n{text}"));
        // A table that is there stays there, whatever happens to the next.
        if let Some(path) = output {
            std::fs::write(path, &page).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    progress.finish_and_clear();
    Ok(())
}

/// Makes the environments that the jobs need. Returns those that cannot be had, with the reason.
fn install(setting: &Setting, jobs: &[Job]) -> anyhow::Result<Vec<(&'static str, String)>> {
    let contenders = jobs.iter().flat_map(|job| &job.contenders);
    let mut wanted: Vec<_> = contenders
        .filter_map(Contender::script)
        .map(|script| script.environment)
        .collect();
    wanted.sort_by_key(|environment| environment.name);
    wanted.dedup_by_key(|environment| environment.name);
    let mut missing = Vec::new();
    for environment in wanted {
        if let Err(error) = environment::prepare(&setting.folder, environment) {
            writeln!(std::io::stderr(), "{}: {error:#}", environment.name)?;
            missing.push((environment.name, format!("{error:#}")));
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
