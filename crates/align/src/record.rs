//! The custom operation of the recursions: a value per utterance whose gradient was found with it.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result as TensorResult, Shape, Tensor, WithDType};
use rayon::prelude::*;
use sandhi_core::{Lengths, Result, host};

use crate::filled::{GridMut, fill};
use crate::grid::{Grid, each};

/// `[B]`: the losses that `f` finds of the utterances, as one differentiable operation on the costs.
///
/// If a gradient is wanted, `f` is given the grid to write it into. The padding's gradient is zero.
pub(crate) fn record(
    cost: &Tensor,
    frames: &Lengths,
    labels: &Lengths,
    f: impl Fn(&Grid<'_>, Option<&mut GridMut<'_>>) -> Result<f64> + Sync,
) -> Result<Tensor> {
    let cost = cost.contiguous()?;
    let (values, gradient) = if cost.track_op() {
        let (values, gradient) = fill(&cost, frames, labels, |grid, gradient| f(grid, Some(gradient)))?;
        (values, Some(gradient))
    } else {
        (each(&cost, frames, labels, |grid| f(grid, None))?, None)
    };
    Ok(cost.apply_op1(Recorded { values, gradient })?)
}

/// Values and their gradient, both known when the operation is recorded, so that errors carry the utterance.
struct Recorded {
    values: Vec<f64>,
    gradient: Option<Tensor>,
}

impl CustomOp1 for Recorded {
    fn name(&self) -> &'static str {
        "alignment"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, _: &Layout) -> TensorResult<(CpuStorage, Shape)> {
        Ok((vector(&self.values, storage), self.values.len().into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad_res: &Tensor) -> TensorResult<Option<Tensor>> {
        let weighted = |gradient: &Tensor| match gradient.dtype() {
            DType::F32 => weighted::<f32>(gradient, grad_res),
            _ => weighted::<f64>(gradient, grad_res),
        };
        self.gradient.as_ref().map(weighted).transpose()
    }
}

/// Cells that are worth another thread.
const WORTH_A_THREAD: usize = 1 << 16;

/// The gradient of each utterance, `[B, T, U]`, times its weight, `[B]`.
fn weighted<F: WithDType>(gradient: &Tensor, weights: &Tensor) -> TensorResult<Tensor> {
    // Losses that are added up weigh one, and gradients may be large.
    if host::read(weights, |weights: &[F]| {
        weights.iter().all(|&weight| weight == F::one())
    })? {
        return Ok(gradient.clone());
    }
    let (_, num_frames, num_labels) = gradient.dims3()?;
    let mut all = vec![F::zero(); gradient.elem_count()];
    let row = num_labels.max(1);
    host::read(weights, |weights: &[F]| {
        host::read(gradient, |gradient: &[F]| {
            let rows = all.par_chunks_mut(row).zip(gradient.par_chunks(row)).enumerate();
            rows.with_min_len(WORTH_A_THREAD.div_ceil(row))
                .for_each(|(i, (row, gradient))| {
                    let weight = weights[i / num_frames];
                    for (weighted, &slope) in row.iter_mut().zip(gradient) {
                        *weighted = slope * weight;
                    }
                });
        })
    })??;
    Tensor::from_vec(all, gradient.shape(), gradient.device())
}

/// The values in the type of what they were computed from.
pub(crate) fn vector(values: &[f64], like: &CpuStorage) -> CpuStorage {
    match like {
        CpuStorage::F32(_) => CpuStorage::F32(values.iter().map(|&value| value as f32).collect()),
        _ => CpuStorage::F64(values.to_vec()),
    }
}
