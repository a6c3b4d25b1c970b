//! Multi-head self-attention with relative positions.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::Lengths;
use sandhi_core::host::{read, slice};

use super::{Saved, common_dtype, like, output, with_float};
use crate::matmul::{Matrix, Packed, Plain, multiply, product};
use crate::real::{Real, dot, sum, vectorized};
use crate::sums::sum_in_order;

/// The attention core on packed queries, keys and values.
///
/// # Equation
///
/// For each head of width d, over the valid frames i, j of an utterance:
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
/// If the shapes or dtypes disagree, or D is not a multiple of `heads`.
///
/// # Source
///
/// Dai et al. 2019, *Transformer-XL*, arXiv:1901.02860, section 3.3.
///
/// # Proved by
///
/// `attention_equals_plain_composition`, `attention_gradient_equals_differences`, `attention_ignores_padding`.
pub fn attention(
    qkv: &Tensor,
    positions: &Tensor,
    biases: &Tensor,
    heads: usize,
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
    let dtype = common_dtype("attention", &[qkv, positions, biases])?;
    let (qkv, positions) = (qkv.contiguous()?, positions.contiguous()?);
    with_float!(dtype, T => {
        let op = Attention::<T> { heads, lengths: lengths.clone(), weights: Saved::new() };
        qkv.apply_op3(&positions, biases, op)
    })
}

struct Attention<T> {
    heads: usize,
    lengths: Lengths,
    /// softmax(s) of each utterance, `[heads, n, n]` for its n valid frames.
    weights: Saved<Vec<Vec<T>>>,
}

/// One utterance's share of the arguments.
pub(crate) struct Utterance<'a, T> {
    pub(crate) qkv: &'a [T],
    pub(crate) positions: &'a [T],
    pub(crate) biases: &'a [T],
    /// Valid frames.
    pub(crate) n: usize,
    /// The frames that `positions` were made for.
    pub(crate) t: usize,
    /// D.
    pub(crate) d: usize,
    /// The width of a head.
    pub(crate) width: usize,
}

impl<'a, T: Real> Utterance<'a, T> {
    fn scale(&self) -> T {
        T::ONE / T::of(self.width as f64).sqrt()
    }

    /// (q + bias) / √d for one head, `[n, width]`; `which` chooses u or v.
    fn query(&self, head: usize, which: usize) -> Vec<T> {
        let bias = &self.biases[which * self.d + head * self.width..][..self.width];
        let scale = self.scale();
        let mut query = vec![T::ZERO; self.n * self.width];
        let rows = self.qkv.chunks_exact(3 * self.d);
        for (to, row) in query.chunks_exact_mut(self.width).zip(rows) {
            for ((to, &q), &b) in to.iter_mut().zip(&row[head * self.width..]).zip(bias) {
                *to = (q + b) * scale;
            }
        }
        query
    }

