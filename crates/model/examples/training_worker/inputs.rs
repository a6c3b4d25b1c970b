//! What all contenders are given.

use std::collections::HashMap;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor, safetensors};
use sandhi_conformer::frames_after;
use sandhi_core::{Labels, Lengths};
use sandhi_testkit::uniform;

use crate::network;
use crate::piece::Piece;
use crate::size::{BLANK, Size};

/// Tensors by name.
#[derive(Default)]
pub(crate) struct Inputs(HashMap<String, Tensor>);

impl Inputs {
    pub(crate) fn read(path: &str) -> Result<Self> {
        let tensors = safetensors::load(path, &Device::Cpu).with_context(|| format!("cannot read {path}"))?;
        Ok(Self(tensors))
    }

    pub(crate) fn save(&self, path: &str) -> Result<()> {
        safetensors::save(&self.0, path).with_context(|| format!("cannot write {path}"))
    }

    pub(crate) fn put(&mut self, name: &str, tensor: Tensor) {
        self.0.insert(name.to_owned(), tensor);
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Tensor> {
        self.0.get(name).with_context(|| format!("no tensor {name}"))
    }

    /// What is called `KIND.NAME`, by name and sorted.
    pub(crate) fn of(&self, kind: &str) -> Vec<(&str, &Tensor)> {
        let short = |(name, tensor)| Some((str::strip_prefix(name, kind)?.strip_prefix('.')?, tensor));
        let named = self.0.iter().map(|(name, tensor)| (name.as_str(), tensor));
        let mut found: Vec<(&str, &Tensor)> = named.filter_map(short).collect();
        found.sort_by_key(|(name, _)| *name);
        found
    }

    pub(crate) fn lengths(&self, name: &str) -> Result<Lengths> {
        let lengths = self.get(name)?.to_vec1::<i32>()?;
        Ok(Lengths::new(lengths.into_iter().map(|n| n as usize).collect()))
    }

    pub(crate) fn labels(&self) -> Result<Labels> {
        let targets = self.get("targets")?.to_vec2::<i32>()?;
        let lengths = self.lengths("target_lengths")?;
        let row = |(row, &n): (&Vec<i32>, &usize)| row[..n].iter().map(|&x| x as u32).collect();
        let rows = targets.iter().zip(lengths.as_slice()).map(row);
        Ok(Labels::new(rows.collect(), BLANK)?)
    }
}

/// Seeded random inputs of a piece. Utterances fill nine tenths of the batch or more, as sorted ones do.
pub(crate) fn make(piece: Piece, size: &Size) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    let (batch, frames, columns) = (size.batch, frames_after(size.frames), size.labels + 1);
    if matches!(piece, Piece::Step | Piece::Encoder) {
        let features = random(1, &[batch, size.frames, size.num_bins], 1.5)?;
        inputs.put("features", features);
        inputs.put("feature_lengths", ragged(2, batch, size.frames)?);
    }
    if matches!(piece, Piece::Step | Piece::Predictor | Piece::Joiner) {
        let most = size.vocabulary as f64;
        let targets = uniform(3, &[batch, size.labels], 1.0, most)?
            .floor()?
            .to_dtype(DType::I32)?;
        inputs.put("targets", targets);
        inputs.put("target_lengths", ragged(4, batch, size.labels)?);
    }
    match piece {
        Piece::Step => {}
        Piece::Encoder => inputs.put("slope", random(5, &[batch, frames, size.dim], 0.1)?),
        Piece::Predictor => inputs.put("slope", random(5, &[batch, columns, size.predictor_dim], 0.1)?),
        Piece::Joiner => {
            inputs.put("encoded", random(6, &[batch, frames, size.dim], 1.5)?);
            inputs.put("encoded_lengths", ragged(7, batch, frames)?);
            inputs.put(
                "predicted",
                random(8, &[batch, columns, size.predictor_dim], 0.5)?,
            );
        }
        Piece::Optimizer => {}
        Piece::Data => {
            // Windows of 400 samples, 160 apart.
            let samples = 160 * (size.frames - 1) + 400;
            inputs.put("samples", random(9, &[batch, samples], 0.3)?);
            inputs.put("sample_lengths", ragged(10, batch, samples)?);
        }
        Piece::Product => {
            inputs.put("x", random(11, &[size.dim, size.dim], 1.0)?);
            inputs.put("weight", random(12, &[size.dim, size.dim], 1.0)?);
        }
    }
    for (i, (name, shape, initial)) in network::initial(piece, size)?.into_iter().enumerate() {
        // Away from the zeros and ones that many parameters start with, so that none of them can be mistaken.
        let aside = random(100 + i as u64, &shape, 0.02)?;
        inputs.put(&format!("parameter.{name}"), (initial + aside)?);
        if piece == Piece::Optimizer {
            let slope = random(10_000 + i as u64, &shape, 0.05)?;
            inputs.put(&format!("slope.{name}"), slope);
        }
    }
    Ok(inputs)
}

/// f32 values uniform in −scale..scale.
fn random(seed: u64, shape: &[usize], scale: f64) -> Result<Tensor> {
    Ok(uniform(seed, shape, -scale, scale)?.to_dtype(DType::F32)?)
}

/// Lengths of which the first is the longest: some implementations insist on one that fills the tensor.
fn ragged(seed: u64, count: usize, most: usize) -> Result<Tensor> {
    let draws = uniform(seed, &[count], 0.9 * most as f64, most as f64 + 1.0)?.to_vec1::<f64>()?;
    let mut lengths: Vec<i32> = draws.into_iter().map(|x| x.floor() as i32).collect();
    lengths[0] = most as i32;
    Ok(Tensor::new(lengths, &Device::Cpu)?)
}
