//! Aligns the costs in a file, so that any other aligner can be compared with this one.
//!
//! ```sh
//! cargo run --release -p sandhi-align --example align_file -- IN.safetensors OUT.safetensors
//! ```
//!
//! IN holds `cost`, `[B, T, U]` or for one utterance `[T, U]` (f32 or f64), what label u costs at frame t; optionally
//! `frame_lengths` and `label_lengths` (one i32, i64 or u32 per utterance; the whole extents without them).
//!
//! OUT holds for each reading of "monotone" the cost of the cheapest alignment and the alignment itself:
//!
//! | reading | covers | `<reading>_path` |
//! |---|---|---|
//! | `every_label` | each label at one frame; frames may be skipped, labels may share one | `[B, U]`: the frame of each label |
//! | `every_label_strict` | the same, each label at a frame of its own | `[B, U]`: the frame of each label |
//! | `every_frame` | each frame at one label; labels may be skipped, so it starts and ends anywhere | `[B, T]`: the label of each frame |
//! | `forced` | each frame at one label and every label: starts at label 0, ends at U−1, in steps of 0 or 1 | `[B, T]`: the label of each frame |
//!
//! `<reading>_total` is `[B]` (f64), `<reading>_path` i64, −1 in the padding, all counted from 0. For costs `[T, U]` totals are
//! `[1]` and paths `[U]` or `[T]`. Of equals the earliest is taken, as `best_alignment` documents.
//!
//! What a reading cannot align is named on standard error. In a batch its total is +∞ and its path −1; for costs `[T, U]` the
//! reading is left out.
#![allow(clippy::print_stderr)] // A program, not a library.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor, safetensors};
use sandhi_align::{Moves, best_alignment, best_alignment_cost};
use sandhi_core::{Error, Lengths};

/// The readings by their names in the file.
const READINGS: [(&str, Moves); 4] = [
    ("every_label", Moves::EveryLabel),
    ("every_label_strict", Moves::EveryLabelStrict),
    ("every_frame", Moves::EveryFrame),
    ("forced", Moves::Forced),
];

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        bail!("usage: align_file IN.safetensors OUT.safetensors");
    };
    for infeasible in align_file(input.as_ref(), output.as_ref())? {
        eprintln!("{infeasible}");
    }
    Ok(())
}

/// Aligns the costs in `input` and writes `output`. Returns a line for each utterance that a reading cannot align.
pub(crate) fn align_file(input: &Path, output: &Path) -> Result<Vec<String>> {
    let tensors =
        safetensors::load(input, &Device::Cpu).with_context(|| format!("cannot read {}", input.display()))?;
    let batch = Batch::new(&tensors)?;
    let (mut out, mut infeasible) = (HashMap::new(), Vec::new());
    for (name, moves) in READINGS {
        let Aligned { totals, paths, named } = batch.align(moves)?;
        infeasible.extend(named.iter().map(|named| format!("{name}: {named}")));
        if batch.single && !named.is_empty() {
            continue;
        }
        let paths = if batch.single { paths.squeeze(0)? } else { paths };
        out.insert(format!("{name}_total"), totals);
        out.insert(format!("{name}_path"), paths);
    }
    safetensors::save(&out, output).with_context(|| format!("cannot write {}", output.display()))?;
    Ok(infeasible)
}

/// The input, checked.
struct Batch {
    /// `[B, T, U]`, in double precision: sums in a file should not depend on how costs were stored.
    cost: Tensor,
    frames: Vec<usize>,
    labels: Vec<usize>,
    /// The file has one utterance, without a batch dimension.
    single: bool,
}

/// What a reading makes of a batch.
struct Aligned {
    /// `[B]`.
    totals: Tensor,
    /// `[B, U]` or `[B, T]`.
    paths: Tensor,
    /// The utterances it cannot align.
    named: Vec<Error>,
}

impl Batch {
    fn new(tensors: &HashMap<String, Tensor>) -> Result<Self> {
        let cost = tensors.get("cost").context("the file has no tensor `cost`")?;
        let single = cost.rank() == 2;
        let cost = match (cost.dtype(), cost.rank()) {
            (DType::F32 | DType::F64, 2) => cost.unsqueeze(0)?,
            (DType::F32 | DType::F64, 3) => cost.clone(),
            (dtype, _) => bail!(
                "cost: expected [B, T, U] or [T, U] in f32 or f64, got {:?} in {}",
                cost.dims(),
                dtype.as_str()
            ),
        };
        let (batch, num_frames, num_labels) = cost.dims3()?;
        let lengths = |name: &str, extent: usize| -> Result<Vec<usize>> {
            let Some(given) = tensors.get(name) else {
                return Ok(vec![extent; batch]);
            };
            let given = integers(name, given)?;
            ensure!(
                given.len() == batch,
                "{name}: expected {batch} lengths, got {}",
                given.len()
            );
            let checked = given.iter().enumerate().map(|(b, &n)| {
                let fits = usize::try_from(n).ok().filter(|&n| n <= extent);
                fits.with_context(|| format!("{name}: utterance {b}: expected 0 to {extent}, got {n}"))
            });
            checked.collect()
        };
        Ok(Self {
            frames: lengths("frame_lengths", num_frames)?,
            labels: lengths("label_lengths", num_labels)?,
            cost: cost.to_dtype(DType::F64)?,
            single,
        })
    }

    /// Every utterance by itself, so that one without an alignment takes nothing from the others.
    fn align(&self, moves: Moves) -> Result<Aligned> {
        let (batch, num_frames, num_labels) = self.cost.dims3()?;
        let by_label = matches!(moves, Moves::EveryLabel | Moves::EveryLabelStrict);
        let extent = if by_label { num_labels } else { num_frames };
        let mut totals = vec![f64::INFINITY; batch];
        let mut paths = vec![-1i64; batch * extent];
        let mut named = Vec::new();
        for b in 0..batch {
            let cost = self.cost.narrow(0, b, 1)?;
            let (frames, labels) = (
                Lengths::new(vec![self.frames[b]]),
                Lengths::new(vec![self.labels[b]]),
            );
            match best_alignment(&cost, &frames, &labels, moves) {
                Ok(path) => {
                    let total = best_alignment_cost(&cost, &frames, &labels, moves)?;
                    totals[b] = total.get(0)?.to_scalar()?;
                    for &(t, u) in path.iter().flatten() {
                        let (at, value) = if by_label { (u, t) } else { (t, u) };
                        paths[b * extent + at] = value as i64;
                    }
                }
                Err(Error::NoAlignment { frames, labels, .. }) => {
                    // By itself it was utterance 0.
                    named.push(Error::NoAlignment {
                        utterance: b,
                        frames,
                        labels,
                    });
                }
                Err(other) => return Err(other).with_context(|| format!("utterance {b}")),
            }
        }
        Ok(Aligned {
            totals: Tensor::from_vec(totals, batch, &Device::Cpu)?,
            paths: Tensor::from_vec(paths, (batch, extent), &Device::Cpu)?,
            named,
        })
    }
}

fn integers(name: &str, tensor: &Tensor) -> Result<Vec<i64>> {
    let flat = tensor.flatten_all()?;
    Ok(match flat.dtype() {
        DType::I64 => flat.to_vec1()?,
        DType::I32 => flat.to_vec1::<i32>()?.into_iter().map(i64::from).collect(),
        DType::U32 => flat.to_vec1::<u32>()?.into_iter().map(i64::from).collect(),
        other => bail!("{name}: expected i32, i64 or u32, got {}", other.as_str()),
    })
}
