//! Picking cells of a cost grid, differentiably, without touching the others.

use candle_core::Tensor;
use sandhi_core::Result;

/// `[B]`: for each utterance the sum of the picked cells of `cost` `[B, T, U]`.
///
/// The gradient is 1 at the picked cells and 0 elsewhere. Cells are gathered, not multiplied by a mask, so that NaN in the
/// padding cannot leak.
pub(crate) fn sum_of_cells(cost: &Tensor, cells: &[Vec<(usize, usize)>]) -> Result<Tensor> {
    let (batch, num_frames, num_labels) = cost.dims3()?;
    let device = cost.device();
    let mut picked = Vec::new();
    let mut utterance = Vec::new();
    for (b, cells) in cells.iter().enumerate() {
        for &(t, u) in cells {
            picked.push(((b * num_frames + t) * num_labels + u) as u32);
            utterance.push(b as u32);
        }
    }
    let zeros = Tensor::zeros(batch, cost.dtype(), device)?;
    if picked.is_empty() {
        return Ok(zeros);
    }
    let count = picked.len();
    let values = cost
        .contiguous()?
        .flatten_all()?
        .index_select(&Tensor::from_vec(picked, count, device)?, 0)?;
    Ok(zeros.index_add(&Tensor::from_vec(utterance, count, device)?, &values, 0)?)
}
