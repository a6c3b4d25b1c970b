//! The host values of a variable, changed in place.

use std::cell::RefCell;

use candle_core::{CpuStorage, InplaceOp1, Layout, Result as TensorResult, Var, bail};

/// Runs `f` over the values of an f32 variable on the CPU, which it may change. Nothing is copied.
pub(crate) fn edit<F: FnOnce(&mut [f32])>(var: &Var, f: F) -> TensorResult<()> {
    var.inplace_op1(&Edit(RefCell::new(Some(f))))
}

struct Edit<F>(RefCell<Option<F>>);

impl<F: FnOnce(&mut [f32])> InplaceOp1 for Edit<F> {
    fn name(&self) -> &'static str {
        "edit"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> TensorResult<()> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            bail!("expected a contiguous f32 variable, got {layout:?}")
        };
        if let Some(f) = self.0.borrow_mut().take() {
            f(&mut values[start..end]);
        }
        Ok(())
    }
}
