//! Log-mel filterbank features, equal to Kaldi's.

use std::sync::Arc;

use rayon::prelude::*;
use realfft::{RealFftPlanner, RealToComplex};
use serde::{Deserialize, Serialize};

use crate::framing::{Dither, INT16_SCALE, Shape, num_frames, povey_window};
use crate::mel::{LANES, MelFilters};
use crate::{Error, Features, Result, Waveform};

/// Settings of the filterbank. What is not here is as in Kaldi: Povey window, mean of each frame removed, power
/// spectrum of the next power of two, frames only where a whole window fits, no energy coefficient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FbankConfig {
    /// Samples per second of the audio.
    pub sample_rate: u32,
    /// Length of the window in milliseconds.
    pub window_ms: f64,
    /// Distance between windows in milliseconds.
    pub shift_ms: f64,
    /// Mel filters F.
    pub num_bins: usize,
    /// Coefficient of the pre-emphasis, 0 for none.
    pub preemphasis: f64,
    /// Standard deviation of the Gaussian noise added to each sample, in 16-bit units; 0 for none. The noise is a
    /// function of the audio, so the features of a file are always the same.
    pub dither: f64,
    /// Lower edge of the first filter in Hz.
    pub low_hz: f64,
    /// Upper edge of the last filter in Hz; 0 means half the sample rate, a negative value is added to that.
    pub high_hz: f64,
}

impl FbankConfig {
    /// 80 bins of 25 ms windows every 10 ms at 16 kHz, as Kaldi recipes and torchaudio users have them.
    pub fn kaldi() -> Self {
        Self {
            sample_rate: 16000,
            window_ms: 25.0,
            shift_ms: 10.0,
            num_bins: 80,
            preemphasis: 0.97,
            dither: 0.0,
            low_hz: 20.0,
            high_hz: 0.0,
        }
    }

    fn samples(&self, ms: f64) -> usize {
        (f64::from(self.sample_rate) * ms * 0.001) as usize
    }

    fn high(&self) -> f64 {
        let nyquist = 0.5 * f64::from(self.sample_rate);
        if self.high_hz <= 0.0 {
            nyquist + self.high_hz
        } else {
            self.high_hz
        }
    }

    fn check(&self) -> Result<()> {
        let nyquist = 0.5 * f64::from(self.sample_rate);
        let (low, high) = (self.low_hz, self.high());
        let rules: [(&'static str, bool, String, String); 7] = [
            (
                "sample_rate",
                self.sample_rate > 0,
                "above 0 Hz".into(),
                self.sample_rate.to_string(),
            ),
            (
                "window_ms",
                self.samples(self.window_ms) >= 2,
                "2 samples or more".into(),
                self.window_ms.to_string(),
            ),
            (
                "shift_ms",
                self.samples(self.shift_ms) >= 1,
                "1 sample or more".into(),
                self.shift_ms.to_string(),
            ),
            (
                "num_bins",
                self.num_bins >= 4,
                "4 or more".into(),
                self.num_bins.to_string(),
            ),
            (
                "preemphasis",
                (0.0..=1.0).contains(&self.preemphasis),
                "between 0 and 1".into(),
                self.preemphasis.to_string(),
            ),
            (
                "dither",
                self.dither >= 0.0 && self.dither.is_finite(),
                "0 or more, finite".into(),
                self.dither.to_string(),
            ),
            (
                "low_hz and high_hz",
                0.0 <= low && low < high && high <= nyquist,
                format!("0 <= low < high <= {nyquist} Hz"),
                format!("{low} and {high}"),
            ),
        ];
        match rules.into_iter().find(|(_, holds, _, _)| !holds) {
            Some((what, _, expected, got)) => Err(Error::Config { what, expected, got }),
            None => Ok(()),
        }
    }
}

impl Default for FbankConfig {
    fn default() -> Self {
        Self::kaldi()
    }
}

/// Log-mel filterbank: window, filters and transform, computed once and shared by all threads.
#[derive(Clone)]
pub struct Fbank {
    config: FbankConfig,
    shift: usize,
    window: Vec<f64>,
    transform: Arc<dyn RealToComplex<f64>>,
    filters: Arc<MelFilters>,
}

impl Fbank {
    /// Prepares window, transform and filters.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a setting is outside its domain, or if a filter would cover no frequency.
    pub fn new(config: &FbankConfig) -> Result<Self> {
        config.check()?;
        let window = povey_window(config.samples(config.window_ms));
        let fft_size = window.len().next_power_of_two();
        Ok(Self {
            shift: config.samples(config.shift_ms),
            transform: RealFftPlanner::new().plan_fft_forward(fft_size),
            filters: Arc::new(MelFilters::new(
                config.num_bins,
                fft_size,
                config.sample_rate,
                config.low_hz,
                config.high(),
            )?),
            config: config.clone(),
            window,
        })
    }

