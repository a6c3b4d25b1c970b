//! Whether embeddings spread or collapse, and whether the two sides of an utterance meet.

use candle_core::DType;
use sandhi_core::{Padded, Result};

/// Mean and covariance of vectors.
#[derive(Debug, Default)]
pub struct Cloud {
    count: f64,
    sum: Vec<f64>,
    /// Σ x xᵀ, `[D, D]`.
    products: Vec<f64>,
}

impl Cloud {
    /// Adds every frame.
    ///
    /// # Errors
    ///
    /// If the values cannot be read.
    ///
    /// # Proved by
    ///
    /// `cloud_knows_its_variance_and_its_rank`.
    pub fn add(&mut self, x: &Padded) -> Result<()> {
        let (batch, _, dim) = x.dims();
        self.sum.resize(dim, 0.0);
        if self.products.is_empty() {
            self.products.resize(dim * dim, 0.0);
        }
        for b in 0..batch {
            let rows = frames_of(x, b)?;
            for row in &rows {
                for (i, &value) in row.iter().enumerate() {
                    self.sum[i] += value;
                    let products = &mut self.products[i * dim..][..dim];
                    for (product, &other) in products.iter_mut().zip(row) {
                        *product += value * other;
                    }
                }
            }
            self.count += rows.len() as f64;
        }
        Ok(())
    }

    fn covariance(&self) -> Vec<f64> {
        let dim = self.sum.len();
        let mean = |i: usize| self.sum[i] / self.count;
        let at = |i: usize| self.products[i] / self.count - mean(i / dim) * mean(i % dim);
        (0..dim * dim).map(at).collect()
    }

    /// The mean over the components.
    pub fn variance(&self) -> f64 {
        let (dim, covariance) = (self.sum.len(), self.covariance());
        (0..dim).map(|i| covariance[i * dim + i]).sum::<f64>() / dim as f64
    }

    /// The participation ratio of the covariance's eigenvalues, (Σ λ)² / Σ λ²: D if all directions vary alike, 1 if one does.
    pub fn effective_rank(&self) -> f64 {
        let dim = self.sum.len();
        let covariance = self.covariance();
        let trace: f64 = (0..dim).map(|i| covariance[i * dim + i]).sum();
        trace * trace / covariance.iter().map(|c| c * c).sum::<f64>()
    }
}

/// The mean over the frames of each utterance: `[B, T, D]` to B vectors of D.
///
/// # Errors
///
/// If the values cannot be read.
///
/// # Proved by
///
/// `means_are_of_the_frames_of_an_utterance`.
pub fn means_over_time(x: &Padded) -> Result<Vec<Vec<f64>>> {
    let (batch, _, dim) = x.dims();
    let mean = |b| {
        let rows = frames_of(x, b)?;
        let component = |i: usize| rows.iter().map(|row| row[i]).sum::<f64>() / rows.len() as f64;
        Ok((0..dim).map(component).collect())
    };
    (0..batch).map(mean).collect()
}

/// One utterance without its padding.
fn frames_of(x: &Padded, b: usize) -> Result<Vec<Vec<f64>>> {
    let frames = x.values().get(b)?.narrow(0, 0, x.lengths().get(b))?;
    Ok(frames.to_dtype(DType::F64)?.to_vec2()?)
}

/// In how many percent of the utterances the mean of the speech is nearer to its own text's mean than to any other's, by
/// the cosine.
///
/// # Proved by
///
/// `retrieval_counts_utterances_whose_text_is_nearest`.
pub fn retrieval(speech: &[Vec<f64>], text: &[Vec<f64>]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    // The norm of the query is the same for all candidates.
    let near = |query: &[f64], candidate: &[f64]| dot(query, candidate) / dot(candidate, candidate).sqrt();
    let found = speech.iter().enumerate().filter(|(i, query)| {
        let own = near(query, &text[*i]);
        text.iter()
            .enumerate()
            .all(|(j, other)| j == *i || near(query, other) < own)
    });
    100.0 * found.count() as f64 / speech.len() as f64
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use sandhi_core::Lengths;

    use super::*;

    /// Corners of a box with half sides 2 and 1 about (5, −3), with NaN in the padding.
    fn corners() -> Padded {
        let rows = [
            7f32,
            -2.0,
            3.0,
            -2.0,
            f32::NAN,
            f32::NAN,
            7.0,
            -4.0,
            3.0,
            -4.0,
            7.0,
            -2.0,
        ];
        let x = Tensor::from_slice(&rows, (2, 3, 2), &Device::Cpu).unwrap();
        Padded::new(x, Lengths::new(vec![2, 2])).unwrap()
    }

    #[test]
    fn means_are_of_the_frames_of_an_utterance() {
        assert_eq!(means_over_time(&corners()).unwrap(), [[5.0, -2.0], [5.0, -4.0]]);
    }

    #[test]
    fn cloud_knows_its_variance_and_its_rank() {
        let mut cloud = Cloud::default();
        cloud.add(&corners()).unwrap();
        // Variances 4 and 1.
        assert!((cloud.variance() - 2.5).abs() < 1e-12);
        assert!((cloud.effective_rank() - 25.0 / 17.0).abs() < 1e-12);
    }

    #[test]
    fn retrieval_counts_utterances_whose_text_is_nearest() {
        let text = vec![vec![1.0, 0.0], vec![0.0, 3.0], vec![2.0, 2.0]];
        assert_eq!(
            retrieval(&[vec![2.0, 0.1], vec![0.1, 1.0], vec![1.0, 1.0]], &text),
            100.0
        );
        assert_eq!(
            retrieval(&[vec![0.1, 1.0], vec![0.1, 1.0], vec![1.0, 1.0]], &text),
            100.0 * 2.0 / 3.0
        );
        // A collapsed text encoder finds nothing.
        assert_eq!(
            retrieval(&text, &[vec![1.0, 1.0], vec![1.0, 1.0], vec![1.0, 1.0]]),
            0.0
        );
    }
}
