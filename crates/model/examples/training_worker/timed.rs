//! A step of training, and a pass through a piece of the model.

use anyhow::Result;
use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor};
use sandhi_nn::Mode;
use sandhi_train::{AdamW, Gradients, clip_global_norm};

use crate::network::Network;
use crate::optimizer::{CLIP, CONFIG, RATE};
use crate::protocol::{Found, Work};

/// Dropout of a call.
fn training(step: u64) -> Mode {
    Mode::Train { seed: 1, step }
}

/// Forwards, backwards, clipped, updated.
pub(crate) struct Step {
    network: Network,
    /// Made in the first call, as elsewhere, so that memory counts them.
    state: Option<(Gradients, AdamW)>,
    step: u64,
    /// As it was: comparing must not depend on how often it was timed.
    start: Vec<Tensor>,
}

impl Step {
    pub(crate) fn new(network: Network) -> Result<Self> {
        let start = network.wanted.iter().map(|(_, var)| var.as_tensor().copy());
        Ok(Self {
            start: start.collect::<Result<_, _>>()?,
            network,
            state: None,
            step: 0,
        })
    }
}

impl Work for Step {
    fn call(&mut self) -> Result<()> {
        self.step += 1;
        let loss = self.network.losses(training(self.step))?.mean_all()?;
        // Trainings look at it in every step.
        loss.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        let found = loss.backward()?;
        if self.state.is_none() {
            let params = &self.network.params;
            self.state = Some((Gradients::new(params)?, AdamW::new(params, CONFIG)?));
        }
        if let Some((gradients, adam)) = &mut self.state {
            gradients.clear();
            gradients.add(&found)?;
            clip_global_norm(gradients, CLIP);
            adam.step(gradients, RATE)?;
        }
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Found>> {
        for ((_, var), start) in self.network.wanted.iter().zip(&self.start) {
            var.set(start)?;
        }
        Ok(Some(self.network.found()?))
    }
}

/// Forwards and backwards.
pub(crate) struct Pass {
    network: Network,
    step: u64,
    gradients: Option<GradStore>,
}

impl Pass {
    pub(crate) fn new(network: Network) -> Self {
        Self {
            network,
            step: 0,
            gradients: None,
        }
    }
}

impl Work for Pass {
    fn call(&mut self) -> Result<()> {
        self.step += 1;
        let loss = self.network.losses(training(self.step))?.sum_all()?;
        self.gradients = Some(loss.backward()?);
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Found>> {
        Ok(Some(self.network.found()?))
    }

    fn release(&mut self) {
        self.gradients = None;
    }
}
