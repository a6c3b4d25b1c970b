//! A square matrix product: what the machine can do, to say what share of it a step reaches.

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use sandhi_nn::Activation;
use sandhi_nn::ops::linear;

use crate::inputs::Inputs;
use crate::protocol::{Found, Work};

pub(crate) struct Product {
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    y: Option<Tensor>,
}

impl Product {
    pub(crate) fn new(inputs: &Inputs, dtype: DType) -> Result<Self> {
        let (x, weight) = (
            inputs.get("x")?.to_dtype(dtype)?,
            inputs.get("weight")?.to_dtype(dtype)?,
        );
        Ok(Self {
            bias: Tensor::zeros(weight.dim(0)?, dtype, &Device::Cpu)?,
            x,
            weight,
            y: None,
        })
    }

    pub(crate) fn product(&self) -> Result<Found> {
        Ok(Found {
            loss: Tensor::zeros(1, DType::F64, &Device::Cpu)?,
            gradients: vec![(
                "y".to_owned(),
                linear(&self.x, &self.weight, &self.bias, Activation::Identity)?,
            )],
        })
    }
}

impl Work for Product {
    fn call(&mut self) -> Result<()> {
        self.y = Some(linear(&self.x, &self.weight, &self.bias, Activation::Identity)?);
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Found>> {
        Ok(Some(self.product()?))
    }

    fn release(&mut self) {
        self.y = None;
    }
}
