//! Inputs that are a function of a seed.

use candle_core::{DType, Device, Tensor};
use sandhi_core::{Lengths, Result};

/// A number in 0..1 that depends on the key alone (splitmix64).
fn unit(key: u64) -> f64 {
    let mut z = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// f64 values uniform in `low..high`.
///
/// # Errors
///
/// If the tensor cannot be made.
pub fn uniform(seed: u64, shape: &[usize], low: f64, high: f64) -> Result<Tensor> {
    let n: usize = shape.iter().product();
    let key = |i: usize| seed.wrapping_mul(0xD129_0E7C_59A4_3E8D).wrapping_add(i as u64);
    let values: Vec<f64> = (0..n).map(|i| low + (high - low) * unit(key(i))).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Replaces what lies beyond each utterance's length along dimension 1 by `poison`.
///
/// # Errors
///
/// If the tensor cannot be read or made.
pub fn poison_padding(values: &Tensor, lengths: &Lengths, poison: f64) -> Result<Tensor> {
    let dims = values.dims().to_vec();
    let inner: usize = dims[2..].iter().product();
    let mut flat = values.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    for b in 0..dims[0] {
        for t in lengths.get(b)..dims[1] {
            flat[(b * dims[1] + t) * inner..][..inner].fill(poison);
        }
    }
    Ok(Tensor::from_vec(flat, dims, values.device())?.to_dtype(values.dtype())?)
}
