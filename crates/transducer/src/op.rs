//! The custom operation of the recursions: a value per utterance whose gradient was found with it.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result as TensorResult, Shape, Tensor};
use rayon::prelude::*;
use sandhi_core::host;

use crate::real::Real;

/// `[B]` values together with their gradient with respect to one or two tensors `[B, ..]`.
///
/// The recursions make the gradient along with the value, so both are computed before the operation is recorded; errors
/// then carry the utterance. An argument without a gradient is held.
pub(crate) struct WithGradient<F> {
    pub(crate) values: Vec<F>,
    pub(crate) gradients: [Option<Vec<F>>; 2],
}

impl<F: Real> WithGradient<F> {
    /// Records the operation on one tensor.
    pub(crate) fn of(self, argument: &Tensor) -> TensorResult<Tensor> {
        argument.apply_op1(self)
    }

    /// Records the operation on two tensors.
    pub(crate) fn of_both(self, first: &Tensor, second: &Tensor) -> TensorResult<Tensor> {
        first.apply_op2(second, self)
    }

    fn forward(&self) -> (CpuStorage, Shape) {
        (F::to_cpu_storage(&self.values), self.values.len().into())
    }

    fn gradient(&self, which: usize, argument: &Tensor, grad_res: &Tensor) -> TensorResult<Option<Tensor>> {
        let Some(gradient) = &self.gradients[which] else {
            return Ok(None);
        };
        let mut scaled = gradient.clone();
        let each = argument.elem_count() / self.values.len().max(1);
        if each > 0 {
            host::read(grad_res, |weights: &[F]| {
                scaled
                    .par_chunks_mut(each)
                    .zip(weights)
                    .for_each(|(gradient, &weight)| gradient.iter_mut().for_each(|g| *g *= weight));
            })?;
        }
        let tensor = Tensor::from_vec(scaled, argument.shape().clone(), argument.device())?;
        Ok(Some(tensor))
    }
}

impl<F: Real> CustomOp1 for WithGradient<F> {
    fn name(&self) -> &'static str {
        "lattice"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> TensorResult<(CpuStorage, Shape)> {
        Ok(self.forward())
    }

    fn bwd(&self, argument: &Tensor, _: &Tensor, grad_res: &Tensor) -> TensorResult<Option<Tensor>> {
        self.gradient(0, argument, grad_res)
    }
}

impl<F: Real> CustomOp2 for WithGradient<F> {
    fn name(&self) -> &'static str {
        "lattice-cost"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> TensorResult<(CpuStorage, Shape)> {
        Ok(self.forward())
    }

    fn bwd(
        &self,
        first: &Tensor,
        second: &Tensor,
        _: &Tensor,
        grad_res: &Tensor,
    ) -> TensorResult<(Option<Tensor>, Option<Tensor>)> {
        Ok((
            self.gradient(0, first, grad_res)?,
            self.gradient(1, second, grad_res)?,
        ))
    }
}
