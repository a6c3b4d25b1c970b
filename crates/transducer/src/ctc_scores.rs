//! Frame logits to the scores of the symbols an utterance may read, with the log-softmax fused.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result as TensorResult, Shape, Tensor, bail};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use sandhi_core::{Labels, Lengths, Padded, Result, host};

use crate::arc_scores::{check_ids, wrong_dtype};
use crate::node::{self, Norm};
use crate::real::Real;
use crate::rows::enough;
use crate::{Normalize, Scoring};

/// Natural log-probabilities of the symbols that each frame of an utterance may read: the blank and the labels.
///
/// What [`ArcScores`](sandhi_core::ArcScores) is to the transducer, this is to CTC: made once, it gives the loss, the
/// posteriors, the alignments and what they cost, and one gradient serves them all.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use sandhi_core::{Labels, Lengths, Padded};
/// use sandhi_transducer::CtcScores;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let logits = Padded::new(Tensor::zeros((1, 3, 4), DType::F64, &Device::Cpu)?, Lengths::new(vec![3]))?;
/// let scores = CtcScores::new(&logits, &Labels::new(vec![vec![2]], 0)?)?;
/// // Six of the 64 strings of three symbols collapse to one 2: 2--, -2-, --2, 22-, -22, 222.
/// assert!((scores.loss()?.to_vec1::<f64>()?[0] - (64f64 / 6.0).ln()).abs() < 1e-12);
/// assert!((scores.alignment_entropy()?.to_vec1::<f64>()?[0] - 6f64.ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CtcScores {
    /// `[B, T, U+1]`: the blank, then the labels.
    symbols: Tensor,
    frames: Lengths,
    labels: Labels,
}

impl CtcScores {
    /// The log-softmax of `logits`, `[B, T, V]`, at the blank and at the labels.
    ///
    /// # Equation
    ///
    /// ```text
    /// symbol(t, 0) = x_t,blank − ln Σ_v e^{x_tv}        symbol(t, u + 1) = x_t,y_u − ln Σ_v e^{x_tv}
    /// ```
    ///
    /// Padding is never read and gets gradient 0.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::BatchSize`], [`sandhi_core::Error::Label`] or [`sandhi_core::Error::Invalid`] if labels and
    /// logits do not fit, or the dtype is neither f32 nor f64.
    ///
    /// # Proved by
    ///
    /// `ctc_loss_gradient_equals_differences`, `ctc_loss_ignores_padding`.
    pub fn new(logits: &Padded, labels: &Labels) -> Result<Self> {
        let (batch, _, vocabulary) = logits.dims();
        labels.lengths().check("labels", batch, labels.max_len())?;
        check_ids(labels, vocabulary)?;
        let values = logits.values().contiguous()?;
        let symbols = match values.dtype() {
            DType::F32 => values.apply_op1(Symbols::<f32>::new(logits, labels))?,
            DType::F64 => values.apply_op1(Symbols::<f64>::new(logits, labels))?,
            other => return Err(wrong_dtype("logits", other)),
        };
        Ok(Self {
            symbols,
            frames: logits.lengths().clone(),
            labels: labels.clone(),
        })
    }

    /// ln p of the symbols, `[B, T, U+1]`: the blank, then the labels.
    pub fn symbols(&self) -> &Tensor {
        &self.symbols
    }

    /// The number of frames of each utterance.
    pub fn frames(&self) -> &Lengths {
        &self.frames
    }

    /// The labels of each utterance.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The same scores, through which no gradient flows: an alignment that is held.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self {
            symbols: self.symbols.detach(),
            ..self.clone()
        }
    }
}

struct Symbols<F> {
    frames: Lengths,
    labels: Labels,
    /// `[B, T]`, left by the forward pass for the backward pass.
    norms: OnceLock<Vec<Norm<F>>>,
}

impl<F: Real> Symbols<F> {
    fn new(logits: &Padded, labels: &Labels) -> Self {
        Self {
            frames: logits.lengths().clone(),
            labels: labels.clone(),
            norms: OnceLock::new(),
        }
    }
}

