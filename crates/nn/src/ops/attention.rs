//! Multi-head self-attention with relative positions.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::Lengths;
use sandhi_core::host::{read, slice};

use super::attention_core::Utterance;
use super::{AttentionContext, Saved, common_dtype, like, output, with_float};
use crate::real::Real;
use crate::sums::sum_in_order;

/// The attention core on packed queries, keys and values.
///
/// # Equation
///
/// For each head of width d, over the valid frames i of an utterance and the frames j that [`AttentionContext`] lets i see:
///
/// ```text
/// s(i, j) = ((q_i + u)·k_j + (q_i + v)·r_{j−i}) / √d
/// y_i     = Σ_j softmax_j(s(i, j)) v_j
/// ```
///
/// # Shapes
///
/// * `qkv`: `[B, T, 3D]`, queries, keys and values side by side, heads side by side within each.
/// * `positions`: `[2T−1, D]`; row m holds r for offset j − i = m − (T − 1).
/// * `biases`: `[2, D]`, the rows u and v.
/// * returns `[B, T, D]`; zeros in the padding, which is never read.
///
/// # Errors
///
/// If the shapes or dtypes disagree, D is not a multiple of `heads`, or chunks have no frames.
///
/// # Source
///
/// Dai et al. 2019, *Transformer-XL*, arXiv:1901.02860, section 3.3.
///
/// # Proved by
///
/// `attention_equals_plain_composition`, `attention_gradient_equals_differences`, `attention_ignores_padding`,
/// `attention_does_not_depend_on_what_it_may_not_see`.
pub fn attention(
    qkv: &Tensor,
    positions: &Tensor,
    biases: &Tensor,
    heads: usize,
    context: AttentionContext,
    lengths: &Lengths,
) -> Result<Tensor> {
    let (b, t, d3) = qkv.dims3()?;
    let d = d3 / 3;
    if heads == 0 || d3 % (3 * heads) != 0 || positions.dims() != [2 * t - 1, d] || biases.dims() != [2, d] {
        bail!(
            "attention with {heads} heads: expected qkv [B, T, 3D], positions [2T-1, D], biases [2, D], got {:?}, {:?}, {:?}",
            qkv.dims(),
            positions.dims(),
            biases.dims()
        );
    }
    if lengths.len() != b || lengths.max() > t {
        bail!(
            "attention: expected {b} lengths of at most {t}, got {:?}",
            lengths.as_slice()
        );
    }
    context.check()?;
    let dtype = common_dtype("attention", &[qkv, positions, biases])?;
    let (qkv, positions) = (qkv.contiguous()?, positions.contiguous()?);
    with_float!(dtype, T => {
        let op = Attention::<T> { heads, context, lengths: lengths.clone(), weights: Saved::new() };
        qkv.apply_op3(&positions, biases, op)
    })
}

struct Attention<T> {
    heads: usize,
    context: AttentionContext,
    lengths: Lengths,
    /// softmax(s) of each utterance, as [`Utterance::forward`] returns it.
    weights: Saved<Vec<Vec<T>>>,
}

impl<T: Real> Attention<T> {
    fn utterance<'a>(
        &self,
        b: usize,
        t: usize,
        d: usize,
        args: (&'a [T], &'a [T], &'a [T]),
    ) -> Utterance<'a, T> {
        let (qkv, positions, biases) = args;
        let qkv = &qkv[b * t * 3 * d..][..t * 3 * d];
        Utterance {
            qkv,
            positions,
            biases,
            n: self.lengths.get(b),
            t,
            d,
            width: d / self.heads,
            context: self.context,
        }
    }
}

impl<T: Real> CustomOp3 for Attention<T> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let args = (slice::<T>(s1, l1)?, slice::<T>(s2, l2)?, slice::<T>(s3, l3)?);
        let (b, t, d3) = l1.shape().dims3()?;
        let d = d3 / 3;
        let mut y = vec![T::ZERO; b * t * d];
        let rows = y.par_chunks_mut(t * d).enumerate();
        let weights = rows.map(|(b, y)| match self.lengths.get(b) {
            0 => Vec::new(),
            _ => self.utterance(b, t, d, args).forward(self.heads, y),
        });
        *self.weights.lock() = weights.collect();
        output(y, (b, t, d))
    }

    fn bwd(
        &self,
        qkv: &Tensor,
        positions: &Tensor,
        biases: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, t, d3) = qkv.dims3()?;
        let d = d3 / 3;
        let weights = self.weights.lock();
        let compute = |qkv: &[T], positions: &[T], biases: &[T], g: &[T]| {
            let mut dqkv = vec![T::ZERO; qkv.len()];
            let rows = dqkv
                .par_chunks_mut(t * d3)
                .zip(g.par_chunks(t * d))
                .zip(weights.par_iter())
                .enumerate();
            let shared = rows
                .filter(|(b, _)| self.lengths.get(*b) > 0)
                .map(|(b, ((dqkv, g), weights))| {
                    let mut shared = vec![T::ZERO; (2 * t + 1) * d];
                    self.utterance(b, t, d, (qkv, positions, biases)).backward(
                        self.heads,
                        weights,
                        g,
                        dqkv,
                        &mut shared,
                    );
                    shared
                });
            let shared: Vec<Vec<T>> = shared.collect();
            (dqkv, sum_in_order(shared, (2 * t + 1) * d))
        };
        let (dqkv, shared) = read::<T, _>(qkv, |q| {
            read::<T, _>(positions, |p| {
                read::<T, _>(biases, |u| read::<T, _>(g, |g| compute(q, p, u, g)))
            })
        })????;
        let (dpositions, dbiases) = shared.split_at((2 * t - 1) * d);
        Ok((
            like(dqkv, qkv)?,
            like(dpositions.to_vec(), positions)?,
            like(dbiases.to_vec(), biases)?,
        ))
    }
}
