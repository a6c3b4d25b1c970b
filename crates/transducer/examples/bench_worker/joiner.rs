//! From projections to the loss: our fused joiner, and the same composed of tensors.

use anyhow::Result;
use candle_core::Var;
use sandhi_core::{Labels, Lengths};
use sandhi_transducer::{Normalize, arc_scores, joiner_arc_scores, transducer_loss};

use crate::inputs::{Inputs, JOINER};
use crate::protocol::{Found, Work};

/// What both joiners are given.
struct Arguments {
    speech: Var,
    predicted: Var,
    weight: Var,
    bias: Var,
    labels: Labels,
    frames: Lengths,
}

impl Arguments {
    fn new(mut inputs: Inputs) -> Result<Self> {
        Ok(Self {
            speech: inputs.take("speech")?,
            predicted: inputs.take("predicted")?,
            weight: inputs.take("weight")?,
            bias: inputs.take("bias")?,
            labels: inputs.labels,
            frames: inputs.frames,
        })
    }

    fn wanted(&self) -> Vec<(&'static str, &Var)> {
        let vars = [&self.speech, &self.predicted, &self.weight, &self.bias];
        JOINER.into_iter().zip(vars).collect()
    }
}

/// Tiles of logits, computed twice and never held.
pub(crate) struct FusedJoiner(Arguments, Option<Found>);

impl FusedJoiner {
    pub(crate) fn new(inputs: Inputs) -> Result<Self> {
        Ok(Self(Arguments::new(inputs)?, None))
    }
}

impl Work for FusedJoiner {
    fn call(&mut self) -> Result<()> {
        let x = &self.0;
        let arcs = joiner_arc_scores(
            &x.speech,
            &x.predicted,
            &x.weight,
            &x.bias,
            &x.labels,
            &x.frames,
            Normalize::Softmax,
        )?;
        self.1 = Some(Found::new(transducer_loss(&arcs)?, x.wanted())?);
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Found>> {
        self.call()?;
        Ok(self.1.take())
    }

    fn release(&mut self) {
        self.1 = None;
    }
}

/// All logits at once, as one would write it with tensors.
pub(crate) struct DenseJoiner(Arguments, Option<Found>);

impl DenseJoiner {
    pub(crate) fn new(inputs: Inputs) -> Result<Self> {
        Ok(Self(Arguments::new(inputs)?, None))
    }
}

impl Work for DenseJoiner {
    fn call(&mut self) -> Result<()> {
        let x = &self.0;
        let (batch, frames, hidden) = x.speech.dims3()?;
        let (columns, vocabulary) = (x.predicted.dim(1)?, x.weight.dim(0)?);
        let sum = x.speech.unsqueeze(2)?.broadcast_add(&x.predicted.unsqueeze(1)?)?;
        let rows = sum.tanh()?.reshape((batch * frames * columns, hidden))?;
        let logits = rows.matmul(&x.weight.t()?)?.broadcast_add(&x.bias)?;
        let logits = logits.reshape((batch, frames, columns, vocabulary))?;
        let arcs = arc_scores(&logits, &x.labels, &x.frames, Normalize::Softmax)?;
        self.1 = Some(Found::new(transducer_loss(&arcs)?, x.wanted())?);
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Found>> {
        self.call()?;
        Ok(self.1.take())
    }

    fn release(&mut self) {
        self.1 = None;
    }
}
