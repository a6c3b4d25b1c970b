//! One job: everyone's memory and errors first, then rounds in which each is called once.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use serde_json::Value;

use super::Setting;
use super::contender::Contender;
use super::worker::{Answer, Worker};

/// Threads of the one before may still spin, waiting for work.
const PAUSE: Duration = Duration::from_millis(250);

/// What all contenders do with the same inputs.
#[derive(Debug)]
pub(crate) struct Job {
    /// What it is called while it is measured.
    pub(crate) label: String,
    pub(crate) contenders: Vec<Contender>,
    /// What our worker is told to make the inputs of.
    pub(crate) inputs: Vec<String>,
    /// What every worker is told besides its inputs.
    pub(crate) arguments: Vec<String>,
    /// By what part of the largest loss and of the largest gradient those of a contender may differ from the reference: who
    /// differs more computes something else, and is not timed.
    pub(crate) tolerance: Option<(f64, f64)>,
}

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
    /// The largest loss and the largest gradient of the reference.
    pub(crate) scale: Option<(f64, f64)>,
    /// Numbers of gradient that were compared.
    pub(crate) compared: Option<u64>,
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

    /// The differences as parts of the largest loss and gradient. What is zero throughout has to be met.
    pub(crate) fn relative(&self) -> Option<(f64, f64)> {
        let part = |difference: f64, scale: f64| {
            if difference == 0.0 {
                0.0
            } else {
                difference / scale
            }
        };
        let ((loss, gradient), (by_loss, by_gradient)) = self.differences.zip(self.scale)?;
        Some((part(loss, by_loss), part(gradient, by_gradient)))
    }

    /// The least time, if there is any.
    pub(crate) fn least(&self) -> Option<f64> {
        self.times.iter().copied().min_by(f64::total_cmp)
    }
}

/// Times all contenders of a job.
pub(crate) fn measure(
    setting: &Setting,
    job: &Job,
    missing: &[(&'static str, String)],
    progress: &ProgressBar,
) -> anyhow::Result<Vec<Row>> {
    let (inputs, reference) = (
        setting.folder.join("inputs.safetensors"),
        setting.folder.join("reference.safetensors"),
    );
    let Job {
        label, contenders, ..
    } = job;
    progress.set_message(format!("{label}: making the inputs"));
    if progress.is_hidden() {
        writeln!(std::io::stderr(), "{label}: {} contenders", contenders.len())?;
    }
    make_inputs(setting, job, &inputs, &reference)?;
    let mut rows = Vec::new();
    let mut workers = Vec::new();
    for contender in contenders {
        progress.set_message(format!("{label}: {}", contender.name));
        let mut row = Row {
            name: contender.name,
            floor: contender.is_floor(),
            ..Row::default()
        };
        let environment = contender.script().map(|script| script.environment.name);
        let cannot = missing.iter().find(|(name, _)| Some(*name) == environment);
        let worker = match cannot {
            Some((_, why)) => Err(anyhow::anyhow!("not installed: {why}")),
            None => prepare(setting, job, contender, [&inputs, &reference], &mut row),
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
            progress.set_message(format!("{label}: round {round}, {}", row.name));
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
    job: &Job,
    contender: &Contender,
    [inputs, reference]: [&Path; 2],
    row: &mut Row,
) -> anyhow::Result<Worker> {
    let mut worker = Worker::start(setting, contender, inputs, &job.arguments)?;
    row.version = worker.version.clone();
    let first = in_time(worker.peak(setting.limit)?, setting.limit)?;
    row.peak = first["mb"].as_f64();
    let check = in_time(worker.check(reference, setting.limit)?, setting.limit)?;
    row.differences = check["loss"].as_f64().zip(check["gradient"].as_f64());
    row.scale = check["scale"][0].as_f64().zip(check["scale"][1].as_f64());
    row.compared = check["values"].as_u64();
    // A floor computes nothing.
    let tolerance = job.tolerance.filter(|_| !contender.is_floor());
    same(tolerance, row.relative())?;
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

/// Fails if what was found is not what was to be found.
fn same(tolerance: Option<(f64, f64)>, relative: Option<(f64, f64)>) -> anyhow::Result<()> {
    let Some((loss, gradient)) = tolerance else {
        return Ok(());
    };
    let (by_loss, by_gradient) = relative.context("it compared nothing")?;
    if by_loss > loss || by_gradient > gradient {
        bail!(
            "not the same computation: losses differ by {by_loss:.0e} of the largest, gradients by {by_gradient:.0e}; allowed are {loss:.0e} and \
             {gradient:.0e}"
        );
    }
    Ok(())
}

fn make_inputs(setting: &Setting, job: &Job, inputs: &Path, reference: &Path) -> anyhow::Result<()> {
    let status = crate::paper::program(setting.root, &setting.program)?
        .arg("inputs")
        .args(&job.inputs)
        .args([inputs, reference])
        .status()
        .context("cannot start our worker")?;
    if !status.success() {
        bail!("the inputs of {} cannot be made", job.label);
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

    #[test]
    fn differences_are_parts_of_the_largest() {
        let row = |differences, scale| Row {
            differences: Some(differences),
            scale: Some(scale),
            ..Row::default()
        };
        assert_eq!(row((1.0, 3.0), (4.0, 6.0)).relative(), Some((0.25, 0.5)));
        assert_eq!(row((0.0, 1.0), (0.0, 0.0)).relative(), Some((0.0, f64::INFINITY)));
        assert_eq!(Row::default().relative(), None);
    }

    #[test]
    fn what_computes_something_else_is_not_timed() {
        same(None, None).unwrap();
        same(Some((1e-3, 1e-4)), Some((9e-4, 9e-5))).unwrap();
        for (found, why) in [
            (Some((2e-3, 0.0)), "losses differ by 2e-3 of the largest"),
            (Some((0.0, 1e300)), "gradients by 1e300"),
            (None, "compared nothing"),
        ] {
            let error = same(Some((1e-3, 1e-4)), found).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
