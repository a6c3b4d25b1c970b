//! Triangular mel filters, stored without their zeros.

use pulp::{Simd, WithSimd};

use crate::log::ln;
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

    /// `ln max(ε, Σ_k weight[k] power[k])` per filter of some frames, with ε the f32 machine epsilon, as in Kaldi.
    ///
    /// Frames lie side by side in `power`, so that they are summed together, each in the order it has by itself; `out` holds
    /// as many frames as are wanted, one after the other.
    pub(crate) fn log_energies(&self, power: &[[f64; LANES]], out: &mut [f32]) {
        pulp::Arch::new().dispatch(LogEnergies {
            filters: &self.filters,
            power,
            out,
        });
    }
}

/// Frames that are filtered together.
pub(crate) const LANES: usize = 8;

struct LogEnergies<'a> {
    filters: &'a [Filter],
    power: &'a [[f64; LANES]],
    out: &'a mut [f32],
}

impl WithSimd for LogEnergies<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let num_bins = self.filters.len();
        let frames = self.out.len() / num_bins;
        for (bin, filter) in self.filters.iter().enumerate() {
            let mut energies = [0.0; LANES];
            let power = &self.power[filter.start..][..filter.weights.len()];
            for (&weight, power) in filter.weights.iter().zip(power) {
                for lane in 0..LANES {
                    energies[lane] += weight * power[lane];
                }
            }
            let mut logarithms = [0.0; LANES];
            for lane in 0..LANES {
                let energy = energies[lane] as f32;
                // A comparison that lets NaN pass has nothing to do here: samples are finite.
                logarithms[lane] = ln(if energy > f32::EPSILON {
                    energy
                } else {
                    f32::EPSILON
                });
            }
            for (frame, &logarithm) in logarithms[..frames].iter().enumerate() {
                self.out[frame * num_bins + bin] = logarithm;
            }
        }
    }
}
