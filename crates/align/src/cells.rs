//! What a given alignment costs.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result as TensorResult, Shape, Tensor, WithDType};
use sandhi_core::{Consistency, Distance, Error, Lengths, Pair, Result, host, pairwise};

use crate::grid::{self, Grid};
use crate::record::vector;

/// The cost of an alignment that is given: the sum of its cells.
///
/// The alignment may come from anywhere, a forced aligner or a file, and need not be monotone. A cell that is listed
/// twice counts twice; an utterance without cells costs 0.
///
/// # Equation
///
/// ```text
/// L(b) = Σ_{(t, u) ∈ cells(b)} cost(b, t, u)
/// ```
///
/// # Shapes
///
/// * `cost`: `[B, T, U]`, f32 or f64; may be negative. Padding is not read and gets gradient 0.
/// * `frames`, `labels`: one length per utterance.
/// * `cells`: for each utterance any number of `(frame, label)`.
/// * returns `[B]`, in the unit of the cost, summed over the cells. Not reduced.
///
/// # Errors
///
/// [`Error::Invalid`] naming the first cell that lies outside its utterance; [`Error::BatchSize`] unless there is one
/// list of cells per utterance; [`Error::Shape`], [`Error::BatchSize`], [`Error::Length`] or [`Error::Invalid`] for costs
/// or lengths that do not fit.
///
/// # Proved by
///
/// `alignment_cost_equals_the_sum`, `alignment_cost_gradient_equals_differences`, `alignment_cost_refuses_cells_outside`.
pub fn alignment_cost(
    cost: &Tensor,
    frames: &Lengths,
    labels: &Lengths,
    cells: &[Vec<(usize, usize)>],
) -> Result<Tensor> {
    let (batch, _, _) = grid::check(cost, frames, labels)?;
    if cells.len() != batch {
        return Err(Error::BatchSize {
            what: "alignment",
            expected: batch,
            got: cells.len(),
        });
    }
    for (b, cells) in cells.iter().enumerate() {
        let (frames, labels) = (frames.get(b), labels.get(b));
        if let Some((t, u)) = cells.iter().find(|(t, u)| *t >= frames || *u >= labels) {
            return Err(Error::Invalid {
                what: "alignment",
                why: format!(
                    "utterance {b}: frame {t}, label {u} lies outside {frames} frames by {labels} labels"
                ),
            });
        }
    }
    let cost = cost.contiguous()?;
    let price = |grid: &Grid<'_>| Ok(cells[grid.utterance].iter().map(|&(t, u)| grid.cost(t, u)).sum());
    let op = SumOfCells {
        values: grid::each(&cost, frames, labels, price)?,
        cells: cells.to_vec(),
    };
    Ok(cost.apply_op1(op)?)
}

/// The distance of speech and text along an alignment that is known, as a consistency: where the labels were spoken, by a forced
/// aligner or a corpus. The transducer's arcs play no part.
///
/// The upper reference for what is searched for. It is of one batch, since cells belong to its utterances in their order.
///
/// # Equation
///
/// ```text
/// L(b) = Σ_{(t, u) ∈ cells(b)} d(speech(t), text(u))
/// ```
///
/// # Shapes
///
/// As [`Consistency::loss`]: speech `[B, T, D]` and text `[B, U, D]` give `[B]`; cells as in [`alignment_cost`].
///
/// # Errors
///
/// As [`pairwise`] and [`alignment_cost`].
///
/// # Source
///
/// The explicit alignment that Peyser et al. 2023, arXiv:2308.06125, do without.
///
/// # Proved by
///
/// `consistencies_obey_the_laws`, `given_alignment_of_the_best_cells_is_the_best_alignment`, and what proves [`alignment_cost`].
#[derive(Clone, Debug, PartialEq)]
pub struct GivenAlignment {
    /// How far a frame and a label embedding are apart.
    pub distance: Distance,
    /// `(frame, label)` of each utterance.
    pub cells: Vec<Vec<(usize, usize)>>,
}

impl Consistency for GivenAlignment {
    fn name(&self) -> &'static str {
        "given-alignment"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        let cost = pairwise(self.distance, pair.speech, pair.text)?;
        alignment_cost(&cost, pair.speech.lengths(), pair.text.lengths(), &self.cells)
    }
}

/// Cells are picked, not multiplied by a mask, so that NaN in the padding cannot leak; the grid of gradients is made only
/// when it is asked for.
struct SumOfCells {
    values: Vec<f64>,
    cells: Vec<Vec<(usize, usize)>>,
}

impl SumOfCells {
    fn gradient<F: WithDType>(&self, cost: &Tensor, grad_res: &Tensor) -> TensorResult<Tensor> {
        let (_, num_frames, num_labels) = cost.dims3()?;
        let mut gradient = vec![F::zero(); cost.elem_count()];
        host::read(grad_res, |weights: &[F]| {
            for (b, cells) in self.cells.iter().enumerate() {
                for &(t, u) in cells {
                    gradient[(b * num_frames + t) * num_labels + u] += weights[b];
                }
            }
        })?;
        Tensor::from_vec(gradient, cost.shape(), cost.device())
    }
}

impl CustomOp1 for SumOfCells {
    fn name(&self) -> &'static str {
        "sum-of-cells"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, _: &Layout) -> TensorResult<(CpuStorage, Shape)> {
        Ok((vector(&self.values, storage), self.values.len().into()))
    }

    fn bwd(&self, cost: &Tensor, _: &Tensor, grad_res: &Tensor) -> TensorResult<Option<Tensor>> {
        Ok(Some(match cost.dtype() {
            DType::F32 => self.gradient::<f32>(cost, grad_res)?,
            _ => self.gradient::<f64>(cost, grad_res)?,
        }))
    }
}
