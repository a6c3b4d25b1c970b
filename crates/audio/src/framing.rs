//! Cutting a waveform into windowed frames, as Kaldi does it.

use pulp::{Simd, WithSimd};
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Kaldi works on samples of 16-bit integers; ours are in −1..1.
pub(crate) const INT16_SCALE: f64 = 32768.0;

/// Povey window: a Hann window to the power 0.85, which goes to zero at its ends.
///
/// ```text
/// w[n] = (½ − ½ cos(2πn / (N − 1)))^0.85
/// ```
pub(crate) fn povey_window(length: usize) -> Vec<f64> {
    let step = std::f64::consts::TAU / (length as f64 - 1.0);
    (0..length)
        .map(|n| (0.5 - 0.5 * (step * n as f64).cos()).powf(0.85))
        .collect()
}

/// Frames whose window lies whole inside the waveform (Kaldi: `snip_edges`).
pub(crate) fn num_frames(samples: usize, window: usize, shift: usize) -> usize {
    if samples < window {
        0
    } else {
        1 + (samples - window) / shift
    }
}

/// Samples that are summed at once.
const LANES: usize = 8;

/// Shapes one frame: mean removed, pre-emphasis, window.
///
/// ```text
/// x[n] ← x[n] − mean(x);   y[n] = (x[n] − c x[max(n−1, 0)]) w[n]
/// ```
pub(crate) struct Shape<'a> {
    pub(crate) frame: &'a [f64],
    pub(crate) preemphasis: f64,
    pub(crate) window: &'a [f64],
    pub(crate) out: &'a mut [f64],
}

impl WithSimd for Shape<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let length = self.window.len();
        let (frame, out) = (&self.frame[..length], &mut self.out[..length]);
        let (chunks, rest) = frame.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for chunk in chunks {
            for lane in 0..LANES {
                sums[lane] += chunk[lane];
            }
        }
        let mean = (sums.iter().sum::<f64>() + rest.iter().sum::<f64>()) / length as f64;
        // The first sample is its own predecessor.
        let first = frame[0] - mean;
        out[0] = (first - self.preemphasis * first) * self.window[0];
        for n in 1..length {
            let (current, previous) = (frame[n] - mean, frame[n - 1] - mean);
            out[n] = (current - self.preemphasis * previous) * self.window[n];
        }
    }
}

/// Gaussian noise for dithering, a function of the audio alone: the same file gets the same features.
pub(crate) struct Dither {
    rng: ChaCha8Rng,
    amount: f64,
}

impl Dither {
    /// `amount` is the standard deviation in 16-bit units.
    pub(crate) fn new(samples: &[f32], amount: f64) -> Self {
        // FNV-1a of the purpose and the sample bits: the purpose keeps other uses of the audio apart.
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        let purpose = b"dither"
            .iter()
            .fold(0xCBF2_9CE4_8422_2325, |hash, &b| mix(hash, b));
        let seed = samples
            .iter()
            .flat_map(|x| x.to_bits().to_le_bytes())
            .fold(purpose, mix);
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            amount,
        }
    }

    /// Adds noise to one frame. Each frame draws its own, as in Kaldi, overlapping or not.
    pub(crate) fn add(&mut self, frame: &mut [f64]) {
        for x in frame {
            // Box-Muller; 1 − u is in (0, 1], whose logarithm is finite.
            let (u, v): (f64, f64) = (self.rng.random(), self.rng.random());
            let gauss = (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
            *x += self.amount * gauss;
        }
    }
}
