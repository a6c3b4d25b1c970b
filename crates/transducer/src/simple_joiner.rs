//! The simple joiner: logits that are a sum need no logits at all.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result as TensorResult, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::{ArcScores, Error, Labels, Lengths, Result, host};

use crate::arc_scores::{Nodes, wrong_dtype};
use crate::product::{Matrix, add_product};
use crate::real::Real;
use crate::{Normalize, Scoring};

/// Arc scores of the joiner `speech + predicted`, whose normalizer is a matrix product.
///
/// Too weak a model to train alone, but its posteriors say where the alignment runs: the first half of a pruned RNN-T, see
/// [`pruning_bounds`](crate::pruning_bounds).
///
/// # Equation
///
/// ```text
/// x(t,u,v) = speech(t,v) + predicted(u,v)
/// ln Σ_v e^{x(t,u,v)} = m(t) + n(u) + ln Σ_v e^{speech(t,v) − m(t)} e^{predicted(u,v) − n(u)}
/// ```
///
/// with m and n the largest of their rows. The product is taken in f64: two sides that peak at different labels do not
/// underflow until they are 700 nats apart.
///
/// # Shapes
///
/// * `speech`: `[B, T, V]`, `predicted`: `[B, U+1, V]`, f32 or f64.
/// * returns `[B, T, U+1, 2]`, nats. Padding is neither read nor written. Memory O(B T U + threads · (T + U) V).
///
/// # Errors
///
/// As [`joiner_arc_scores`](crate::joiner_arc_scores).
///
/// # Source
///
/// Kuang et al. 2022, "Pruned RNN-T for fast, memory-efficient ASR training", arXiv:2206.13236.
///
/// # Proved by
///
/// `simple_joiner_equals_the_log_softmax_of_the_sum`, `simple_joiner_gradient_equals_differences`,
/// `simple_joiner_ignores_padding`.
pub fn simple_arc_scores(
    speech: &Tensor,
    predicted: &Tensor,
    labels: &Labels,
    frames: &Lengths,
) -> Result<ArcScores> {
    let shape = |what, expected: &str, tensor: &Tensor| Error::Shape {
        what,
        expected: expected.into(),
        got: tensor.dims().to_vec(),
    };
    let (batch, num_frames, vocabulary) = speech.dims3().map_err(|_| shape("speech", "[B, T, V]", speech))?;
    let columns = match *predicted.dims() {
        [b, columns, v] if (b, v) == (batch, vocabulary) && predicted.dtype() == speech.dtype() => columns,
        _ => {
            let expected = format!("[{batch}, U+1, {vocabulary}] {:?}", speech.dtype());
            return Err(shape("predicted", &expected, predicted));
        }
    };
    let extents = (batch, num_frames, columns, vocabulary);
    let nodes = Nodes::new(labels, frames, Scoring::from(Normalize::Softmax), extents)?;
    let (speech, predicted) = (speech.contiguous()?, predicted.contiguous()?);
    let scores = match speech.dtype() {
        DType::F32 => speech.apply_op2(&predicted, SimpleJoiner::<f32>::new(nodes, extents))?,
        DType::F64 => speech.apply_op2(&predicted, SimpleJoiner::<f64>::new(nodes, extents))?,
        other => return Err(wrong_dtype("speech", other)),
    };
    ArcScores::from_nodes(scores, frames.clone(), labels.lengths().clone())
}

struct SimpleJoiner<F> {
    nodes: Nodes,
    /// B, T, U+1, V.
    extents: (usize, usize, usize, usize),
    /// Σ e^{speech − m} e^{predicted − n} of every utterance, `[T_b, U_b+1]`.
    sums: OnceLock<Vec<Vec<f64>>>,
    dtype: std::marker::PhantomData<F>,
}

/// `e^{x − max}` of every row, and the maxima.
struct Exponentials {
    values: Vec<f64>,
    max: Vec<f64>,
}

impl Exponentials {
    fn new<F: Real>(rows: &[F], width: usize) -> Self {
        let row = |row: &[F]| row.iter().fold(f64::NEG_INFINITY, |max, x| max.max(x.to_f64()));
        let max: Vec<f64> = rows.chunks_exact(width).map(row).collect();
        let values = rows.chunks_exact(width).zip(&max);
        let values = values.flat_map(|(row, max)| row.iter().map(move |x| (x.to_f64() - max).exp()));
        Self {
            values: values.collect(),
            max,
        }
    }
}

impl<F: Real> SimpleJoiner<F> {
    fn new(nodes: Nodes, extents: (usize, usize, usize, usize)) -> Self {
        Self {
            nodes,
            extents,
            sums: OnceLock::new(),
            dtype: std::marker::PhantomData,
        }
    }

