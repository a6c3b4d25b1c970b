//! Rows of a table.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use sandhi_core::host::{read, slice};

use super::{like, output, with_float};
use crate::real::{Real, axpy};

/// The rows of `table` that `ids` name.
///
/// # Shapes
///
/// * `table`: `[V, D]`, `ids`: one row of labels per utterance, all padded to U by the caller; returns `[B, U, D]`.
///
/// # Errors
///
/// If the rows differ in length or an id is not below V.
///
/// # Proved by
///
/// `embedding_gradient_equals_differences`.
pub fn embedding(table: &Tensor, ids: &[Vec<u32>]) -> Result<Tensor> {
    let (v, _) = table.dims2()?;
    let columns = ids.first().map_or(0, Vec::len);
    if ids.iter().any(|row| row.len() != columns) {
        bail!("embedding: expected rows of {columns} ids");
    }
    if let Some(id) = ids.iter().flatten().find(|&&id| id as usize >= v) {
        bail!("embedding: expected ids below {v}, got {id}");
    }
    let op = Embedding {
        ids: ids.concat(),
        rows: ids.len(),
        columns,
    };
    table.contiguous()?.apply_op1(op)
}

struct Embedding {
    ids: Vec<u32>,
    rows: usize,
    columns: usize,
}

impl Embedding {
    fn gather<T: Real>(&self, table: &[T], d: usize) -> Vec<T> {
        self.ids
            .iter()
            .flat_map(|&id| &table[id as usize * d..][..d])
            .copied()
            .collect()
    }

    fn add_rows<T: Real>(&self, g: &[T], size: usize, d: usize) -> Vec<T> {
        let mut table = vec![T::ZERO; size];
        for (&id, g) in self.ids.iter().zip(g.chunks_exact(d)) {
            axpy(T::ONE, g, &mut table[id as usize * d..][..d]);
        }
        table
    }
}

impl CustomOp1 for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let d = l.dims()[1];
        with_float!(s.dtype(), T => output(self.gather::<T>(slice(s, l)?, d), (self.rows, self.columns, d)))
    }

    fn bwd(&self, table: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let d = table.dims()[1];
        let size = table.elem_count();
        with_float!(table.dtype(), T => like(read::<T, _>(g, |g| self.add_rows(g, size, d))?, table))
    }
}