    /// The settings this was built from.
    pub fn config(&self) -> &FbankConfig {
        &self.config
    }

    /// Samples from one frame to the next.
    pub(crate) fn shift(&self) -> usize {
        self.shift
    }

    /// Feature frames of a waveform of that many samples; 0 if it is shorter than a window.
    pub fn num_frames(&self, num_samples: usize) -> usize {
        num_frames(num_samples, self.window.len(), self.shift)
    }

    /// Log-mel features of one waveform.
    ///
    /// # Equation
    ///
    /// ```text
    /// y_t[n] = (x_t[n] − c x_t[n−1]) w[n],   x_t = 32768 · frame t, mean removed
    /// F[t,b] = ln max(ε, Σ_k mel[b,k] |FFT(y_t)[k]|²),   ε = 2⁻²³
    /// ```
    ///
    /// # Shapes
    ///
    /// `[N]` samples in −1..1 to `[T, F]`, `T = 1 + ⌊(N − window) / shift⌋`.
    ///
    /// # Errors
    ///
    /// [`Error::WaveformRate`] if the waveform has another sample rate; [`Error::TooShort`] if not one window fits;
    /// [`Error::NotFiniteSample`] if a sample is not finite.
    ///
    /// # Precision
    ///
    /// Computed in f64. In f32 the rounding of the transform shows in bins far below the loudest of their frame:
    /// Kaldi and torchaudio differ there by up to 1e-2 from each other, and from the exact value.
    ///
    /// # Source
    ///
    /// Kaldi's `compute-fbank-feats` with `--use-energy=false`, as in `torchaudio.compliance.kaldi.fbank`.
    ///
    /// # Proved by
    ///
    /// `fbank_equals_torchaudio`, `fbank_is_the_same_for_any_thread_count`.
    pub fn compute(&self, waveform: &Waveform) -> Result<Features> {
        if waveform.sample_rate != self.config.sample_rate {
            return Err(Error::WaveformRate {
                expected: self.config.sample_rate,
                got: waveform.sample_rate,
            });
        }
        let samples = &waveform.samples;
        let length = self.window.len();
        if samples.len() < length {
            return Err(Error::TooShort {
                samples: samples.len(),
                window: length,
            });
        }
        if let Some(index) = waveform.first_not_finite() {
            return Err(Error::NotFiniteSample { index });
        }
        let num_frames = self.num_frames(samples.len());
        let num_bins = self.config.num_bins;
        let mut dither = (self.config.dither > 0.0).then(|| Dither::new(samples, self.config.dither));
        let mut values = vec![0.0; num_frames * num_bins];
        let mut frame = vec![0.0; length];
        let mut padded = self.transform.make_input_vec();
        let mut spectrum = self.transform.make_output_vec();
        let mut scratch = self.transform.make_scratch_vec();
        let mut power = vec![[0.0; LANES]; spectrum.len()];
        let arch = pulp::Arch::new();
        for (block, out) in values.chunks_mut(LANES * num_bins).enumerate() {
            for lane in 0..out.len() / num_bins {
                let start = (block * LANES + lane) * self.shift;
                for (x, sample) in frame.iter_mut().zip(&samples[start..start + length]) {
                    *x = f64::from(*sample) * INT16_SCALE;
                }
                if let Some(dither) = &mut dither {
                    dither.add(&mut frame);
                }
                arch.dispatch(Shape {
                    frame: &frame,
                    preemphasis: self.config.preemphasis,
                    window: &self.window,
                    out: &mut padded,
                });
                // The transform uses its input as scratch space, so the padding must be cleared each time.
                padded[length..].fill(0.0);
                self.transform
                    .process_with_scratch(&mut padded, &mut spectrum, &mut scratch)
                    .map_err(|error| Error::Config {
                        what: "fourier transform",
                        expected: "the buffers it made itself".into(),
                        got: error.to_string(),
                    })?;
                for (power, z) in power.iter_mut().zip(&spectrum) {
                    power[lane] = z.norm_sqr();
                }
            }
            self.filters.log_energies(&power, out);
        }
        Ok(Features {
            values,
            num_frames,
            num_bins,
        })
    }

    /// Features of many waveforms, in their order, in parallel. The same bits for any number of threads.
    ///
    /// # Errors
    ///
    /// The error of the first waveform that has one, as [`Fbank::compute`].
    pub fn compute_all(&self, waveforms: &[Waveform]) -> Result<Vec<Features>> {
        // Collected before the first error is taken, so that the error too is the same for any number of threads.
        let all: Vec<Result<Features>> = waveforms
            .par_iter()
            .map(|waveform| self.compute(waveform))
            .collect();
        all.into_iter().collect()
    }
}
