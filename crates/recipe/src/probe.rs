//! What can be read off embeddings that were trained for something else.

use std::collections::BTreeMap;

/// A linear classifier of vectors, fitted in closed form: ridge regression onto one column for each class.
///
/// ```text
/// W = (Xᵀ X + λ n I)⁻¹ Xᵀ Y,   class of x = argmax_c (x W)_c
/// ```
///
/// with X standardized by the mean and deviation of the fitted vectors and a column of ones, and Y one-hot. Alain & Bengio 2016,
/// arXiv:1610.01644, for what probes say; closed form, so that nothing depends on how a probe was trained.
///
/// # Proved by
///
/// `probe_separates_what_can_be_separated`, `probe_of_noise_is_at_chance`.
#[derive(Clone, Debug)]
pub struct Probe {
    classes: Vec<String>,
    mean: Vec<f64>,
    deviation: Vec<f64>,
    /// `[D + 1, C]`
    weights: Vec<Vec<f64>>,
}

/// λ, in the unit of standardized vectors.
const RIDGE: f64 = 1e-2;

impl Probe {
    /// Fits vectors to what they are called; `None` unless there are two classes or more.
    pub fn fit(vectors: &[Vec<f64>], names: &[String]) -> Option<Self> {
        let mut classes: Vec<String> = names.to_vec();
        classes.sort();
        classes.dedup();
        if classes.len() < 2 {
            return None;
        }
        let (n, dim) = (vectors.len() as f64, vectors[0].len());
        let mean: Vec<f64> = (0..dim)
            .map(|i| vectors.iter().map(|x| x[i]).sum::<f64>() / n)
            .collect();
        let square = |i: usize| vectors.iter().map(|x| (x[i] - mean[i]).powi(2)).sum::<f64>();
        let deviation = (0..dim).map(|i| (square(i) / n).sqrt().max(1e-9)).collect();
        let mut probe = Self {
            classes,
            mean,
            deviation,
            weights: vec![],
        };
        let rows: Vec<Vec<f64>> = vectors.iter().map(|x| probe.prepared(x)).collect();
        let index: BTreeMap<&str, usize> = probe
            .classes
            .iter()
            .enumerate()
            .map(|(c, name)| (name.as_str(), c))
            .collect();
        let mut gram = vec![vec![0.0; dim + 1]; dim + 1];
        let mut right = vec![vec![0.0; probe.classes.len()]; dim + 1];
        for (row, name) in rows.iter().zip(names) {
            for (i, x) in row.iter().enumerate() {
                right[i][index[name.as_str()]] += x;
                gram[i].iter_mut().zip(row).for_each(|(sum, y)| *sum += x * y);
            }
        }
        (0..=dim).for_each(|i| gram[i][i] += RIDGE * n);
        probe.weights = solved(gram, right);
        Some(probe)
    }

    /// In how many percent of the vectors it is right.
    pub fn accuracy(&self, vectors: &[Vec<f64>], names: &[String]) -> f64 {
        let right = vectors.iter().zip(names).filter(|(x, name)| {
            let row = self.prepared(x);
            let score = |c: usize| row.iter().zip(&self.weights).map(|(x, w)| x * w[c]).sum::<f64>();
            let best =
                (0..self.classes.len()).fold(0, |best, c| if score(c) > score(best) { c } else { best });
            self.classes[best] == **name
        });
        100.0 * right.count() as f64 / vectors.len().max(1) as f64
    }

    /// Standardized, with a one for the bias.
    fn prepared(&self, x: &[f64]) -> Vec<f64> {
        let each = x.iter().zip(&self.mean).zip(&self.deviation);
        each.map(|((x, mean), deviation)| (x - mean) / deviation)
            .chain([1.0])
            .collect()
    }
}

/// The solution X of A X = B for a positive definite A, by Cholesky's factors.
fn solved(mut a: Vec<Vec<f64>>, mut b: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let n = a.len();
    for i in 0..n {
        for j in 0..=i {
            let sum = a[i][j] - (0..j).map(|k| a[i][k] * a[j][k]).sum::<f64>();
            a[i][j] = if i == j { sum.sqrt() } else { sum / a[j][j] };
        }
    }
    for c in 0..b[0].len() {
        for i in 0..n {
            let sum = b[i][c] - (0..i).map(|k| a[i][k] * b[k][c]).sum::<f64>();
            b[i][c] = sum / a[i][i];
        }
        for i in (0..n).rev() {
            let sum = b[i][c] - (i + 1..n).map(|k| a[k][i] * b[k][c]).sum::<f64>();
            b[i][c] = sum / a[i][i];
        }
    }
    b
}

#[cfg(test)]
mod tests {
    use sandhi_nn::random::{key, subkey};

    use super::*;

    /// Vectors in a cube, those of each class moved by its own offset.
    fn cloud(count: usize, offset: f64, seed: u64) -> (Vec<Vec<f64>>, Vec<String>) {
        let value = |i: usize, d: usize| {
            let draw = subkey(subkey(key(seed, "probe"), i as u64), d as u64);
            (draw >> 11) as f64 / (1u64 << 53) as f64
        };
        let class = |i: usize| i % 3;
        let vector = |i: usize| {
            (0..6)
                .map(|d| value(i, d) + if class(i) == d { offset } else { 0.0 })
                .collect()
        };
        let names = (0..count).map(|i| ["a", "b", "c"][class(i)].to_owned());
        ((0..count).map(vector).collect(), names.collect())
    }

    #[test]
    fn probe_separates_what_can_be_separated() {
        let (fitted, names) = cloud(60, 2.0, 1);
        let probe = Probe::fit(&fitted, &names).unwrap();
        let (others, names) = cloud(300, 2.0, 2);
        assert_eq!(probe.accuracy(&others, &names), 100.0);
    }

    #[test]
    fn probe_of_noise_is_at_chance() {
        let (fitted, names) = cloud(300, 0.0, 3);
        let probe = Probe::fit(&fitted, &names).unwrap();
        let (others, names) = cloud(900, 0.0, 4);
        let accuracy = probe.accuracy(&others, &names);
        assert!((25.0..42.0).contains(&accuracy), "{accuracy}");
        // One class is no question.
        assert!(Probe::fit(&fitted, &vec!["a".to_owned(); 300]).is_none());
    }
}