impl<F: Real> CustomOp1 for Symbols<F> {
    fn name(&self) -> &'static str {
        "ctc-symbols"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> TensorResult<(CpuStorage, Shape)> {
        let logits: &[F] = host::slice(storage, layout)?;
        let (batch, num_frames, vocabulary) = layout.shape().dims3()?;
        let columns = self.labels.max_len() + 1;
        let mut symbols = vec![F::default(); batch * num_frames * columns];
        let mut norms = vec![Norm::default(); batch * num_frames];
        symbols
            .par_chunks_mut((num_frames * columns).max(1))
            .zip(norms.par_chunks_mut(num_frames.max(1)))
            .enumerate()
            .for_each(|(b, (symbols, norms))| {
                let frames = self.frames.get(b);
                let logits = &logits[b * num_frames * vocabulary..][..frames * vocabulary];
                let norms = &mut norms[..frames];
                let blank = self.labels.blank() as usize;
                pulp::Arch::new().dispatch(Normalizers {
                    logits,
                    vocabulary,
                    norms,
                });
                let rows = logits.chunks_exact(vocabulary).zip(&*norms);
                for ((row, norm), symbols) in rows.zip(symbols.chunks_exact_mut(columns)) {
                    symbols[0] = norm.log_probability(row[blank]);
                    for (symbol, &label) in symbols[1..].iter_mut().zip(&self.labels.rows()[b]) {
                        *symbol = norm.log_probability(row[label as usize]);
                    }
                }
            });
        let _ = self.norms.set(norms);
        Ok((
            F::to_cpu_storage_owned(symbols),
            (batch, num_frames, columns).into(),
        ))
    }

    fn bwd(&self, logits: &Tensor, _res: &Tensor, grad_res: &Tensor) -> TensorResult<Option<Tensor>> {
        let Some(norms) = self.norms.get() else {
            bail!("ctc-symbols: backward before forward")
        };
        let (_, num_frames, vocabulary) = logits.dims3()?;
        let columns = self.labels.max_len() + 1;
        let mut gradient = vec![F::default(); logits.elem_count()];
        host::read(logits, |logits: &[F]| {
            host::read(grad_res, |slopes: &[F]| {
                let frames = gradient.par_chunks_mut(vocabulary).enumerate();
                frames
                    .with_min_len(enough(vocabulary))
                    .for_each(|(bt, gradient)| {
                        let (b, t) = (bt / num_frames, bt % num_frames);
                        if t < self.frames.get(b) {
                            pulp::Arch::new().dispatch(SymbolGradient {
                                logits: &logits[bt * vocabulary..][..vocabulary],
                                slopes: &slopes[bt * columns..][..columns],
                                labels: &self.labels.rows()[b],
                                blank: self.labels.blank() as usize,
                                norm: norms[bt],
                                gradient,
                            });
                        }
                    });
            })
        })??;
        Ok(Some(Tensor::from_vec(
            gradient,
            logits.shape().clone(),
            logits.device(),
        )?))
    }
}

/// The normalizers of all frames of an utterance.
struct Normalizers<'a, F> {
    logits: &'a [F],
    vocabulary: usize,
    norms: &'a mut [Norm<F>],
}

impl<F: Real> WithSimd for Normalizers<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let rows = self.logits.chunks_exact(self.vocabulary);
        for (norm, row) in self.norms.iter_mut().zip(rows) {
            *norm = node::partition(row, 0, Normalize::Softmax, !S::IS_SCALAR);
        }
        node::take_logarithms(self.norms, !S::IS_SCALAR);
    }
}

/// The gradient of one frame: `Σ_u g_u [v = symbol u] − (Σ_u g_u) p_v`.
struct SymbolGradient<'a, F> {
    logits: &'a [F],
    slopes: &'a [F],
    labels: &'a [u32],
    blank: usize,
    norm: Norm<F>,
    gradient: &'a mut [F],
}

impl<F: Real> WithSimd for SymbolGradient<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let slopes = &self.slopes[..=self.labels.len()];
        let mut total = F::default();
        for &slope in slopes {
            total += slope;
        }
        // As if the blank had it all; then everyone gets what is theirs.
        let how = (&Scoring::default(), !S::IS_SCALAR);
        let (arcs, logits) = ((total, F::default()), Some(self.logits));
        node::gradient(self.gradient, logits, self.blank, None, arcs, self.norm, how);
        self.gradient[self.blank] += slopes[0] - total;
        for (&slope, &label) in slopes[1..].iter().zip(self.labels) {
            self.gradient[label as usize] += slope;
        }
    }
}
