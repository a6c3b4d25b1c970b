//! The modes of the worker: what a call does.

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor, Var, safetensors};
use sandhi_core::{Labels, Lengths};
use sandhi_transducer::{HostLoss, Normalize, arc_scores, expected_cost, transducer_loss};
use serde_json::{Value, json};

use crate::floors::{Floor, Kind};
use crate::inputs::Inputs;
use crate::joiner::{DenseJoiner, FusedJoiner};

/// Something to time.
pub(crate) trait Work {
    /// What has to be done before every call and is not timed, such as restoring what the last one overwrote.
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    /// One call. Its results stay until they are released, so that freeing them is not timed either.
    fn call(&mut self) -> Result<()>;

    /// The results of the last call, if they mean anything.
    fn found(&self) -> Result<Option<Found>> {
        Ok(None)
    }

    /// Frees the results.
    fn release(&mut self) {}
}

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

/// What a call found.
pub(crate) struct Found {
    pub(crate) loss: Tensor,
    /// By the name of what it is with respect to.
    pub(crate) gradients: Vec<(&'static str, Tensor)>,
}

impl Found {
    /// Takes the gradients of the summed loss with respect to the named variables.
    pub(crate) fn new(loss: Tensor, wanted: &[(&'static str, &Var)]) -> Result<Self> {
        let mut all = loss.sum_all()?.backward()?;
        let gradient = |&(name, var): &(&'static str, &Var)| {
            let gradient = all.remove(var);
            Ok((name, gradient.with_context(|| format!("no gradient of {name}"))?))
        };
        Ok(Self {
            gradients: wanted.iter().map(gradient).collect::<Result<_>>()?,
            loss,
        })
    }

    /// The largest differences from the reference.
    pub(crate) fn differences(&self, reference: &str) -> Result<Value> {
        let reference =
            safetensors::load(reference, &Device::Cpu).with_context(|| format!("cannot read {reference}"))?;
        let against = |name: &str, got: &Tensor| -> Result<f64> {
            let expected = reference
                .get(name)
                .with_context(|| format!("the reference has no {name}"))?;
            ensure!(got.dims() == expected.dims(), "{name}: {:?}", got.dims());
            let got = got.to_dtype(expected.dtype())?;
            let apart = (got - expected)?.abs()?.flatten_all()?.to_dtype(DType::F64)?;
            // JSON has no infinity, and a maximum may pass over NaN.
            let finite = apart.sum_all()?.to_scalar::<f64>()?.is_finite();
            Ok(if finite { apart.max(0)?.to_scalar()? } else { 1e300 })
        };
        // The loss alone is no answer to the question what loss and expected cost are together.
        let asked = reference.keys().filter(|name| name.starts_with("gradient."));
        if asked.count() != self.gradients.len() {
            return Ok(json!({"loss": null, "gradient": null}));
        }
        let mut gradient = 0f64;
        for (name, got) in &self.gradients {
            gradient = gradient.max(against(&format!("gradient.{name}"), got)?);
        }
        Ok(json!({"loss": against("loss", &self.loss)?, "gradient": gradient}))
    }
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

    fn found(&self) -> Result<Option<Found>> {
        Ok(Some(Found {
            loss: Tensor::new(self.losses.as_slice(), &Device::Cpu)?,
            gradients: vec![(
                "logits",
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
        self.found = Some(Found::new(loss, &wanted)?);
        Ok(())
    }

    fn found(&self) -> Result<Option<Found>> {
        Ok(self.found.as_ref().map(|found| Found {
            loss: found.loss.clone(),
            gradients: found.gradients.clone(),
        }))
    }

    fn release(&mut self) {
        self.found = None;
    }
}
