//! Logits to arc scores, with the log-softmax fused.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result as TensorResult, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::{ArcScores, Error, Labels, Lengths, Result, check_memory, host};

use crate::node::Norm;
use crate::real::Real;
use crate::{Scoring, rows};

/// What every node of a batch needs to know beside its logits.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) labels: Labels,
    pub(crate) frames: Lengths,
    pub(crate) scoring: Scoring,
}

impl Nodes {
    /// Checks lengths and label ids against the extents of the tensors.
    pub(crate) fn new(
        labels: &Labels,
        frames: &Lengths,
        scoring: Scoring,
        (batch, num_frames, columns, vocabulary): (usize, usize, usize, usize),
    ) -> Result<Self> {
        if columns == 0 || vocabulary == 0 {
            return Err(Error::Shape {
                what: "logits",
                expected: "[B, T, U+1, V] with U+1 and V at least 1".into(),
                got: vec![batch, num_frames, columns, vocabulary],
            });
        }
        frames.check("frames", batch, num_frames)?;
        labels.lengths().check("labels", batch, columns - 1)?;
        check_ids(labels, vocabulary)?;
        Ok(Self {
            labels: labels.clone(),
            frames: frames.clone(),
            scoring: scoring.check(vocabulary)?,
        })
    }

    pub(crate) fn blank(&self) -> usize {
        self.labels.blank() as usize
    }

    /// The label that node (·, u) of utterance `b` may emit.
    #[inline(always)]
    pub(crate) fn label(&self, b: usize, u: usize) -> Option<usize> {
        self.labels.rows()[b].get(u).map(|&label| label as usize)
    }

    pub(crate) fn num_labels(&self, b: usize) -> usize {
        self.labels.lengths().get(b)
    }
}

/// ln p of blank and label at every lattice node, from the joiner's logits.
///
/// The log-softmax is fused: beyond the result nothing is stored but two numbers per node, and the backward pass allocates
/// the gradient of the logits and nothing else of that size.
///
/// # Equation
///
/// ```text
/// softmax   blank(t,u) = x_blank − ln Σ_v e^{x_v}          label(t,u) = x_{y_u} − ln Σ_v e^{x_v}
/// HAT       blank(t,u) = ln σ(x_blank)                     label(t,u) = ln σ(−x_blank) + x_{y_u} − ln Σ_{v≠blank} e^{x_v}
/// ```
///
/// # Shapes
///
/// * `logits`: `[B, T, U+1, V]`, f32 or f64, unnormalised.
/// * `labels`: one row per utterance, at most U labels; `frames`: one length per utterance, at most T.
/// * returns blank `[B, T, U+1]` and label `[B, T, U]`, nats; 0 in the padding, whose logits are never read (NaN does no
///   harm) and get gradient 0.
///
/// # Errors
///
/// [`Error::Shape`] if the logits are not 4-dimensional; [`Error::BatchSize`] or [`Error::Length`] if lengths do not fit;
/// [`Error::Label`] or [`Error::Invalid`] if an id lies outside the vocabulary, or the dtype is neither f32 nor f64;
/// [`Error::Memory`] if the gradient would not fit.
///
/// # Proved by
///
/// `arc_scores_equal_log_softmax`, `arc_scores_gradient_equals_differences`, `arc_scores_ignore_padding`.
pub fn arc_scores(
    logits: &Tensor,
    labels: &Labels,
    frames: &Lengths,
    scoring: impl Into<Scoring>,
) -> Result<ArcScores> {
    let extents = logits.dims4().map_err(|_| Error::Shape {
        what: "logits",
        expected: "[B, T, U+1, V]".into(),
        got: logits.dims().to_vec(),
    })?;
    let nodes = Nodes::new(labels, frames, scoring.into(), extents)?;
    let copied = !logits.is_contiguous();
    if copied || logits.track_op() {
        let what = if copied {
            "copy of strided logits"
        } else {
            "gradient of the logits"
        };
        let (batch, num_frames, columns, vocabulary) = extents;
        let extents = [
            ("B", batch),
            ("T", num_frames),
            ("U+1", columns),
            ("V", vocabulary),
        ];
        check_memory(what, &extents, logits.dtype().size_in_bytes())?;
    }
    let logits = logits.contiguous()?;
    let scores = match logits.dtype() {
        DType::F32 => logits.apply_op1(FromLogits::<f32> {
            nodes,
            norms: OnceLock::new(),
        })?,
        DType::F64 => logits.apply_op1(FromLogits::<f64> {
            nodes,
            norms: OnceLock::new(),
        })?,
        other => return Err(wrong_dtype("logits", other)),
    };
    ArcScores::from_nodes(scores, frames.clone(), labels.lengths().clone())
}

