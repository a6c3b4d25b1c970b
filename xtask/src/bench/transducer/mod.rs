//! Losses side by side: ours, what others have, and what nobody can beat.

mod contenders;
mod recorded;
mod shape;
mod table;

use std::path::Path;

use clap::Args;

use super::measure::Job;
use super::{Setting, Timing};
use contenders::Task;
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
    /// Let the allocator of every contender keep freed pages, as ours does in training; otherwise it is left as it is
    #[arg(long)]
    keep_pages: bool,
    #[command(flatten)]
    timing: Timing,
}

pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    let rivals = contenders::rivals(&options.against)?;
    let setting = Setting::new(root, "sandhi-transducer", "bench_worker", &options.timing)?;
    let mut plan: Vec<(Task, Shape)> = Vec::new();
    for &task in &options.task {
        let shapes = match options.shapes.as_slice() {
            [] => task.shapes(),
            asked => asked.to_vec(),
        };
        plan.extend(shapes.into_iter().map(|shape| (task, shape)));
    }
    let job = |&(task, shape): &(Task, Shape)| Job {
        label: format!("{} {shape}", task.name()),
        contenders: contenders::contenders(task, &rivals, options.keep_pages),
        inputs: [task.name().to_owned()]
            .into_iter()
            .chain(shape.0.map(|extent| extent.to_string()))
            .collect(),
        arguments: Vec::new(),
        tolerance: None,
    };
    let jobs: Vec<Job> = plan.iter().map(job).collect();
    let as_recorded = setting.threads == 2 && !options.keep_pages;
    super::measure_all(
        &setting,
        &jobs,
        options.timing.output.as_deref(),
        table::heading(&setting, options.keep_pages),
        |index, rows| table::shape(plan[index].0, plan[index].1, rows, as_recorded),
    )
}
