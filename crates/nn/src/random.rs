//! Random draws that are a function of a key and nothing else.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Init;

/// Mixes the bits of a word so that near keys give unrelated draws (splitmix64's finaliser).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A key for the purpose `name` under a seed. Stable across versions and platforms: results depend on it.
pub fn key(seed: u64, name: &str) -> u64 {
    name.bytes()
        .fold(mix(seed.wrapping_add(0x9E37_79B9_7F4A_7C15)), |h, byte| {
            mix(h ^ u64::from(byte)).wrapping_add(0x9E37_79B9_7F4A_7C15)
        })
}

/// A key for one of many uses of the same purpose: a step, an utterance, an epoch.
pub fn subkey(key: u64, index: u64) -> u64 {
    mix(key ^ mix(index.wrapping_add(0x9E37_79B9_7F4A_7C15)))
}

/// The values a parameter starts with.
pub(crate) fn initial(init: Init, shape: &[usize], key: u64) -> Vec<f64> {
    let n: usize = shape.iter().product();
    let mut rng = ChaCha8Rng::seed_from_u64(key);
    let mut uniform = |bound: f64| {
        (0..n)
            .map(|_| (rng.random::<f64>() * 2.0 - 1.0) * bound)
            .collect()
    };
    match init {
        Init::Zeros => vec![0.0; n],
        Init::Ones => vec![1.0; n],
        Init::Uniform { bound } => uniform(bound),
        Init::XavierUniform => {
            let fans = shape.first().unwrap_or(&1) + shape.last().unwrap_or(&1);
            uniform((6.0 / fans as f64).sqrt())
        }
        // Box and Muller's transform.
        Init::Normal { std } => (0..n)
            .map(|_| {
                let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
                std * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
            })
            .collect(),
    }
}