    /// Keys (1) or values (2) of one head.
    fn view(&self, which: usize, head: usize) -> Matrix<'a, T> {
        Matrix::strided(
            &self.qkv[which * self.d + head * self.width..],
            self.n,
            self.width,
            3 * self.d,
        )
    }

    /// The position vectors for offsets −(n−1) .. n−1.
    fn window(&self, head: usize) -> Matrix<'a, T> {
        let start = (self.t - self.n) * self.d + head * self.width;
        Matrix::strided(&self.positions[start..], 2 * self.n - 1, self.width, self.d)
    }

    /// Fills `y`; returns softmax(s), `[heads, n, n]`.
    pub(crate) fn forward(&self, heads: usize, y: &mut [T]) -> Vec<T> {
        let n = self.n;
        let mut weights = vec![T::ZERO; heads * n * n];
        let mut by_offset = vec![T::ZERO; n * (2 * n - 1)];
        let mut room = Packed::room();
        for (head, s) in weights.chunks_exact_mut(n * n).enumerate() {
            let (content, position) = (self.query(head, 0), self.query(head, 1));
            let rows = Matrix::new(&content, n, self.width);
            product(s, n, false, rows, self.view(1, head).t(), &mut room);
            let rows = Matrix::new(&position, n, self.width);
            product(
                &mut by_offset,
                2 * n - 1,
                false,
                rows,
                self.window(head).t(),
                &mut room,
            );
            vectorized(
                #[inline(always)]
                |fused| {
                    for (i, (s, r)) in s
                        .chunks_exact_mut(n)
                        .zip(by_offset.chunks_exact(2 * n - 1))
                        .enumerate()
                    {
                        softmax(s, &r[n - 1 - i..], fused);
                    }
                },
            );
            let (s, to) = (Matrix::new(s, n, n), &mut y[head * self.width..]);
            product(to, self.d, false, s, self.view(2, head), &mut room);
        }
        weights
    }

    /// Fills `dqkv`; adds to `shared` the gradients of positions and biases, `[2T−1, D]` and `[2, D]` one after the other.
    pub(crate) fn backward(&self, weights: &[T], dy: &[T], dqkv: &mut [T], shared: &mut [T]) {
        let (n, d, width) = (self.n, self.d, self.width);
        let (dpositions, dbiases) = shared.split_at_mut((2 * self.t - 1) * d);
        let (mut ds, mut by_offset) = (vec![T::ZERO; n * n], vec![T::ZERO; n * (2 * n - 1)]);
        let (mut dcontent, mut dposition) = (vec![T::ZERO; n * width], vec![T::ZERO; n * width]);
        let mut room = Packed::room();
        for (head, p) in weights.chunks_exact(n * n).enumerate() {
            let at = head * width;
            let dy = Matrix::strided(&dy[at..], n, width, d);
            let weights = Matrix::new(p, n, n);
            product(&mut dqkv[2 * d + at..], 3 * d, false, weights.t(), dy, &mut room);
            product(&mut ds, n, false, dy, self.view(2, head).t(), &mut room);
            by_offset.fill(T::ZERO);
            vectorized(
                #[inline(always)]
                |fused| {
                    let rows = ds.chunks_exact_mut(n).zip(p.chunks_exact(n));
                    for (i, ((ds, p), r)) in rows.zip(by_offset.chunks_exact_mut(2 * n - 1)).enumerate() {
                        let mean = dot(ds, p, fused);
                        for (ds, &p) in ds.iter_mut().zip(p) {
                            *ds = (*ds - mean) * p;
                        }
                        r[n - 1 - i..][..n].copy_from_slice(ds);
                    }
                },
            );
            let (content, position) = (self.query(head, 0), self.query(head, 1));
            let (ds, r) = (Matrix::new(&ds, n, n), Matrix::new(&by_offset, n, 2 * n - 1));
            let (content, position) = (Matrix::new(&content, n, width), Matrix::new(&position, n, width));
            product(&mut dqkv[d + at..], 3 * d, false, ds.t(), content, &mut room);
            let window = &mut dpositions[(self.t - n) * d + at..];
            product(window, d, true, r.t(), position, &mut room);
            room.pack(self.view(1, head));
            multiply(&mut dcontent, width, false, ds, &room, self.scale(), Plain);
            room.pack(self.window(head));
            multiply(&mut dposition, width, false, r, &room, self.scale(), Plain);
            for (i, (c, q)) in dcontent
                .chunks_exact(width)
                .zip(dposition.chunks_exact(width))
                .enumerate()
            {
                for k in 0..width {
                    dqkv[i * 3 * d + at + k] = c[k] + q[k];
                    dbiases[at + k] += c[k];
                    dbiases[d + at + k] += q[k];
                }
            }
        }
    }
}

/// s ← softmax(s + r).
#[inline(always)]
fn softmax<T: Real>(s: &mut [T], r: &[T], fused: bool) {
    let mut top = T::LOWEST;
    for (s, &r) in s.iter_mut().zip(r) {
        *s += r;
        top = top.larger(*s);
    }
    for s in s.iter_mut() {
        *s = (*s - top).exp(fused);
    }
    let inverse = T::ONE / sum(s);
    for s in s.iter_mut() {
        *s *= inverse;
    }
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
                    self.utterance(b, t, d, (qkv, positions, biases))
                        .backward(weights, g, dqkv, &mut shared);
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
