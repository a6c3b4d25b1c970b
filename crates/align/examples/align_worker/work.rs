//! The modes of the worker: what a call does.

use std::hint::black_box;

use anyhow::{Result, bail};
use candle_core::{Device, Tensor, Var};
use rayon::prelude::*;
use sandhi_align::{
    Moves, alignment_cost, best_alignment, best_alignment_cost, soft_alignment, soft_alignment_cost,
};

use crate::inputs::{Inputs, utterances};
use crate::plain;
use crate::protocol::{Found, Work};
use crate::task::{TEMPERATURE, Task};

/// The work of a mode.
pub(crate) fn start(mode: &str, task: &str, path: &str) -> Result<Box<dyn Work>> {
    let (task, inputs) = (task.parse()?, Inputs::read(path)?);
    Ok(match (mode, task) {
        ("ours", Task::Forced) => Box::new(Path::new(inputs, Moves::Forced)),
        ("ours", Task::Warping) => Box::new(Path::new(inputs, Moves::Warping)),
        ("ours", Task::Distance) => Box::new(Total::new(inputs, Moves::Warping)),
        ("ours", Task::EveryLabel) => Box::new(Total::new(inputs, Moves::EveryLabel)),
        ("ours", Task::Soft) => Box::new(Soft::new(inputs)?),
        ("at-once", Task::Soft) => Box::new(AtOnce { inputs, left: None }),
        ("naive", Task::EveryLabel) => Box::new(Naive::new(&inputs)?),
        ("floor-read", _) => Box::new(Read::new(&inputs)?),
        (mode, task) => bail!("{mode}: no such mode for {task:?}"),
    })
}

/// Totals and nothing to differentiate.
fn totals(loss: Tensor) -> Found {
    Found {
        loss,
        gradients: Vec::new(),
    }
}

/// The cells of each utterance.
type Alignments = Vec<Vec<(usize, usize)>>;

/// The cheapest alignments, and what they cost.
struct Path {
    inputs: Inputs,
    moves: Moves,
    left: Option<(Alignments, Tensor)>,
}

impl Path {
    fn new(inputs: Inputs, moves: Moves) -> Self {
        Self {
            inputs,
            moves,
            left: None,
        }
    }
}

impl Work for Path {
    fn call(&mut self) -> Result<()> {
        let Inputs { cost, frames, labels } = &self.inputs;
        let path = best_alignment(cost, frames, labels, self.moves)?;
        let total = alignment_cost(cost, frames, labels, &path)?;
        self.left = Some((path, total));
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Found>> {
        self.call()?;
        Ok(self.left.take().map(|(_, total)| totals(total)))
    }

    fn release(&mut self) {
        self.left = None;
    }
}

/// What the cheapest alignments cost.
struct Total {
    inputs: Inputs,
    moves: Moves,
    left: Option<Tensor>,
}

impl Total {
    fn new(inputs: Inputs, moves: Moves) -> Self {
        Self {
            inputs,
            moves,
            left: None,
        }
    }
}

impl Work for Total {
    fn call(&mut self) -> Result<()> {
        let Inputs { cost, frames, labels } = &self.inputs;
        self.left = Some(best_alignment_cost(cost, frames, labels, self.moves)?);
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Found>> {
        self.call()?;
        Ok(self.left.take().map(totals))
    }

    fn release(&mut self) {
        self.left = None;
    }
}

/// The soft minimum, and the gradient of the costs by way of the tape.
struct Soft {
    inputs: Inputs,
    cost: Var,
    left: Option<Found>,
}

impl Soft {
    fn new(inputs: Inputs) -> Result<Self> {
        Ok(Self {
            cost: Var::from_tensor(&inputs.cost)?,
            inputs,
            left: None,
        })
    }
}

impl Work for Soft {
    fn call(&mut self) -> Result<()> {
        let Inputs { frames, labels, .. } = &self.inputs;
        let loss = soft_alignment_cost(&self.cost, frames, labels, Moves::Warping, TEMPERATURE)?;
        self.left = Some(Found::new(loss, [("cost", &self.cost)])?);
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Found>> {
        self.call()?;
        Ok(self.left.take())
    }

    fn release(&mut self) {
        self.left = None;
    }
}

/// The same without a tape.
struct AtOnce {
    inputs: Inputs,
    left: Option<(Tensor, Tensor)>,
}

impl Work for AtOnce {
    fn call(&mut self) -> Result<()> {
        let Inputs { cost, frames, labels } = &self.inputs;
        self.left = Some(soft_alignment(cost, frames, labels, Moves::Warping, TEMPERATURE)?);
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Found>> {
        self.call()?;
        Ok(self.left.take().map(|(loss, gradient)| Found {
            loss,
            gradients: vec![("cost".to_owned(), gradient)],
        }))
    }

    fn release(&mut self) {
        self.left = None;
    }
}

/// The costs as the recursions of [`plain`] and the floor take them.
struct Slices {
    values: Vec<f32>,
    frames: usize,
    labels: usize,
}

impl Slices {
    fn new(inputs: &Inputs) -> Result<Self> {
        let (_, frames, labels) = inputs.cost.dims3()?;
        Ok(Self {
            values: inputs.cost.flatten_all()?.to_vec1()?,
            frames,
            labels,
        })
    }
}

/// The definition of the paper's reading, as a loop; utterances are shared by the threads, as ours are.
struct Naive {
    slices: Slices,
    totals: Vec<f64>,
}

impl Naive {
    fn new(inputs: &Inputs) -> Result<Self> {
        Ok(Self {
            slices: Slices::new(inputs)?,
            totals: Vec::new(),
        })
    }
}

impl Work for Naive {
    fn call(&mut self) -> Result<()> {
        let Slices {
            values,
            frames,
            labels,
        } = &self.slices;
        self.totals = utterances(values, *frames, *labels)
            .map(plain::every_label)
            .collect();
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Found>> {
        self.call()?;
        Ok(Some(totals(Tensor::new(self.totals.as_slice(), &Device::Cpu)?)))
    }
}

/// Reads the costs once and does next to nothing with them: what no alignment can be faster than.
struct Read {
    slices: Slices,
}

/// So many numbers are worth another thread.
const WORTH_A_THREAD: usize = 1 << 14;
/// Numbers added side by side, so that no addition waits for the one before.
const LANES: usize = 64;

impl Read {
    fn new(inputs: &Inputs) -> Result<Self> {
        Ok(Self {
            slices: Slices::new(inputs)?,
        })
    }
}

impl Work for Read {
    fn call(&mut self) -> Result<()> {
        let values = &self.slices.values;
        // Who reads little reads it before another thread is awake.
        black_box(match values.len() > 2 * WORTH_A_THREAD {
            true => values.par_chunks(WORTH_A_THREAD).map(sum).sum(),
            false => sum(values),
        });
        Ok(())
    }
}

fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().chain(rest).sum()
}
