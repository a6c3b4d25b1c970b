//! Clipping and AdamW, over all parameters of the model.

use anyhow::Result;
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};
use sandhi_model::JointModel;
use sandhi_nn::Params;
use sandhi_train::{AdamW, AdamWConfig, Gradients, clip_global_norm};

use crate::inputs::Inputs;
use crate::network::restore;
use crate::protocol::{Found, Work};
use crate::size::{BLANK, Size};

/// As everybody has them.
pub(crate) const CLIP: f64 = 5.0;
pub(crate) const RATE: f64 = 1e-3;
pub(crate) const CONFIG: AdamWConfig = AdamWConfig {
    beta1: 0.9,
    beta2: 0.98,
    eps: 1e-9,
    weight_decay: 0.01,
};

pub(crate) struct Optimizer {
    size: Size,
    inputs: Inputs,
    params: Params,
    store: GradStore,
    /// Made in the first call, as elsewhere, so that memory counts them.
    state: Option<(Gradients, AdamW)>,
}

impl Optimizer {
    pub(crate) fn new(size: &Size, inputs: Inputs) -> Result<Self> {
        let params = parameters(size, &inputs)?;
        Ok(Self {
            store: gradients(&params, &inputs, false)?,
            size: size.clone(),
            inputs,
            params,
            state: None,
        })
    }
}

fn parameters(size: &Size, inputs: &Inputs) -> Result<Params> {
    let params = Params::seeded(1, DType::F32, &Device::Cpu);
    JointModel::speech_only(&size.config(), size.vocabulary, BLANK, &params)?;
    restore(&params, inputs)?;
    Ok(params)
}

/// Gradients that are the slopes of the inputs, or their squares.
fn gradients(params: &Params, inputs: &Inputs, squared: bool) -> Result<GradStore> {
    let mut loss = Tensor::zeros((), DType::F32, &Device::Cpu)?;
    for (name, var) in params.vars() {
        let slope = inputs.get(&format!("slope.{name}"))?;
        let slope = if squared { slope.sqr()? } else { slope.clone() };
        loss = (loss + (var.as_tensor() * slope)?.sum_all()?)?;
    }
    Ok(loss.backward()?)
}

/// One update; returns the norm of the gradients before they were clipped.
fn update(gradients: &mut Gradients, adam: &mut AdamW, store: &GradStore) -> Result<f64> {
    gradients.clear();
    gradients.add(store)?;
    let norm = clip_global_norm(gradients, CLIP);
    adam.step(gradients, RATE)?;
    Ok(norm)
}

impl Work for Optimizer {
    fn call(&mut self) -> Result<()> {
        if self.state.is_none() {
            self.state = Some((Gradients::new(&self.params)?, AdamW::new(&self.params, CONFIG)?));
        }
        if let Some((gradients, adam)) = &mut self.state {
            update(gradients, adam, &self.store)?;
        }
        Ok(())
    }

    /// Two updates from the start: one would not tell the moments' decays.
    fn found(&mut self) -> Result<Option<Found>> {
        let params = parameters(&self.size, &self.inputs)?;
        let (mut sums, mut adam) = (Gradients::new(&params)?, AdamW::new(&params, CONFIG)?);
        let mut norms = Vec::new();
        for squared in [false, true] {
            let store = gradients(&params, &self.inputs, squared)?;
            norms.push(update(&mut sums, &mut adam, &store)?);
        }
        let values = params.vars().into_iter();
        Ok(Some(Found {
            loss: Tensor::new(norms, &Device::Cpu)?,
            gradients: values
                .map(|(name, var)| (name, var.as_tensor().clone()))
                .collect(),
        }))
    }
}

/// The same by the book, in f64.
pub(crate) fn reference(inputs: &Inputs) -> Result<Found> {
    let double = |tensors: Vec<(&str, &Tensor)>| -> Result<Vec<Tensor>> {
        let double = tensors.into_iter().map(|(_, tensor)| tensor.to_dtype(DType::F64));
        Ok(double.collect::<Result<_, _>>()?)
    };
    let (mut values, slopes) = (double(inputs.of("parameter"))?, double(inputs.of("slope"))?);
    let zeros = |values: &[Tensor]| {
        values
            .iter()
            .map(Tensor::zeros_like)
            .collect::<Result<Vec<_>, _>>()
    };
    let (mut first, mut second) = (zeros(&values)?, zeros(&values)?);
    let mut norms = Vec::new();
    for update in 1..=2 {
        let slopes: Vec<Tensor> = match update {
            1 => slopes.clone(),
            _ => slopes.iter().map(Tensor::sqr).collect::<Result<_, _>>()?,
        };
        let squares = slopes.iter().map(|g| g.sqr()?.sum_all()?.to_scalar::<f64>());
        let norm = squares.sum::<Result<f64, _>>()?.sqrt();
        norms.push(norm);
        let AdamWConfig {
            beta1,
            beta2,
            eps,
            weight_decay,
        } = CONFIG;
        for (((p, g), m), v) in values.iter_mut().zip(&slopes).zip(&mut first).zip(&mut second) {
            let g = (g * (CLIP / norm).min(1.0))?;
            *m = ((&*m * beta1)? + (&g * (1.0 - beta1))?)?;
            *v = ((&*v * beta2)? + (g.sqr()? * (1.0 - beta2))?)?;
            let mean = (&*m / (1.0 - beta1.powi(update)))?;
            let root = ((&*v / (1.0 - beta2.powi(update)))?.sqrt()? + eps)?;
            let decay = if p.rank() >= 2 { RATE * weight_decay } else { 0.0 };
            *p = ((&*p * (1.0 - decay))? - ((mean / root)? * RATE)?)?;
        }
    }
    let names = inputs
        .of("parameter")
        .into_iter()
        .map(|(name, _)| name.to_owned());
    Ok(Found {
        loss: Tensor::new(norms, &Device::Cpu)?,
        gradients: names.zip(values).collect(),
    })
}
