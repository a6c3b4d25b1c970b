//! What the consistency loss costs: a training step with it and without, and the search for its alignments alone.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};
use sandhi_align::{Moves, best_alignment};
use sandhi_conformer::frames_after;
use sandhi_core::{Labels, Lengths, Padded};
use sandhi_lab::{Scale, Setting};
use sandhi_model::CascadeModel;
use sandhi_nn::{Mode, Params};
use sandhi_recipe::{Batch, Counts};

use crate::config::{Config, Matching};
use crate::objective::objective;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Utterances
    #[arg(long, default_value_t = 4)]
    batch: usize,
    /// Frames of each after subsampling, 40 ms apart
    #[arg(long, default_value_t = 75)]
    frames: usize,
    /// Labels of each, as many of the transcript as of the text encoder's input
    #[arg(long, default_value_t = 35)]
    labels: usize,
    /// Blocks of the shared encoders, at all of which alignments are searched for
    #[arg(long, default_value_t = 4)]
    levels: usize,
    /// How often each is timed, in turn
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

/// As many letters and phones as mini English has.
const VOCABULARY: [usize; 2] = [32, 46];

/// Prints the medians as a table.
pub(crate) fn cost(options: &Options) -> Result<()> {
    let (batch, labels, levels) = (options.batch, options.labels, options.levels);
    ensure!(
        batch > 0 && options.frames > 0 && labels > 0 && levels > 1 && options.rounds > 0,
        "expected at least one utterance, frame, label and round, and two levels, got {options:?}"
    );
    ensure!(
        labels <= options.frames,
        "--labels: expected at most {} as there are frames, since the model is trained with CTC too, got {labels}",
        options.frames
    );
    let mut with = Config::at(&Setting::embedded(Scale::Mini));
    with.model.streaming_blocks = levels / 2;
    with.model.full_blocks = levels - levels / 2;
    with.levels = (1..=levels).collect();
    let without = Config {
        matching: Matching::Off,
        lambda_match: 0.0,
        ..with.clone()
    };
    let params = Params::seeded(0, DType::F32, &Device::Cpu);
    let model = CascadeModel::new(&with.model, VOCABULARY[0], 0, &params)?
        .with_text(&with.model, VOCABULARY[1], &params)?
        .with_ctc(&with.model, &params)?;
    let step = some_step(options)?;
    let frames = frames_after(step.features.dims().1);
    let costs = noise(&[levels * batch, frames, labels])?;
    let extents = [frames, labels].map(|extent| Lengths::new(vec![extent; levels * batch]));

    let train = |config: &Config| -> Result<()> {
        let mode = Mode::Train { seed: 0, step: 0 };
        let loss = objective(config, &model, &step, None, mode, config.trainer.steps)?;
        loss.total()?.backward()?;
        Ok(())
    };
    let search = || best_alignment(&costs, &extents[0], &extents[1], Moves::EveryLabel);
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    // Once for nothing, since whoever is first pays for memory that all use; then in turn, and who is first takes turns too.
    train(&without)?;
    train(&with)?;
    for round in 0..options.rounds {
        for which in [round % 2, (round + 1) % 2] {
            let config = [&without, &with][which];
            times[which].push(timed(|| train(config))?);
        }
        times[2].push(timed(|| Ok(search()?))?);
    }
    let [without, with, search] = times.map(median);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{batch} utterances of {frames} frames and {labels} labels, {levels} levels, {} parameters, {} threads: medians of {}\n",
        params.num_values(),
        candle_core::utils::get_num_threads(),
        options.rounds
    )?;
    writeln!(out, "| what | ms | of a step without |\n|---|---:|---:|")?;
    for (what, time) in [
        ("forward and backward without the consistency loss", without),
        ("with it", with),
        ("the search for all its alignments alone", search),
    ] {
        let share = time.as_secs_f64() / without.as_secs_f64();
        let share = if share > 0.5 {
            format!("{share:.2} x")
        } else {
            format!("{:.2} %", 100.0 * share)
        };
        writeln!(out, "| {what} | {:.1} | {share} |", time.as_secs_f64() * 1e3)?;
    }
    Ok(())
}

/// A step of speech that says nothing, of the smallest length that has so many frames.
fn some_step(options: &Options) -> Result<Batch> {
    let (batch, labels) = (options.batch, options.labels);
    let length = (0..)
        .find(|&n| frames_after(n) >= options.frames)
        .unwrap_or_default();
    let features = noise(&[batch, length, 80])?;
    let written = |vocabulary: usize| {
        let row = |b: usize| (0..labels).map(move |u| ((7 * u + 3 * b) % (vocabulary - 1) + 1) as u32);
        Labels::new((0..batch).map(|b| row(b).collect()).collect(), 0)
    };
    Ok(Batch {
        features: Padded::new(features, Lengths::new(vec![length; batch]))?,
        transcript: written(VOCABULARY[0])?,
        shown: written(VOCABULARY[1])?,
        choices: Vec::new(),
        text: None,
        of_step: Counts {
            paired: batch,
            text: 0,
        },
        names: ((0..batch).map(|b| b.to_string()).collect(), Vec::new()),
        seconds: (batch * length) as f64 / 100.0,
    })
}

/// Numbers within −1..1, on which no time depends.
fn noise(shape: &[usize]) -> Result<Tensor> {
    let number = |i: usize| ((i as f64) * 0.37).sin() as f32;
    let all = Tensor::from_iter((0..shape.iter().product()).map(number), &Device::Cpu)?;
    Ok(all.reshape(shape)?)
}

fn timed<T>(f: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let started = Instant::now();
    let kept = f()?;
    let time = started.elapsed();
    drop(kept);
    Ok(time)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_are_timed_have_the_extents_asked_for() {
        let options = Options {
            batch: 2,
            frames: 9,
            labels: 5,
            levels: 2,
            rounds: 1,
        };
        let step = some_step(&options).unwrap();
        assert_eq!(frames_after(step.features.dims().1), 9);
        for labels in [&step.transcript, &step.shown] {
            assert_eq!(labels.lengths().as_slice(), [5, 5]);
        }
        assert!(
            step.transcript
                .rows()
                .iter()
                .flatten()
                .all(|&label| 0 < label && label < 32)
        );
        cost(&options).unwrap();
        let more = Options {
            labels: 10,
            ..options
        };
        assert!(cost(&more).unwrap_err().to_string().starts_with("--labels"));
    }
}
