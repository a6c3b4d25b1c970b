//! Reading tensors as host slices, for the custom operations of the layer and loss crates.

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, WithDType, bail};

/// The contiguous slice that a custom operation received.
///
/// # Errors
///
/// If the layout is strided (callers make it contiguous before they apply the operation) or the dtype differs.
pub fn slice<'a, T: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&T::cpu_storage_as_slice(storage)?[start..end]),
        None => bail!("expected a contiguous tensor, got {layout:?}"),
    }
}

/// Runs `f` over the values of a CPU tensor in row-major order, copying only if it is strided.
///
/// # Errors
///
/// If the tensor is not on the CPU or of another dtype.
pub fn read<T: WithDType, R>(tensor: &Tensor, f: impl FnOnce(&[T]) -> R) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(cpu) => Ok(f(slice(cpu, layout)?)),
        _ => bail!("expected a tensor on the CPU"),
    }
}
