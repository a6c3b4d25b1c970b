//! Classification, with the log-softmax fused.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::host::{read, slice};

use super::softmax::{TASK, exponentials, ln};
use super::{Saved, like, output, with_float};
use crate::real::{Real, sum, vectorized};

/// Cross entropy between a label, smoothed or not, and the softmax of the last dimension.
///
/// # Equation
///
/// ```text
/// L = −Σ_v q_v ln softmax(x)_v,  q_v = (1 − ε) [v = y] + ε / V        ∂L/∂x_v = softmax(x)_v − q_v
/// ```
///
/// # Shapes
///
/// * `logits`: `[.., V]`.
/// * `targets`: one for each row of V; a row without one (padding) is never read, has loss 0 and gradient 0.
/// * returns `[..]`, nats. Not reduced.
///
/// # Errors
///
/// If there is not one target for each row, a target is not below V (the row is named), or ε is outside 0..1.
///
/// # Source
///
/// Szegedy et al. 2016, *Rethinking the Inception architecture*, arXiv:1512.00567, section 7 (label smoothing).
///
/// # Proved by
///
/// `cross_entropy_equals_plain_composition`, `cross_entropy_gradient_equals_differences`,
/// `cross_entropy_ignores_rows_without_target`.
pub fn cross_entropy(logits: &Tensor, targets: &[Option<u32>], smoothing: f64) -> Result<Tensor> {
    let (rows, width) = match logits.dims().split_last() {
        Some((&width, rest)) if width > 0 => (rest.iter().product::<usize>(), width),
        _ => bail!("cross entropy: expected [.., V > 0], got {:?}", logits.dims()),
    };
    if targets.len() != rows {
        bail!(
            "cross entropy: expected {rows} targets for {:?}, got {}",
            logits.dims(),
            targets.len()
        );
    }
    if let Some((row, Some(target))) = targets
        .iter()
        .enumerate()
        .find(|(_, target)| target.is_some_and(|target| target as usize >= width))
    {
        bail!("cross entropy: expected targets below {width}, got {target} in row {row}");
    }
    if !(0.0..1.0).contains(&smoothing) {
        bail!("cross entropy: expected a smoothing in 0..1, got {smoothing}");
    }
    let targets = targets.to_vec();
    let logits = logits.contiguous()?;
    with_float!(logits.dtype(), T => {
        logits.apply_op1(CrossEntropy::<T> { targets, smoothing, norms: Saved::new() })
    })
}

struct CrossEntropy<T> {
    targets: Vec<Option<u32>>,
    smoothing: f64,
    /// (maximum, 1 / Σ e^{x − maximum}) of each row.
    norms: Saved<Vec<(T, T)>>,
}

impl<T: Real> CrossEntropy<T> {
    /// The loss and the norm of a row; `room` has its width.
    #[inline(always)]
    fn row(&self, x: &[T], target: u32, room: &mut [T], fused: bool) -> (T, (T, T)) {
        let (top, total) = exponentials(x, room, fused);
        // Σ q (top − x) + ln total, where every term is small beside what it is the loss of.
        let hit = top - x[target as usize];
        let share = T::of(self.smoothing);
        let mut loss = ln(total) + (T::ONE - share) * hit;
        if self.smoothing > 0.0 {
            for (room, &x) in room.iter_mut().zip(x) {
                *room = top - x;
            }
            loss += share / T::of(x.len() as f64) * sum(room);
        }
        (loss, (top, T::ONE / total))
    }

    fn backward(&self, x: &[T], g: &[T]) -> Vec<T> {
        let norms = self.norms.lock();
        let mut dx = vec![T::ZERO; x.len()];
        let width = x.len() / g.len().max(1);
        if width == 0 {
            return dx;
        }
        let (miss, hit) = (T::of(self.smoothing / width as f64), T::of(1.0 - self.smoothing));
        let rows = dx.par_chunks_mut(width).zip(x.par_chunks(width)).enumerate();
        rows.with_min_len((TASK / width).max(1))
            .for_each(|(row, (dx, x))| {
                let Some(target) = self.targets[row] else { return };
                let ((top, inverse), g) = (norms[row], g[row]);
                vectorized(
                    #[inline(always)]
                    |fused| {
                        for (dx, &x) in dx.iter_mut().zip(x) {
                            *dx = g * ((x - top).exp(fused) * inverse - miss);
                        }
                    },
                );
                dx[target as usize] -= g * hit;
            });
        dx
    }
}

impl<T: Real> CustomOp1 for CrossEntropy<T> {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice::<T>(s, l)?;
        let (dims, width) = (l.dims(), l.dims()[l.dims().len() - 1]);
        let rows = x.par_chunks(width).zip(&self.targets);
        let room = || vec![T::ZERO; width];
        let found =
            rows.with_min_len((TASK / width).max(1))
                .map_init(room, |room, (x, &target)| match target {
                    Some(target) => vectorized(
                        #[inline(always)]
                        |fused| self.row(x, target, room, fused),
                    ),
                    None => (T::ZERO, (T::ZERO, T::ZERO)),
                });
        let (losses, norms): (Vec<T>, Vec<(T, T)>) = found.unzip();
        *self.norms.lock() = norms;
        output(losses, &dims[..dims.len() - 1])
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let dx = read::<T, _>(x, |x| read::<T, _>(g, |g| self.backward(x, g)))??;
        like(dx, x)
    }
}
