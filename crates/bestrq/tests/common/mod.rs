//! Inputs of the tests.
#![allow(missing_docs, clippy::unwrap_used, dead_code)] // Each test file uses a part.

use candle_core::{DType, Device, Tensor};
use sandhi_bestrq::{QuantizerConfig, RandomProjectionQuantizer, Stacking, Targets};
use sandhi_conformer::frames_after;
use sandhi_core::{Lengths, Padded};
use sandhi_testkit::{poison_padding, uniform};

pub(crate) const POISONS: [f64; 4] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30];

/// Features in f32, uniform with mean 0 and variance 1, whose padding holds `poison`.
pub(crate) fn features(seed: u64, lengths: &[usize], bins: usize, poison: f64) -> Padded {
    let lengths = Lengths::new(lengths.to_vec());
    let bound = 3f64.sqrt();
    let values = uniform(seed, &[lengths.len(), lengths.max(), bins], -bound, bound).unwrap();
    let values = poison_padding(&values, &lengths, poison).unwrap();
    Padded::new(values.to_dtype(DType::F32).unwrap(), lengths).unwrap()
}

/// The encoder frames of features after subsampling by four.
pub(crate) fn encoder_frames(features: &Padded) -> Lengths {
    let lengths = features.lengths().as_slice();
    Lengths::new(lengths.iter().map(|&n| frames_after(n)).collect())
}

pub(crate) fn config(
    num_bins: usize,
    num_codebooks: usize,
    codebook_size: usize,
    code_dim: usize,
) -> QuantizerConfig {
    QuantizerConfig {
        num_bins,
        stacking: Stacking::BY_FOUR,
        num_codebooks,
        codebook_size,
        code_dim,
    }
}

pub(crate) fn quantizer(config: &QuantizerConfig, seed: u64) -> RandomProjectionQuantizer {
    RandomProjectionQuantizer::new(config, seed).unwrap()
}

/// Codes of all frames of features, after subsampling by four.
pub(crate) fn label(quantizer: &RandomProjectionQuantizer, features: &Padded) -> Targets {
    quantizer.targets(features, &encoder_frames(features)).unwrap()
}

/// f64 vectors over time, whose padding holds `poison`.
pub(crate) fn vectors(seed: u64, lengths: &[usize], dim: usize, poison: f64) -> Padded {
    let lengths = Lengths::new(lengths.to_vec());
    let values = uniform(seed, &[lengths.len(), lengths.max(), dim], -2.0, 2.0).unwrap();
    Padded::new(poison_padding(&values, &lengths, poison).unwrap(), lengths).unwrap()
}

/// Targets that are a function of the seed.
pub(crate) fn targets(seed: u64, lengths: &[usize], books: usize, codes: usize) -> Targets {
    let row = |(b, &n): (usize, &usize)| -> Vec<u32> {
        let draws = uniform(seed + 1000 * b as u64, &[n * books], 0.0, codes as f64).unwrap();
        values(&draws).into_iter().map(|x| x as u32).collect()
    };
    Targets::new(lengths.iter().enumerate().map(row).collect(), books, codes).unwrap()
}

/// About two thirds of the frames, different ones in each utterance.
pub(crate) fn some_frames(lengths: &[usize]) -> Vec<Vec<bool>> {
    let row = |(b, &n): (usize, &usize)| (0..n).map(|t| (t + b) % 3 != 1).collect();
    lengths.iter().enumerate().map(row).collect()
}

pub(crate) fn values(x: &Tensor) -> Vec<f64> {
    let flat = x.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    flat.to_vec1().unwrap()
}

/// The utterances `which` of a batch, in this order.
pub(crate) fn pick(x: &Padded, which: &[usize]) -> Padded {
    let index: Vec<u32> = which.iter().map(|&b| b as u32).collect();
    let index = Tensor::from_vec(index, which.len(), &Device::Cpu).unwrap();
    let lengths: Vec<usize> = which.iter().map(|&b| x.lengths().get(b)).collect();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let values = x.values().index_select(&index, 0).unwrap();
    let values = values.narrow(1, 0, longest).unwrap().contiguous().unwrap();
    Padded::new(values, Lengths::new(lengths)).unwrap()
}
