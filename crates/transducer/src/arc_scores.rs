//! Logits to arc scores, with the log-softmax fused.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result as TensorResult, Shape, Tensor, bail};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use sandhi_core::{ArcScores, Error, Labels, Lengths, Result, host};

use crate::node::{Norm, gradient, scores};
use crate::real::Real;

/// How the logits of a node become probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalize {
    /// One softmax over the vocabulary, blank included.
    Softmax,
    /// Hybrid autoregressive transducer: the blank is a Bernoulli with the sigmoid of its logit, and the labels share
    /// the rest by a softmax among themselves (Variani et al. 2020, arXiv:2003.07705).
    Hat,
}

/// What every node of a batch needs to know beside its logits.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) labels: Labels,
    pub(crate) frames: Lengths,
    pub(crate) normalize: Normalize,
}

impl Nodes {
    /// Checks lengths and label ids against the extents of the tensors.
    pub(crate) fn new(
        labels: &Labels,
        frames: &Lengths,
        normalize: Normalize,
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
            normalize,
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
/// [`Error::Label`] or [`Error::Invalid`] if an id lies outside the vocabulary, or the dtype is neither f32 nor f64.
///
/// # Proved by
///
/// `arc_scores_equal_log_softmax`, `arc_scores_gradient_equals_differences`, `arc_scores_ignore_padding`.
pub fn arc_scores(
    logits: &Tensor,
    labels: &Labels,
    frames: &Lengths,
    normalize: Normalize,
) -> Result<ArcScores> {
    let extents = logits.dims4().map_err(|_| Error::Shape {
        what: "logits",
        expected: "[B, T, U+1, V]".into(),
        got: logits.dims().to_vec(),
    })?;
    let nodes = Nodes::new(labels, frames, normalize, extents)?;
    let logits = logits.contiguous()?;
    let packed = match logits.dtype() {
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
    unpack(&packed, frames, labels.lengths())
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

/// Splits `[B, T, (U+1) + U]`, the one result a custom operation may have, into the two grids.
pub(crate) fn unpack(packed: &Tensor, frames: &Lengths, labels: &Lengths) -> Result<ArcScores> {
    let columns = packed.dim(2)?.div_ceil(2);
    let blank = packed.narrow(2, 0, columns)?.contiguous()?;
    let label = packed.narrow(2, columns, columns - 1)?.contiguous()?;
    ArcScores::new(blank, label, frames.clone(), labels.clone())
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
        let width = 2 * columns - 1;
        let mut packed = vec![F::default(); batch * num_frames * width];
        let mut norms = vec![Norm::default(); batch * num_frames * columns];
        packed
            .par_chunks_mut(width)
            .zip(norms.par_chunks_mut(columns))
            .enumerate()
            .for_each(|(bt, (out, norms))| {
                let (b, t) = (bt / num_frames, bt % num_frames);
                if t < self.nodes.frames.get(b) {
                    let logits = &logits[bt * columns * vocabulary..][..columns * vocabulary];
                    pulp::Arch::new().dispatch(ScoreFrame {
                        nodes: &self.nodes,
                        b,
                        vocabulary,
                        logits,
                        out,
                        norms,
                    });
                }
            });
        let _ = self.norms.set(norms);
        Ok((F::to_cpu_storage_owned(packed), (batch, num_frames, width).into()))
    }

    fn bwd(&self, logits: &Tensor, _res: &Tensor, grad_res: &Tensor) -> TensorResult<Option<Tensor>> {
        let Some(norms) = self.norms.get() else {
            bail!("arc-scores: backward before forward")
        };
        let (_, num_frames, columns, vocabulary) = logits.dims4()?;
        let width = 2 * columns - 1;
        // Zeroed pages come from the system untouched: padding costs nothing.
        let mut grad = vec![F::default(); logits.elem_count()];
        host::read(logits, |logits: &[F]| {
            host::read(grad_res, |grad_res: &[F]| {
                grad.par_chunks_mut(columns * vocabulary)
                    .enumerate()
                    .for_each(|(bt, grad)| {
                        let (b, t) = (bt / num_frames, bt % num_frames);
                        if t < self.nodes.frames.get(b) {
                            pulp::Arch::new().dispatch(GradFrame {
                                nodes: &self.nodes,
                                b,
                                vocabulary,
                                logits: &logits[bt * columns * vocabulary..][..columns * vocabulary],
                                norms: &norms[bt * columns..][..columns],
                                grad_res: &grad_res[bt * width..][..width],
                                grad,
                            });
                        }
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

/// The scores of all nodes of one frame.
struct ScoreFrame<'a, F> {
    nodes: &'a Nodes,
    b: usize,
    vocabulary: usize,
    logits: &'a [F],
    out: &'a mut [F],
    norms: &'a mut [Norm<F>],
}

impl<F: Real> WithSimd for ScoreFrame<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (blanks, labels) = self.out.split_at_mut(self.norms.len());
        for u in 0..=self.nodes.num_labels(self.b) {
            let row = &self.logits[u * self.vocabulary..][..self.vocabulary];
            let node = scores(
                row,
                self.nodes.blank(),
                self.nodes.label(self.b, u),
                self.nodes.normalize,
            );
            blanks[u] = node.blank;
            if let Some(label) = node.label {
                labels[u] = label;
            }
            self.norms[u] = node.norm;
        }
    }
}

/// The gradient of all nodes of one frame.
struct GradFrame<'a, F> {
    nodes: &'a Nodes,
    b: usize,
    vocabulary: usize,
    logits: &'a [F],
    norms: &'a [Norm<F>],
    grad_res: &'a [F],
    grad: &'a mut [F],
}

impl<F: Real> WithSimd for GradFrame<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (g_blank, g_label) = self.grad_res.split_at(self.norms.len());
        for u in 0..=self.nodes.num_labels(self.b) {
            let row = &mut self.grad[u * self.vocabulary..][..self.vocabulary];
            row.copy_from_slice(&self.logits[u * self.vocabulary..][..self.vocabulary]);
            let label = self.nodes.label(self.b, u);
            let g = (g_blank[u], label.map_or(F::default(), |_| g_label[u]));
            gradient(
                row,
                self.nodes.blank(),
                label,
                g,
                self.norms[u],
                self.nodes.normalize,
            );
        }
    }
}
