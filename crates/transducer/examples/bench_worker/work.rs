//! The modes of the worker: what a call does.

use anyhow::{Result, bail};
use candle_core::{Device, Tensor, Var};
use sandhi_core::{Labels, Lengths};
use sandhi_transducer::{HostLoss, Normalize, arc_scores, expected_cost, transducer_loss};

use crate::floors::{Floor, Kind};
use crate::inputs::Inputs;
use crate::joiner::{DenseJoiner, FusedJoiner};
use crate::protocol::{Found, Work};

/// The work of a mode.
pub(crate) fn start(mode: &str, path: &str) -> Result<Box<dyn Work>> {
    let inputs = Inputs::read(path)?;
    Ok(match mode {
        "reuse" => Box::new(Slices::new(inputs, false)?),
        "in-place" => Box::new(Slices::new(inputs, true)?),
        "loss" => Box::new(Loss::new(inputs, false)?),
        "expected" => Box::new(Loss::new(inputs, true)?),
        "joiner" => Box::new(FusedJoiner::new(inputs)?),
        "dense" => Box::new(DenseJoiner::new(inputs)?),
        "floor-rw" => Box::new(Floor::new(inputs, Kind::ReadWrite)?),
        "floor-fresh" => Box::new(Floor::new(inputs, Kind::Fresh)?),
        "floor-softmax" => Box::new(Floor::new(inputs, Kind::Softmax)?),
        other => bail!("{other}: no such mode"),
    })
}

/// Logits in a slice to losses and their gradient, in a buffer that is there already or in place.
struct Slices {
    loss: HostLoss,
    shape: (usize, usize, usize, usize),
    logits: Vec<f32>,
    /// What holds the gradient after a call; in place, the logits before it.
    gradient: Vec<f32>,
    in_place: bool,
    losses: Vec<f64>,
}

impl Slices {
    fn new(mut inputs: Inputs, in_place: bool) -> Result<Self> {
        let logits = inputs.take("logits")?;
        let shape = logits.dims4()?;
        let (batch, frames, columns, vocabulary) = shape;
        let extents = [batch, frames, columns, vocabulary];
        let logits: Vec<f32> = logits.flatten_all()?.to_vec1()?;
        Ok(Self {
            loss: HostLoss::new(extents, &inputs.labels, &inputs.frames)?,
            shape,
            // Written, so that its pages are there.
            gradient: logits.clone(),
            logits,
            in_place,
            losses: Vec::new(),
        })
    }
}

impl Work for Slices {
    fn prepare(&mut self) -> Result<()> {
        if self.in_place {
            self.gradient.copy_from_slice(&self.logits);
        }
        Ok(())
    }

    fn call(&mut self) -> Result<()> {
        self.losses = match self.in_place {
            true => self.loss.in_place(&mut self.gradient)?,
            false => self.loss.with_gradient(&self.logits, &mut self.gradient)?,
        };
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Found>> {
        self.call()?;
        Ok(Some(Found {
            loss: Tensor::new(self.losses.as_slice(), &Device::Cpu)?,
            gradients: vec![(
                "logits".to_owned(),
                Tensor::from_slice(&self.gradient, self.shape, &Device::Cpu)?,
            )],
        }))
    }
}

/// Logits to losses and the gradient of the logits; with the expected cost, and its gradients, on top.
struct Loss {
    logits: Var,
    costs: Option<Var>,
    labels: Labels,
    frames: Lengths,
    found: Option<Found>,
}

impl Loss {
    fn new(mut inputs: Inputs, expected: bool) -> Result<Self> {
        Ok(Self {
            logits: inputs.take("logits")?,
            costs: expected.then(|| inputs.take("costs")).transpose()?,
            labels: inputs.labels,
            frames: inputs.frames,
            found: None,
        })
    }
}

impl Work for Loss {
    fn call(&mut self) -> Result<()> {
        let arcs = arc_scores(&self.logits, &self.labels, &self.frames, Normalize::Softmax)?;
        let mut loss = transducer_loss(&arcs)?;
        let mut wanted = vec![("logits", &self.logits)];
        if let Some(costs) = &self.costs {
            loss = (loss + expected_cost(&arcs, costs)?)?;
            wanted.push(("costs", costs));
        }
        self.found = Some(Found::new(loss, wanted)?);
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Found>> {
        self.call()?;
        Ok(self.found.take())
    }

    fn release(&mut self) {
        self.found = None;
    }
}
