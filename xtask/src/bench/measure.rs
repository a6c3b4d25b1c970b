//! One shape: everyone's memory and errors first, then rounds in which each is called once.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use serde_json::Value;

use super::Setting;
use super::contender::{Contender, Task};
use super::shape::Shape;
use super::worker::{Answer, Worker};

/// Threads of the one before may still spin, waiting for work.
const PAUSE: Duration = Duration::from_millis(250);

/// What was found about a contender.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) floor: bool,
    pub(crate) version: String,
    /// Milliseconds of the timed calls.
    pub(crate) times: Vec<f64>,
    /// MB that memory grew by at the peak of the first call.
    pub(crate) peak: Option<f64>,
    /// Largest differences of losses and gradients from ours in f64.
    pub(crate) differences: Option<(f64, f64)>,
    /// Why there is nothing, or less than there should be.
    pub(crate) remark: Option<String>,
}

impl Row {
    /// The median time, if there is any.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut times = self.times.clone();
        times.sort_by(f64::total_cmp);
        let middle = times.len() / 2;
        match times.len() {
            0 => None,
            n if n % 2 == 1 => Some(times[middle]),
            _ => Some((times[middle - 1] + times[middle]) / 2.0),
        }
    }
}

/// Times all contenders on one shape.
pub(crate) fn measure(
    setting: &Setting,
    task: Task,
    shape: Shape,
    contenders: &[Contender],
    missing: &[(&'static str, String)],
    progress: &ProgressBar,
) -> anyhow::Result<Vec<Row>> {
    let (inputs, reference) = (
        setting.folder.join("inputs.safetensors"),
        setting.folder.join("reference.safetensors"),
    );
    progress.set_message(format!("{} {shape}: making the inputs", task.name()));
    if progress.is_hidden() {
        writeln!(
            std::io::stderr(),
            "{} {shape}: {} contenders",
            task.name(),
            contenders.len()
        )?;
    }
    make_inputs(setting, task, shape, &inputs, &reference)?;
    let mut rows = Vec::new();
    let mut workers = Vec::new();
    for contender in contenders {
        progress.set_message(format!("{} {shape}: {}", task.name(), contender.name));
        let mut row = Row {
            name: contender.name,
            floor: contender.is_floor(),
            ..Row::default()
        };
        let environment = contender.script().map(|script| script.environment.name);
        let cannot = missing.iter().find(|(name, _)| Some(*name) == environment);
        let worker = match cannot {
            Some((_, why)) => Err(anyhow::anyhow!("not installed: {why}")),
            None => prepare(setting, contender, &inputs, &reference, &mut row),
        };
        match worker {
            Ok(worker) => workers.push(Some(worker)),
            Err(error) => {
                row.remark = Some(format!("{error:#}"));
                workers.push(None);
            }
        }
        rows.push(row);
        progress.inc(1);
    }
    for round in 1..=setting.rounds {
        for (row, place) in rows.iter_mut().zip(&mut workers) {
            progress.set_message(format!("{} {shape}: round {round}, {}", task.name(), row.name));
            if let Some(worker) = place
                && let Err(error) = call(setting, worker, row)
            {
                row.remark = Some(format!("{error:#}"));
                *place = None;
            }
            progress.inc(1);
        }
    }
    drop(workers);
    for path in [inputs, reference] {
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(rows)
}

/// Starts a contender, measures its memory in its first call, and compares what it finds.
fn prepare(
    setting: &Setting,
    contender: &Contender,
    inputs: &Path,
    reference: &Path,
    row: &mut Row,
) -> anyhow::Result<Worker> {
    let mut worker = Worker::start(setting, contender, inputs)?;
    row.version = worker.version.clone();
    let first = in_time(worker.peak(setting.limit)?, setting.limit)?;
    row.peak = first["mb"].as_f64();
    let check = in_time(worker.check(reference, setting.limit)?, setting.limit)?;
    row.differences = check["loss"].as_f64().zip(check["gradient"].as_f64());
    Ok(worker)
}

/// One timed call, unless the contender has had its time.
fn call(setting: &Setting, worker: &mut Worker, row: &mut Row) -> anyhow::Result<()> {
    let spent: f64 = row.times.iter().sum();
    if spent > setting.limit.as_secs_f64() * 1e3 {
        row.remark = Some(format!("{} calls", row.times.len()));
        return Ok(());
    }
    std::thread::sleep(PAUSE);
    let answer = in_time(worker.run(setting.limit)?, setting.limit)?;
    row.times
        .push(answer["ms"].as_f64().context("an answer without a time")?);
    Ok(())
}

fn in_time(answer: Answer, limit: Duration) -> anyhow::Result<Value> {
    match answer {
        Answer::Given(value) => Ok(value),
        Answer::TooLong => bail!("a call takes more than {} s", limit.as_secs()),
    }
}

fn make_inputs(
    setting: &Setting,
    task: Task,
    shape: Shape,
    inputs: &Path,
    reference: &Path,
) -> anyhow::Result<()> {
    let status = crate::paper::program(setting.root, &setting.program)?
        .args(["inputs", task.name()])
        .args(shape.0.map(|extent| extent.to_string()))
        .args([inputs, reference])
        .status()
        .context("cannot start our worker")?;
    if !status.success() {
        bail!("the inputs of shape {shape} cannot be made");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle() {
        let of = |times: &[f64]| {
            let times = times.to_vec();
            Row {
                times,
                ..Row::default()
            }
            .median()
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