/// Checks that labels and blank are in the vocabulary.
pub(crate) fn check_ids(labels: &Labels, vocabulary: usize) -> Result<()> {
    labels.check_vocabulary(vocabulary)?;
    if labels.blank() as usize >= vocabulary {
        return Err(Error::Invalid {
            what: "blank",
            why: format!(
                "expected an id below the vocabulary size {vocabulary}, got {}",
                labels.blank()
            ),
        });
    }
    Ok(())
}

pub(crate) fn wrong_dtype(what: &'static str, got: DType) -> Error {
    Error::Invalid {
        what,
        why: format!("expected f32 or f64, got {}", got.as_str()),
    }
}

struct FromLogits<F> {
    nodes: Nodes,
    /// `[B, T, U+1]`, left by the forward pass for the backward pass.
    norms: OnceLock<Vec<Norm<F>>>,
}

impl<F: Real> CustomOp1 for FromLogits<F> {
    fn name(&self) -> &'static str {
        "arc-scores"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> TensorResult<(CpuStorage, Shape)> {
        let logits: &[F] = host::slice(storage, layout)?;
        let (batch, num_frames, columns, vocabulary) = layout.shape().dims4()?;
        let cells = batch * num_frames * columns;
        let mut scores = vec![F::default(); 2 * cells];
        let mut norms = vec![Norm::default(); cells];
        let (grid, extents) = ((num_frames * columns).max(1), (columns, vocabulary));
        let outputs = scores.par_chunks_mut(2 * grid).zip(norms.par_chunks_mut(grid));
        let utterances = logits.par_chunks(grid * vocabulary).zip(outputs).enumerate();
        utterances.for_each(|(b, (logits, (scores, norms)))| {
            rows::scores(&self.nodes, b, extents, logits, scores, norms);
        });
        let _ = self.norms.set(norms);
        Ok((
            F::to_cpu_storage_owned(scores),
            (batch, num_frames, columns, 2).into(),
        ))
    }

    fn bwd(&self, logits: &Tensor, _res: &Tensor, grad_res: &Tensor) -> TensorResult<Option<Tensor>> {
        let Some(norms) = self.norms.get() else {
            bail!("arc-scores: backward before forward")
        };
        let (_, num_frames, columns, vocabulary) = logits.dims4()?;
        let mut grad = vec![F::default(); logits.elem_count()];
        host::read(logits, |logits: &[F]| {
            host::read(grad_res, |slopes: &[F]| {
                let (grid, extents) = ((num_frames * columns).max(1), (columns, vocabulary));
                let outputs = grad.par_chunks_mut(grid * vocabulary).enumerate();
                outputs.for_each(|(b, gradient)| {
                    let logits = &logits[b * grid * vocabulary..][..gradient.len()];
                    let (norms, slopes) = (&norms[b * grid..][..grid], &slopes[2 * b * grid..][..2 * grid]);
                    rows::gradients(&self.nodes, b, extents, Some(logits), norms, slopes, gradient);
                });
            })
        })??;
        Ok(Some(Tensor::from_vec(
            grad,
            logits.shape().clone(),
            logits.device(),
        )?))
    }
}
