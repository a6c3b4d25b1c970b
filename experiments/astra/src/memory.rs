//! What a step needs of memory: predicted from its extents before anything is allocated.
//!
//! What a block keeps was measured (`--check-memory`); the other coefficients are counted from what the layers keep.

use std::fmt;
use std::io::Write;

use anyhow::{Context, Result};
use sandhi_core::check_memory;
use sandhi_lab::Run;
use sandhi_nn::{Mode, Params};
use sandhi_train::{Gradients, Memory};

use crate::config::Config;
use crate::data::Batches;
use crate::network::Network;
use crate::objective::{consistency, objective};

/// Bytes of a value.
const VALUE: usize = 4;
/// Values a parameter costs: itself, its gradient in the graph and summed up, two moments, the average, the best.
const PER_PARAMETER: usize = 7;
/// How many of these a process has before its first step: the parameter, its summed gradient, two moments, the average.
const HELD_PER_PARAMETER: usize = 5;
/// Values a frame costs in a block, per channel: what the backward pass keeps, and the gradients in flight. 35 were measured
/// with twelve blocks of width 256 on 16 utterances.
const PER_CHANNEL: usize = 40;
/// The same of a block that is computed again: its input, its output, and the gradient of either.
const PER_CHANNEL_AGAIN: usize = 4;
/// Values a pair of frames costs in a block, per head: weights of attention, and their gradient.
const PER_PAIR: usize = 4;
/// Values an encoder frame costs in the subsampling, per channel and bin: two convolutions over four feature frames.
const PER_BIN: usize = 8;
/// Values a node of the lattice costs: scores, transitions, posteriors, their gradients, costs.
const PER_NODE: usize = 32;

fn mib(values: usize) -> f64 {
    (values * VALUE) as f64 / f64::from(1 << 20)
}

/// The padded extents of one side of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) rows: usize,
    /// Of the shared encoder.
    pub(crate) frames: usize,
    pub(crate) labels: usize,
}

/// What a batch needs, with the arithmetic.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    /// Which batch, counted from 1.
    pub(crate) index: u64,
    terms: Vec<(String, usize)>,
}

impl Need {
    /// The prediction for a batch of paired speech and of text.
    pub(crate) fn of(config: &Config, parameters: usize, index: u64, speech: Extent, text: Extent) -> Self {
        let model = &config.model;
        let block = |extent: Extent, blocks: usize| {
            let one = PER_CHANNEL * model.block.dim + PER_PAIR * model.block.heads * extent.frames;
            let all = if model.block.recompute {
                // One at a time has all of it.
                blocks * PER_CHANNEL_AGAIN * model.block.dim + one * blocks.min(1)
            } else {
                blocks * one
            };
            extent.rows * extent.frames * all
        };
        let nodes = |extent: Extent| extent.rows * extent.frames * (extent.labels + 1) * PER_NODE;
        let bins = speech.rows * speech.frames * model.channels * model.num_bins * PER_BIN;
        // The text encoder sees the transcripts too, where the two sides are matched.
        let transcripts = Extent {
            frames: config.upsampling.positions(speech.labels, config.repeat),
            ..speech
        };
        let side = |extent: Extent| format!("{} x {} frames", extent.rows, extent.frames);
        let terms = vec![
            (format!("{parameters} parameters"), parameters * PER_PARAMETER),
            (format!("subsampling to {}", side(speech)), bins),
            (
                format!("speech blocks on {}", side(speech)),
                block(speech, model.speech_blocks + model.shared_blocks),
            ),
            (
                format!("text blocks on {}", side(text)),
                block(text, model.text_blocks + model.shared_blocks) + block(transcripts, model.text_blocks),
            ),
            (
                format!("lattices with {} and {} labels", speech.labels, text.labels),
                nodes(speech) + nodes(text),
            ),
        ];
        Self { index, terms }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.terms.iter().map(|(_, values)| values * VALUE).sum()
    }

    /// Refuses what is not there.
    pub(crate) fn check(&self) -> Result<()> {
        check_memory("largest batch", &[("values", self.bytes() / VALUE)], VALUE)
            .with_context(|| format!("{self}; lower budget.max_frames, budget.max_cells or text_batch"))
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms: Vec<String> = self
            .terms
            .iter()
            .map(|(what, values)| format!("{what} {:.0} MiB", mib(*values)))
            .collect();
        write!(
            f,
            "batch {} needs {} = {:.0} MiB",
            self.index,
            terms.join(" + "),
            mib(self.bytes() / VALUE)
        )
    }
}

/// Computes the largest batch once, without taking a step, and says what it was predicted to need and what it needed.
pub(crate) fn try_largest(
    config: &Config,
    network: &Network,
    params: &Params,
    source: &mut Batches,
    run: &mut Run,
) -> Result<()> {
    let need = source.largest(params.num_values())?;
    need.check()?;
    let before =
        Memory::of_this_process().context("this system does not tell how much memory a process has")?;
    let batch = source.batch(need.index)?;
    let matching = consistency(config);
    let matching = matching.as_deref().map(|m| m as &dyn sandhi_core::Consistency);
    let mode = Mode::Train {
        seed: run.seed(),
        step: need.index,
    };
    let loss = objective(config, matching, network, &batch, mode, config.trainer.steps)?;
    let mut gradients = Gradients::new(params)?;
    gradients.add(&loss.total()?.backward()?)?;
    let after =
        Memory::of_this_process().context("this system does not tell how much memory a process has")?;
    let held = mib(params.num_values() * HELD_PER_PARAMETER);
    let (predicted, measured) = (
        before.resident_mib - held + mib(need.bytes() / VALUE),
        after.peak_mib,
    );
    run.set("predicted_mib", predicted.round())?;
    run.set("measured_mib", measured.round())?;
    writeln!(
        std::io::stderr(),
        "{need}; with the {:.0} MiB of the data the process needs {predicted:.0} MiB as predicted, {measured:.0} MiB as measured",
        before.resident_mib - held
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sandhi_lab::{Scale, Setting};

    use super::*;

    #[test]
    fn batch_that_memory_cannot_hold_is_refused_with_the_arithmetic() {
        let config = Config::at(&Setting::embedded(Scale::Smoke));
        let extent = |rows, frames| Extent {
            rows,
            frames,
            labels: 30,
        };
        let need = |rows, frames| Need::of(&config, 1000, 7, extent(rows, frames), extent(4, 30));
        need(2, 100).check().unwrap();
        assert!(need(2, 100).bytes() < need(2, 101).bytes() && need(2, 100).bytes() < need(3, 100).bytes());
        let error = format!("{:#}", need(1 << 20, 1 << 12).check().unwrap_err());
        for part in [
            "batch 7 needs",
            "1048576 x 4096 frames",
            "MiB",
            "but only",
            "budget.max_frames",
        ] {
            assert!(error.contains(part), "{part} is missing: {error}");
        }
    }
}
