//! Triangular mel filters, stored without their zeros.

use crate::{Error, Result};

/// Mel scale of Kaldi (and HTK): `1127 ln(1 + f/700)`.
fn mel(hz: f64) -> f64 {
    1127.0 * (1.0 + hz / 700.0).ln()
}

/// One triangle: the spectrum bins it covers, from `start` on.
struct Filter {
    start: usize,
    weights: Vec<f32>,
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
        let width = f64::from(sample_rate) / fft_size as f64;
        let (low, high) = (mel(low_hz), mel(high_hz));
        let delta = (high - low) / (num_bins as f64 + 1.0);
        let filters = (0..num_bins)
            .map(|bin| {
                let left = low + bin as f64 * delta;
                let (center, right) = (left + delta, left + 2.0 * delta);
                // Kaldi leaves the Nyquist bin out.
                let covered: Vec<(usize, f32)> = (0..fft_size / 2)
                    .filter_map(|k| {
                        let m = mel(width * k as f64);
                        let weight = ((m - left) / (center - left)).min((right - m) / (right - center));
                        (weight > 0.0).then_some((k, weight as f32))
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
    pub(crate) fn log_energies(&self, power: &[f32], out: &mut [f32]) {
        for (filter, value) in self.filters.iter().zip(out) {
            let power = &power[filter.start..];
            let energy: f32 = filter.weights.iter().zip(power).map(|(w, p)| w * p).sum();
            *value = energy.max(f32::EPSILON).ln();
        }
    }
}