    /// The valid rows of both sides of utterance `b`.
    fn sides<'a>(&self, b: usize, speech: &'a [F], predicted: &'a [F]) -> (&'a [F], &'a [F]) {
        let (_, num_frames, columns, vocabulary) = self.extents;
        (
            &speech[b * num_frames * vocabulary..][..self.nodes.frames.get(b) * vocabulary],
            &predicted[b * columns * vocabulary..][..(self.nodes.num_labels(b) + 1) * vocabulary],
        )
    }

    /// Fills the scores of one utterance, `[T, U+1, 2]`, and returns the sums.
    fn forward(&self, b: usize, speech: &[F], predicted: &[F], scores: &mut [F]) -> Vec<f64> {
        let (_, _, columns, vocabulary) = self.extents;
        let (speech, predicted) = self.sides(b, speech, predicted);
        let (frames, own) = (speech.len() / vocabulary, predicted.len() / vocabulary);
        let (left, right) = (
            Exponentials::new(speech, vocabulary),
            Exponentials::new(predicted, vocabulary),
        );
        let mut sums = vec![0.0; frames * own];
        add_product(
            &mut sums,
            Matrix::new(&left.values, frames, vocabulary),
            Matrix::new(&right.values, own, vocabulary).t(),
        );
        for t in 0..frames {
            for u in 0..own {
                let log_sum = sums[t * own + u].ln();
                let score = |v: usize| {
                    let x = speech[t * vocabulary + v].to_f64() - left.max[t];
                    let y = predicted[u * vocabulary + v].to_f64() - right.max[u];
                    F::from_f64(x + y - log_sum)
                };
                let at = 2 * (t * columns + u);
                scores[at] = score(self.nodes.blank());
                scores[at + 1] = self.nodes.label(b, u).map_or(F::default(), score);
            }
        }
        sums
    }

    /// The gradients of one utterance's sides, padded.
    ///
    /// ```text
    /// ∂/∂speech(t,v) = Σ_u g_blank [v = blank] + g_label [v = y_u] − e^{speech(t,v) − m(t)} Σ_u G(t,u) e^{predicted(u,v) − n(u)}
    /// ```
    ///
    /// with `G = (g_blank + g_label) / sum`; the predictor's side likewise.
    fn backward(
        &self,
        b: usize,
        (speech, predicted): (&[F], &[F]),
        sums: &[f64],
        slopes: &[F],
    ) -> [Vec<F>; 2] {
        let (_, num_frames, columns, vocabulary) = self.extents;
        let (speech, predicted) = self.sides(b, speech, predicted);
        let (frames, own) = (speech.len() / vocabulary, predicted.len() / vocabulary);
        let (left, right) = (
            Exponentials::new(speech, vocabulary),
            Exponentials::new(predicted, vocabulary),
        );
        let slope = |t: usize, u: usize| {
            let at = 2 * (t * columns + u);
            let label = self.nodes.label(b, u).map_or(0.0, |_| slopes[at + 1].to_f64());
            (slopes[at].to_f64(), label)
        };
        let places = || (0..frames).flat_map(|t| (0..own).map(move |u| (t, u)));
        let weights: Vec<f64> = places()
            .zip(sums)
            .map(|((t, u), sum)| {
                let (blank, label) = slope(t, u);
                -(blank + label) / sum
            })
            .collect();
        let weights = Matrix::new(&weights, frames, own);
        let mut by_speech = vec![0.0; frames * vocabulary];
        let mut by_predicted = vec![0.0; own * vocabulary];
        add_product(
            &mut by_speech,
            weights,
            Matrix::new(&right.values, own, vocabulary),
        );
        add_product(
            &mut by_predicted,
            weights.t(),
            Matrix::new(&left.values, frames, vocabulary),
        );
        for (slope, e) in by_speech.iter_mut().zip(&left.values) {
            *slope *= e;
        }
        for (slope, e) in by_predicted.iter_mut().zip(&right.values) {
            *slope *= e;
        }
        for (t, u) in places() {
            let (blank, label) = slope(t, u);
            let arcs = [(Some(self.nodes.blank()), blank), (self.nodes.label(b, u), label)];
            for (symbol, slope) in arcs {
                if let Some(v) = symbol {
                    by_speech[t * vocabulary + v] += slope;
                    by_predicted[u * vocabulary + v] += slope;
                }
            }
        }
        let padded = |values: Vec<f64>, rows: usize| {
            let mut values: Vec<F> = values.into_iter().map(F::from_f64).collect();
            values.resize(rows * vocabulary, F::default());
            values
        };
        [padded(by_speech, num_frames), padded(by_predicted, columns)]
    }
}

impl<F: Real> CustomOp2 for SimpleJoiner<F> {
    fn name(&self) -> &'static str {
        "simple-joiner"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> TensorResult<(CpuStorage, Shape)> {
        let (speech, predicted): (&[F], &[F]) = (host::slice(s1, l1)?, host::slice(s2, l2)?);
        let (batch, num_frames, columns, _) = self.extents;
        let mut scores = vec![F::default(); 2 * batch * num_frames * columns];
        let each = scores
            .par_chunks_mut((2 * num_frames * columns).max(1))
            .enumerate();
        let sums = each.map(|(b, scores)| self.forward(b, speech, predicted, scores));
        let _ = self.sums.set(sums.collect());
        Ok((
            F::to_cpu_storage_owned(scores),
            (batch, num_frames, columns, 2).into(),
        ))
    }

    fn bwd(
        &self,
        speech: &Tensor,
        predicted: &Tensor,
        _: &Tensor,
        grad_res: &Tensor,
    ) -> TensorResult<(Option<Tensor>, Option<Tensor>)> {
        let Some(sums) = self.sums.get() else {
            bail!("simple-joiner: backward before forward")
        };
        let (_, num_frames, columns, _) = self.extents;
        let found: Vec<[Vec<F>; 2]> = host::read(speech, |s: &[F]| {
            host::read(predicted, |p: &[F]| {
                host::read(grad_res, |g: &[F]| {
                    let slopes = g
                        .par_chunks((2 * num_frames * columns).max(1))
                        .zip(sums)
                        .enumerate();
                    let each = slopes.map(|(b, (slopes, sums))| self.backward(b, (s, p), sums, slopes));
                    each.collect()
                })
            })
        })???;
        let gradient = |which: usize, like: &Tensor| {
            let values: Vec<F> = found.iter().flat_map(|sides| &sides[which]).copied().collect();
            Tensor::from_vec(values, like.shape().clone(), like.device())
        };
        Ok((Some(gradient(0, speech)?), Some(gradient(1, predicted)?)))
    }
}
