//! The custom operation of the recursions: a value per utterance whose gradient was found with it.

use candle_core::{CpuStorage, CustomOp3, Layout, Result as TensorResult, Shape, Tensor};
use sandhi_core::host;

use crate::real::Real;

/// `[B]` values together with their gradient with respect to up to three tensors `[B, ..]`.
///
/// The recursions need forward and backward tables for the gradient anyway, so value and gradient are computed before the
/// operation is recorded; errors then carry the utterance. An argument without a gradient is held.
pub(crate) struct WithGradient<F> {
    pub(crate) values: Vec<F>,
    pub(crate) gradients: [Option<Vec<F>>; 3],
}

impl<F: Real> WithGradient<F> {
    /// Records the operation.
    pub(crate) fn apply(self, arguments: [&Tensor; 3]) -> TensorResult<Tensor> {
        arguments[0].apply_op3(arguments[1], arguments[2], self)
    }

    fn gradient(&self, which: usize, argument: &Tensor, grad_res: &[F]) -> TensorResult<Option<Tensor>> {
        let Some(gradient) = &self.gradients[which] else {
            return Ok(None);
        };
        let each = argument.elem_count() / grad_res.len().max(1);
        let scaled = gradient
            .iter()
            .enumerate()
            .map(|(i, &g)| g * grad_res[i / each])
            .collect::<Vec<F>>();
        Ok(Some(Tensor::from_vec(
            scaled,
            argument.shape().clone(),
            argument.device(),
        )?))
    }
}

impl<F: Real> CustomOp3 for WithGradient<F> {
    fn name(&self) -> &'static str {
        "lattice"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> TensorResult<(CpuStorage, Shape)> {
        Ok((F::to_cpu_storage(&self.values), self.values.len().into()))
    }

    fn bwd(
        &self,
        first: &Tensor,
        second: &Tensor,
        third: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> TensorResult<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        host::read(grad_res, |g: &[F]| {
            Ok((
                self.gradient(0, first, g)?,
                self.gradient(1, second, g)?,
                self.gradient(2, third, g)?,
            ))
        })?
    }
}
