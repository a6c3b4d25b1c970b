//! What all contenders are given, and what is to come out.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor, safetensors};
use rayon::prelude::*;
use sandhi_core::Lengths;
use sandhi_testkit::uniform;

use crate::plain::{self, Costs, FORCED, WARPING};
use crate::task::{TEMPERATURE, Task};

/// Values of the series lie within 0 and this, so that costs lie around γ.
const LARGEST: f64 = 2.0;

/// The inputs of a worker. Every utterance fills the tensor.
pub(crate) struct Inputs {
    pub(crate) cost: Tensor,
    pub(crate) frames: Lengths,
    pub(crate) labels: Lengths,
}

impl Inputs {
    pub(crate) fn read(path: &str) -> Result<Self> {
        let mut tensors =
            safetensors::load(path, &Device::Cpu).with_context(|| format!("cannot read {path}"))?;
        let cost = tensors
            .remove("cost")
            .with_context(|| format!("{path}: no tensor cost"))?;
        let (batch, frames, labels) = cost.dims3()?;
        Ok(Self {
            cost,
            frames: Lengths::new(vec![frames; batch]),
            labels: Lengths::new(vec![labels; batch]),
        })
    }
}

/// The costs of each utterance in a slice of all.
pub(crate) fn utterances(
    values: &[f32],
    frames: usize,
    labels: usize,
) -> impl IndexedParallelIterator<Item = Costs<'_>> {
    let costs = move |values| Costs {
        values,
        frames,
        labels,
    };
    values.par_chunks(frames * labels).map(costs)
}

/// Writes the inputs, and what is to come out of a task.
pub(crate) fn write(task: &str, shape: [&str; 3], inputs: &str, reference: &str) -> Result<()> {
    let extent = |text: &str| text.parse().with_context(|| format!("{text:?} is no extent"));
    let [batch, frames, labels] = shape.map(extent);
    let (batch, frames, labels): (usize, usize, usize) = (batch?, frames?, labels?);
    ensure!(
        batch > 0 && frames > 0 && labels > 0,
        "expected at least one utterance, frame and label, got {batch}, {frames} and {labels}"
    );
    let speech = uniform(1, &[batch, frames], 0.0, LARGEST)?;
    let text = uniform(2, &[batch, labels], 0.0, LARGEST)?;
    let apart = speech.unsqueeze(2)?.broadcast_sub(&text.unsqueeze(1)?)?;
    let cost = apart.sqr()?.to_dtype(DType::F32)?;
    let values: Vec<f32> = cost.flatten_all()?.to_vec1()?;
    let tensors = HashMap::from([("speech", speech), ("text", text), ("cost", cost)]);
    safetensors::save(&tensors, inputs).with_context(|| format!("cannot write {inputs}"))?;
    let expected = solve(task.parse()?, &values, [batch, frames, labels])?;
    safetensors::save(&expected, reference).with_context(|| format!("cannot write {reference}"))
}

fn solve(task: Task, values: &[f32], shape: [usize; 3]) -> Result<HashMap<&'static str, Tensor>> {
    let [_, frames, labels] = shape;
    let total = |costs: Costs<'_>| match task {
        Task::Forced => plain::cheapest(costs, FORCED),
        Task::EveryLabel => plain::every_label(costs),
        Task::Warping | Task::Distance | Task::Soft => plain::cheapest(costs, WARPING),
    };
    let found: Vec<(f64, Vec<f64>)> = utterances(values, frames, labels)
        .map(|costs| match task {
            Task::Soft => plain::soft(costs, WARPING, TEMPERATURE),
            _ => (total(costs), Vec::new()),
        })
        .collect();
    let (totals, gradients): (Vec<f64>, Vec<Vec<f64>>) = found.into_iter().unzip();
    let mut expected = HashMap::from([("loss", Tensor::new(totals, &Device::Cpu)?)]);
    if task == Task::Soft {
        let gradient = Tensor::from_vec(gradients.concat(), &shape, &Device::Cpu)?;
        expected.insert("gradient.cost", gradient);
    }
    Ok(expected)
}
