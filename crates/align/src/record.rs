//! The custom operation of the recursions: a value per utterance whose gradient was found with it.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result as TensorResult, Shape, Tensor, WithDType};
use sandhi_core::{Lengths, Result};

use crate::grid::{self, Grid};

/// What a recursion finds of one utterance: its loss, and the gradient of its costs, `[T, U]` without padding.
pub(crate) struct Found {
    pub(crate) value: f64,
    /// Empty if nobody asked for it.
    pub(crate) gradient: Vec<f64>,
}

/// `[B]`: what `f` finds of every utterance, as one differentiable operation on the costs.
///
/// `f` is told whether a gradient is wanted. The padding's gradient is zero.
pub(crate) fn record(
    cost: &Tensor,
    frames: &Lengths,
    labels: &Lengths,
    f: impl Fn(&Grid<'_>, bool) -> Result<Found> + Sync,
) -> Result<Tensor> {
    let cost = cost.contiguous()?;
    let wanted = cost.track_op();
    let found = grid::each(&cost, frames, labels, |grid| f(grid, wanted))?;
    let gradient = match wanted {
        true => Some(padded(
            &cost,
            labels,
            found.iter().map(|found| &found.gradient[..]),
        )?),
        false => None,
    };
    let values = found.iter().map(|found| found.value).collect();
    Ok(cost.apply_op1(Recorded { values, gradient })?)
}

/// Grids `[T, U]` without padding, one of each utterance, in the shape and the type of the costs; the padding is zero.
pub(crate) fn padded<'a>(
    cost: &Tensor,
    labels: &Lengths,
    grids: impl Iterator<Item = &'a [f64]>,
) -> TensorResult<Tensor> {
    fn place<'a, F: WithDType>(
        cost: &Tensor,
        labels: &Lengths,
        grids: impl Iterator<Item = &'a [f64]>,
    ) -> TensorResult<Tensor> {
        let (_, num_frames, num_labels) = cost.dims3()?;
        let mut all = vec![F::zero(); cost.elem_count()];
        for (b, grid) in grids.enumerate() {
            let rows = all[b * num_frames * num_labels..].chunks_mut(num_labels.max(1));
            for (row, values) in rows.zip(grid.chunks(labels.get(b).max(1))) {
                for (row, &value) in row.iter_mut().zip(values) {
                    *row = F::from_f64(value);
                }
            }
        }
        Tensor::from_vec(all, cost.shape(), cost.device())
    }
    match cost.dtype() {
        DType::F32 => place::<f32>(cost, labels, grids),
        _ => place::<f64>(cost, labels, grids),
    }
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
        let weights = grad_res.reshape((self.values.len(), 1, 1))?;
        self.gradient
            .as_ref()
            .map(|gradient| gradient.broadcast_mul(&weights))
            .transpose()
    }
}

/// The values in the type of what they were computed from.
pub(crate) fn vector(values: &[f64], like: &CpuStorage) -> CpuStorage {
    match like {
        CpuStorage::F32(_) => CpuStorage::F32(values.iter().map(|&value| value as f32).collect()),
        _ => CpuStorage::F64(values.to_vec()),
    }
}
