//! The loop, from a network that is built to weights that are chosen.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use sandhi_core::Ledger;
use sandhi_lab::Run;
use sandhi_nn::{Mode, Params};
use sandhi_train::{Gradients, Memory, Part, Trainer, TrainerConfig, prefetch};

use crate::batches::{Batch, Batches};
use crate::memory::Sizes;

/// Which losses are of utterances and which of sentences, so that an error can name them.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// One value for each utterance.
    pub speech: &'static [&'static str],
    /// One value for each unpaired sentence.
    pub text: &'static [&'static str],
}

impl Terms {
    /// What the trainer is told of a batch beside its loss.
    fn part(self, loss: Ledger, batch: &Batch, waited: Duration) -> Part {
        let (utterances, sentences) = &batch.names;
        let part = Part::from(loss)
            .amount("audio_seconds", batch.seconds)
            .waited(waited);
        let part = self
            .speech
            .iter()
            .fold(part, |part, term| part.names(term, utterances.as_slice()));
        self.text
            .iter()
            .fold(part, |part, term| part.names(term, sentences.as_slice()))
    }
}

/// Trains the parameters on the batches, from where the run is to its end, and leaves the best weights in them.
///
/// `objective` gives the losses of a batch at a step; `validate` gives what the best weights are chosen by, lower being
/// better, and logs what else there is to see. A batch that memory cannot hold is refused before the first step.
///
/// # Errors
///
/// Those of [`Trainer::fit`], and whatever the closures return.
pub fn train(
    run: &mut Run,
    config: &TrainerConfig,
    (params, sizes): (&Params, &Sizes),
    mut source: Batches,
    terms: Terms,
    objective: impl Fn(&Batch, Mode, u64) -> sandhi_core::Result<Ledger>,
    validate: impl FnMut(u64, &mut Run) -> Result<f64>,
) -> Result<()> {
    // It refuses a configuration that makes no sense, before anything is planned by it.
    let mut trainer = Trainer::new(params, config.clone())?;
    let need = source.largest(config.steps.saturating_mul(config.accumulate as u64), sizes)?;
    need.check()?;
    let seed = run.seed();
    if run.checks_memory() {
        let batch = source.batch(need.index)?;
        let step = config.steps;
        let compute = || {
            objective(
                &batch,
                Mode::Train {
                    seed,
                    step: need.index,
                },
                step,
            )
        };
        let predicted = need.mib() - sizes.held_mib();
        try_largest(run, params, predicted, &need.to_string(), compute)?;
    }
    let mut batches = prefetch(2, move |step| source.batch(step), 1);
    let outcome = trainer.fit(
        run,
        |micro| -> Result<_> {
            // Every part of an accumulated step is a batch of its own.
            let index = (micro.step - 1) * micro.parts as u64 + micro.part as u64 + 1;
            let batch = batches.get(index)?;
            let loss = objective(&batch, Mode::Train { seed, step: index }, micro.step)?;
            Ok(terms.part(loss, &batch, batches.waited()))
        },
        validate,
    )?;
    if let Some(best) = outcome.best {
        run.set("best_dev_wer", best.metric)?;
        run.set("best_step", best.step)?;
    }
    run.set("skipped_steps", outcome.skipped)?;
    Ok(run.set("threads", rayon::current_num_threads())?)
}

/// Computes a batch once, without taking a step, and says what it was predicted to need beyond the data and what it needed.
fn try_largest(
    run: &mut Run,
    params: &Params,
    predicted: f64,
    need: &str,
    compute: impl FnOnce() -> sandhi_core::Result<Ledger>,
) -> Result<()> {
    let memory =
        || Memory::of_this_process().context("this system does not tell how much memory a process has");
    let before = memory()?;
    let mut gradients = Gradients::new(params)?;
    gradients.add(&compute()?.total()?.backward()?)?;
    let (predicted, measured) = (before.resident_mib + predicted, memory()?.peak_mib);
    run.set("predicted_mib", predicted.round())?;
    run.set("measured_mib", measured.round())?;
    writeln!(
        std::io::stderr(),
        "{need}; with the {:.0} MiB there were before it the process needs {predicted:.0} MiB as predicted, {measured:.0} MiB as measured",
        before.resident_mib
    )?;
    Ok(())
}
