//! Sinusoids of relative offsets.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor};
use sandhi_core::Result;

/// `[2T−1, D]`: row m encodes the offset m − (T − 1) by sines and cosines of geometrically spaced frequencies.
///
/// # Errors
///
/// If the tensor cannot be made.
///
/// # Source
///
/// Vaswani et al. 2017, arXiv:1706.03762, section 3.5, on offsets instead of positions.
pub fn sinusoids(frames: usize, dim: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let rows = (2 * frames).saturating_sub(1);
    Ok(Tensor::from_vec(table(frames, dim), (rows, dim), device)?.to_dtype(dtype)?)
}

/// The values of [`sinusoids`]. The largest table so far is kept for each width: the smaller ones lie in its middle, and
/// a sine costs more than the multiplications it is made for.
pub(crate) fn table(frames: usize, dim: usize) -> Vec<f64> {
    static TABLES: Mutex<BTreeMap<usize, (usize, Vec<f64>)>> = Mutex::new(BTreeMap::new());
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    let (largest, values) = tables.entry(dim).or_default();
    if *largest < frames {
        (*largest, *values) = (frames, compute(frames, dim));
    }
    let rows = (2 * frames).saturating_sub(1);
    values[(*largest - frames) * dim..][..rows * dim].to_vec()
}

fn compute(frames: usize, dim: usize) -> Vec<f64> {
    let rows = (2 * frames).saturating_sub(1);
    let mut values = Vec::with_capacity(rows * dim);
    for m in 0..rows {
        let offset = m as f64 - (frames as f64 - 1.0);
        for k in 0..dim {
            let angle = offset / 10_000f64.powf((k / 2 * 2) as f64 / dim as f64);
            values.push(if k % 2 == 0 { angle.sin() } else { angle.cos() });
        }
    }
    values
}
