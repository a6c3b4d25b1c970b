//! What can be timed.

use std::str::FromStr;

use anyhow::{Result, bail};
use candle_core::DType;

use crate::data::Data;
use crate::inputs::Inputs;
use crate::network::Network;
use crate::optimizer::{self, Optimizer};
use crate::product::Product;
use crate::protocol::{Found, Work};
use crate::size::Size;
use crate::timed::{Pass, Step};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Features to updated parameters.
    Step,
    /// Features to encoder frames, and back.
    Encoder,
    /// Labels to predictor states, and back.
    Predictor,
    /// Encoder frames and predictor states to losses, and back.
    Joiner,
    /// Gradients to updated parameters.
    Optimizer,
    /// Samples to a batch of features.
    Data,
    /// A square matrix product.
    Product,
}

impl FromStr for Piece {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "step" => Self::Step,
            "encoder" => Self::Encoder,
            "predictor" => Self::Predictor,
            "joiner" => Self::Joiner,
            "optimizer" => Self::Optimizer,
            "data" => Self::Data,
            "product" => Self::Product,
            other => bail!("{other}: no such piece"),
        })
    }
}

/// What is timed of a piece.
pub(crate) fn start(piece: Piece, size: &Size, inputs: Inputs) -> Result<Box<dyn Work>> {
    Ok(match piece {
        Piece::Step => Box::new(Step::new(Network::new(piece, size, &inputs, DType::F32)?)?),
        Piece::Encoder | Piece::Predictor | Piece::Joiner => {
            Box::new(Pass::new(Network::new(piece, size, &inputs, DType::F32)?))
        }
        Piece::Optimizer => Box::new(Optimizer::new(size, inputs)?),
        Piece::Data => Box::new(Data::new(&inputs)?),
        Piece::Product => Box::new(Product::new(&inputs, DType::F32)?),
    })
}

/// What is to come out.
pub(crate) fn reference(piece: Piece, size: &Size, inputs: &Inputs) -> Result<Inputs> {
    let found = match piece {
        Piece::Step | Piece::Encoder | Piece::Predictor | Piece::Joiner => {
            Network::new(piece, size, inputs, DType::F64)?.found()?
        }
        Piece::Optimizer => optimizer::reference(inputs)?,
        // There is one filterbank; those of others are compared with it as it is.
        Piece::Data => Data::new(inputs)?.features()?,
        Piece::Product => Product::new(inputs, DType::F64)?.product()?,
    };
    let Found { loss, gradients } = found;
    let mut out = Inputs::default();
    out.put("loss", loss.to_dtype(DType::F64)?);
    for (name, gradient) in gradients {
        out.put(&format!("gradient.{name}"), gradient.to_dtype(DType::F32)?);
    }
    Ok(out)
}
