//! Alignments side by side: ours, the naive recursion, what others have, and the reading of the costs alone.

mod contenders;
mod shape;
mod table;

use std::path::Path;

use anyhow::bail;
use clap::Args;

use super::measure::Job;
use super::{Setting, Timing};
use contenders::Task;
use shape::{SHAPES, Shape};
use table::Summary;

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench align                                      ours, the naive recursion, and the floor
  cargo xtask bench align --against all --output bench.md
  cargo xtask bench align --against librosa,tslearn --task warping --shape 1,250,120 8,400,100
  cargo xtask bench align --task every-label --rounds 9        the paper's reading, and what its definition costs

Each rival meets ours in what both compute:
  forced       monotonic-alignment-search, librosa         the path of forced alignment
  warping      librosa, tslearn, dtw-python, dtaidistance  path and cost of dynamic time warping
  distance     dtw-python, dtaidistance                    its cost alone
  every-label  the naive recursion, a loop in our worker   the cost of the paper's best alignment
  soft         tslearn, pysdtw                             soft-DTW at γ = 1, and its gradient; ours by way of
                                                           the tape, as pysdtw, and without, as tslearn

Rivals are installed with pip into target/bench-python when they are first asked for; that takes a network and some GB. One that
cannot be installed sits out, and the table says why. Every contender is a process of its own with the same costs, in the type
that it computes with. Before it is timed, what its paths cost (and the gradient) is compared with plain recursions in f64; one
that computes something else is not timed. In a round each is called once, so that in small shapes a call is mostly its start.
Close what else uses the cores: the table is worth what the machine was quiet.";

/// By what part of the largest cost and gradient a contender may differ from the reference. Some compute in f32.
const TOLERANCE: (f64, f64) = (1e-5, 1e-3);

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// What to compute, separated by commas; without it all
    #[arg(long, value_delimiter = ',')]
    task: Vec<Task>,
    /// Rivals to install and to time, separated by commas: monotonic-alignment-search, librosa, tslearn, dtw-python,
    /// dtaidistance, pysdtw, or all
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    against: Vec<String>,
    /// Shapes, separated by spaces: utterances, frames, labels; without it 16,1500,200 and single utterances of 100 ms, 1 s,
    /// 10 s and 60 s, in frames of 40 ms with 12 labels a second
    #[arg(long, num_args = 1.., value_name = "B,T,U")]
    shape: Vec<Shape>,
    #[command(flatten)]
    timing: Timing,
}

pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    let rivals = contenders::rivals(&options.against)?;
    let tasks = match options.task.as_slice() {
        [] => Task::ALL.to_vec(),
        asked => asked.to_vec(),
    };
    let shapes = match options.shape.as_slice() {
        [] => SHAPES.to_vec(),
        asked => asked.to_vec(),
    };
    let too_short = shapes.iter().find(|Shape([_, frames, labels])| labels > frames);
    if let Some(shape) = too_short
        && tasks.contains(&Task::Forced)
    {
        bail!(
            "shape {shape}: forced alignment takes a frame for each label; expected U ≤ T, or other tasks (--task)"
        );
    }
    let setting = Setting::new(root, "sandhi-align", "align_worker", &options.timing)?;
    let plan: Vec<(Task, Shape)> = tasks
        .iter()
        .flat_map(|&task| shapes.iter().map(move |&shape| (task, shape)))
        .collect();
    let job = |&(task, shape): &(Task, Shape)| Job {
        label: format!("{} {shape}", task.name()),
        contenders: contenders::contenders(task, &rivals),
        inputs: [task.name().to_owned()]
            .into_iter()
            .chain(shape.0.map(|extent| extent.to_string()))
            .collect(),
        arguments: vec![task.name().to_owned()],
        tolerance: Some(TOLERANCE),
    };
    let jobs: Vec<Job> = plan.iter().map(job).collect();
    let mut summary = Summary::default();
    super::measure_all(
        &setting,
        &jobs,
        options.timing.output.as_deref(),
        table::heading(&setting),
        |index, rows| {
            let (task, shape) = plan[index];
            summary.add(shape, rows);
            let text = table::shape(task, shape, rows);
            // After the last shape of a task, all of them at a glance.
            let done = plan.get(index + 1).is_none_or(|(next, _)| *next != task);
            match done && shapes.len() > 1 {
                true => format!("{text}\n{}", std::mem::take(&mut summary).table(task)),
                false => text,
            }
        },
    )
}
