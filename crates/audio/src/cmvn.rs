//! Mean and variance normalization, of an utterance or of a corpus.

use serde::{Deserialize, Serialize};

use crate::{Error, Features, Result};

/// Standard deviations below this are taken to be this: a bin that never changes becomes 0, not infinity.
const STD_FLOOR: f64 = 1e-5;

/// Normalizes each bin to mean 0 and variance 1 over the frames of the utterance.
///
/// # Equation
///
/// ```text
/// F[t,b] ← (F[t,b] − μ_b) / max(σ_b, 1e−5),   σ_b² = Σ_t (F[t,b] − μ_b)² / T
/// ```
pub fn normalize_utterance(features: &mut Features) {
    let mut statistics = GlobalCmvn::new(features.num_bins);
    statistics.add(features);
    statistics.normalize(features);
}

/// Mean and variance of each bin over a corpus. Sums are f64; a corpus may be summed in parts and merged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "Sums")]
pub struct GlobalCmvn {
    num_frames: u64,
    sum: Vec<f64>,
    sum_of_squares: Vec<f64>,
}

/// [`GlobalCmvn`] as it was stored, before it is believed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sums {
    num_frames: u64,
    sum: Vec<f64>,
    sum_of_squares: Vec<f64>,
}

impl TryFrom<Sums> for GlobalCmvn {
    type Error = Error;

    fn try_from(sums: Sums) -> Result<Self> {
        let Sums {
            num_frames,
            sum,
            sum_of_squares,
        } = sums;
        if sum.len() != sum_of_squares.len() {
            return Err(Error::Bins {
                expected: sum.len(),
                got: sum_of_squares.len(),
            });
        }
        if sum.iter().chain(&sum_of_squares).any(|x| !x.is_finite()) {
            return Err(Error::Config {
                what: "cmvn sums",
                expected: "finite numbers".into(),
                got: "one that is not".into(),
            });
        }
        Ok(Self {
            num_frames,
            sum,
            sum_of_squares,
        })
    }
}

impl GlobalCmvn {
    /// Statistics of nothing yet.
    pub fn new(num_bins: usize) -> Self {
        Self {
            num_frames: 0,
            sum: vec![0.0; num_bins],
            sum_of_squares: vec![0.0; num_bins],
        }
    }

    /// Adds the frames of an utterance.
    ///
    /// # Errors
    ///
    /// [`Error::Bins`] if the features have another number of bins.
    pub fn accumulate(&mut self, features: &Features) -> Result<()> {
        self.check_bins(features.num_bins)?;
        self.add(features);
        Ok(())
    }

    /// Adds what another part of the corpus has summed.
    ///
    /// # Errors
    ///
    /// [`Error::Bins`] if it has another number of bins.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.check_bins(other.sum.len())?;
        self.num_frames += other.num_frames;
        for (mine, theirs) in self.sum.iter_mut().zip(&other.sum) {
            *mine += theirs;
        }
        for (mine, theirs) in self.sum_of_squares.iter_mut().zip(&other.sum_of_squares) {
            *mine += theirs;
        }
        Ok(())
    }

    /// Frames summed so far.
    pub fn num_frames(&self) -> u64 {
        self.num_frames
    }

    /// Mean of each bin; 0 before the first frame.
    pub fn mean(&self) -> Vec<f64> {
        let frames = self.num_frames.max(1) as f64;
        self.sum.iter().map(|sum| sum / frames).collect()
    }

    /// Standard deviation of each bin (population, not sample), floored at 1e-5.
    pub fn std(&self) -> Vec<f64> {
        let frames = self.num_frames.max(1) as f64;
        let squares = self.sum_of_squares.iter().map(|sum| sum / frames);
        squares
            .zip(self.mean())
            .map(|(square, mean)| (square - mean * mean).max(0.0).sqrt().max(STD_FLOOR))
            .collect()
    }

    /// Normalizes features by the mean and standard deviation of the corpus.
    ///
    /// # Errors
    ///
    /// [`Error::Bins`] if the features have another number of bins; [`Error::Config`] if nothing was summed yet.
    pub fn apply(&self, features: &mut Features) -> Result<()> {
        self.check_bins(features.num_bins)?;
        if self.num_frames == 0 {
            return Err(Error::Config {
                what: "cmvn statistics",
                expected: "1 frame or more".into(),
                got: "0".into(),
            });
        }
        self.normalize(features);
        Ok(())
    }

    fn check_bins(&self, got: usize) -> Result<()> {
        let expected = self.sum.len();
        if expected == got {
            Ok(())
        } else {
            Err(Error::Bins { expected, got })
        }
    }

    fn add(&mut self, features: &Features) {
        if features.num_bins == 0 {
            return;
        }
        self.num_frames += features.num_frames as u64;
        for frame in features.values.chunks_exact(features.num_bins) {
            for ((sum, square), &x) in self.sum.iter_mut().zip(&mut self.sum_of_squares).zip(frame) {
                *sum += f64::from(x);
                *square += f64::from(x) * f64::from(x);
            }
        }
    }

    fn normalize(&self, features: &mut Features) {
        if features.num_bins == 0 {
            return;
        }
        let (mean, std) = (self.mean(), self.std());
        for frame in features.values.chunks_exact_mut(features.num_bins) {
            for ((x, mean), std) in frame.iter_mut().zip(&mean).zip(&std) {
                *x = ((f64::from(*x) - mean) / std) as f32;
            }
        }
    }
}
