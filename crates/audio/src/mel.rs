//! Triangular mel filters, stored without their zeros.

use crate::{Error, Result};

/// Mel scale of Kaldi (and HTK): `1127 ln(1 + f/700)`.
fn mel(hz: f64) -> f64 {
    1127.0 * (1.0 + hz / 700.0).ln()
}

/// The same of a bin of the spectrum, in single precision.
fn mel_of_bin(hz: f32) -> f32 {
    1127.0 * (1.0 + hz / 700.0).ln()
}

/// One triangle: the spectrum bins it covers, from `start` on.
struct Filter {
    start: usize,
    weights: Vec<f64>,
}

/// A bank of triangular filters, equally wide on the mel scale.
pub(crate) struct MelFilters {
    filters: Vec<Filter>,
}

impl MelFilters {
    /// Filters between two frequencies over the power spectrum of a transform of `fft_size` points.
    pub(crate) fn new(
        num_bins: usize,
        fft_size: usize,
        sample_rate: u32,
        low_hz: f64,
        high_hz: f64,
    ) -> Result<Self> {
        // Kaldi and torchaudio compute the weights in single precision. At the foot of a triangle that moves a
        // weight by 1e-4 of itself, so it is done here step by step as there.
        let width = (f64::from(sample_rate) / fft_size as f64) as f32;
        let delta = ((mel(high_hz) - mel(low_hz)) / (num_bins as f64 + 1.0)) as f32;
        let low = mel(low_hz) as f32;
        let filters = (0..num_bins)
            .map(|bin| {
                let edge = |n: usize| low + n as f32 * delta;
                let (left, center, right) = (edge(bin), edge(bin + 1), edge(bin + 2));
                // Kaldi leaves the Nyquist bin out.
                let covered: Vec<(usize, f64)> = (0..fft_size / 2)
                    .filter_map(|k| {
                        let m = mel_of_bin(width * k as f32);
                        let weight = ((m - left) / (center - left)).min((right - m) / (right - center));
                        (weight > 0.0).then_some((k, f64::from(weight)))
                    })
                    .collect();
                let Some(&(start, _)) = covered.first() else {
                    return Err(Error::Config {
                        what: "num_bins",
                        expected: format!(
                            "few enough that every filter covers one of {} frequencies",
                            fft_size / 2
                        ),
                        got: format!("{num_bins} (filter {bin} covers none)"),
                    });
                };
                Ok(Filter {
                    start,
                    weights: covered.into_iter().map(|(_, weight)| weight).collect(),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { filters })
    }

    /// `ln max(ε, Σ_k weight[k] power[k])` per filter, with ε the f32 machine epsilon, as in Kaldi.
    pub(crate) fn log_energies(&self, power: &[f64], out: &mut [f32]) {
        for (filter, value) in self.filters.iter().zip(out) {
            let power = &power[filter.start..];
            let energy: f64 = filter.weights.iter().zip(power).map(|(w, p)| w * p).sum();
            *value = (energy as f32).max(f32::EPSILON).ln();
        }
    }
}
