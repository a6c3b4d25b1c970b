//! The RNN-T loss of logits in host memory, without tensors: for buffers that are reused.

use rayon::prelude::*;
use sandhi_core::{Error, Labels, Lengths, Result, Topology};

use crate::arc_scores::Nodes;
use crate::grid::Batch;
use crate::node::Norm;
use crate::{LossOptions, Real, Scoring, rows};

/// The RNN-T loss of padded logits in slices, with their gradient in a buffer of the caller's, or in place.
///
/// Touching fresh memory costs several times what writing to it does, so a caller who keeps the buffer, or gives the logits
/// up for their gradient, waits less than half as long. The logits are read twice, and the gradient is written once.
///
/// # Equation, source
///
/// As [`transducer_loss`](crate::transducer_loss) of [`arc_scores`](crate::arc_scores).
///
/// # Shapes
///
/// * logits and gradient: `[B, T, U+1, V]`, row-major, f32 or f64.
/// * losses: one per utterance, nats.
///
/// # Errors
///
/// As [`transducer_loss_with`](crate::transducer_loss_with) and [`arc_scores`](crate::arc_scores); [`Error::Shape`] if a
/// slice does not hold B · T · (U+1) · V numbers. After an error the gradient, in place the logits, is unspecified.
///
/// # Proved by
///
/// `host_loss_equals_the_tensor_path`, `host_loss_reuses_a_dirty_buffer`.
///
/// # Example
///
/// ```
/// use sandhi_core::{Labels, Lengths};
/// use sandhi_transducer::HostLoss;
///
/// let labels = Labels::new(vec![vec![3, 1], vec![4]], 0)?;
/// let frames = Lengths::new(vec![6, 4]);
/// let loss = HostLoss::new([2, 6, 3, 5], &labels, &frames)?;
/// let mut logits = vec![0f32; 2 * 6 * 3 * 5];
/// let mut gradient = vec![0f32; logits.len()];
/// let losses = loss.with_gradient(&logits, &mut gradient)?;
/// assert_eq!(losses, loss.in_place(&mut logits)?);
/// assert_eq!(logits, gradient);
/// # Ok::<(), sandhi_core::Error>(())
/// ```
#[derive(Debug)]
pub struct HostLoss {
    nodes: Nodes,
    shape: [usize; 4],
    topology: Topology,
    options: LossOptions,
}

impl HostLoss {
    /// For logits of this shape, `[B, T, U+1, V]`.
    ///
    /// # Errors
    ///
    /// As [`arc_scores`](crate::arc_scores).
    pub fn new(shape: [usize; 4], labels: &Labels, frames: &Lengths) -> Result<Self> {
        let [batch, num_frames, columns, vocabulary] = shape;
        let extents = (batch, num_frames, columns, vocabulary);
        Ok(Self {
            nodes: Nodes::new(labels, frames, Scoring::default(), extents)?,
            shape,
            topology: Topology::Standard,
            options: LossOptions::default(),
        })
    }

    /// The same with another normalization, smoothing or clamp.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if a setting is out of range.
    pub fn scoring(mut self, scoring: impl Into<Scoring>) -> Result<Self> {
        self.nodes.scoring = scoring.into().check(self.shape[3])?;
        Ok(self)
    }

    /// The same on another lattice.
    #[must_use]
    pub fn on(self, topology: Topology) -> Self {
        Self { topology, ..self }
    }

    /// The same with FastEmit, a delay penalty, or tolerance of utterances without an alignment.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if an option is out of range.
    pub fn options(self, options: LossOptions) -> Result<Self> {
        options.check()?;
        Ok(Self { options, ..self })
    }

    /// The losses alone.
    ///
    /// # Errors
    ///
    /// See [`HostLoss`].
    pub fn losses<F: Real>(&self, logits: &[F]) -> Result<Vec<f64>> {
        self.check("logits", logits)?;
        let utterances = logits.par_chunks(self.utterance_len()).enumerate();
        self.collect(utterances.map(|(b, logits)| {
            let (scores, _) = self.scores(b, logits);
            self.options.one(&self.batch().utterance(b, &scores, &[]), None)
        }))
    }

    /// The losses; every element of `gradient` is set to that of their sum.
    ///
    /// # Errors
    ///
    /// See [`HostLoss`].
    pub fn with_gradient<F: Real>(&self, logits: &[F], gradient: &mut [F]) -> Result<Vec<f64>> {
        self.check("logits", logits)?;
        self.check("gradient", gradient)?;
        let (each, gradients) = (
            self.utterance_len(),
            gradient.par_chunks_mut(self.utterance_len()),
        );
        let utterances = logits.par_chunks(each).zip(gradients).enumerate();
        self.collect(utterances.map(|(b, (logits, gradient))| {
            let (scores, norms) = self.scores(b, logits);
            let (loss, slopes) = self.recursion(b, &scores)?;
            rows::gradients(
                &self.nodes,
                b,
                self.extents(),
                Some(logits),
                &norms,
                &slopes,
                gradient,
            );
            Ok(loss)
        }))
    }

    /// The losses; the logits become the gradient of their sum.
    ///
    /// # Errors
    ///
    /// See [`HostLoss`].
    pub fn in_place<F: Real>(&self, logits: &mut [F]) -> Result<Vec<f64>> {
        self.check("logits", logits)?;
        let utterances = logits.par_chunks_mut(self.utterance_len()).enumerate();
        self.collect(utterances.map(|(b, logits)| {
            let (scores, norms) = self.scores(b, logits);
            let (loss, slopes) = self.recursion(b, &scores)?;
            rows::gradients(&self.nodes, b, self.extents(), None, &norms, &slopes, logits);
            Ok(loss)
        }))
    }

    /// The losses in batch order, or the first utterance's error. Every utterance is handled from its logits to their
    /// gradient while the cache still holds what it can of them; its frames are shared by the threads that have no
    /// utterance of their own.
    fn collect(&self, losses: impl IndexedParallelIterator<Item = Result<f64>>) -> Result<Vec<f64>> {
        // Without frames there are no logits, and nothing was iterated.
        if self.utterance_len() == 1 && self.shape[..3].contains(&0) {
            let none = (0..self.shape[0]).map(|b| {
                self.options
                    .one::<f32>(&self.batch().utterance(b, &[], &[]), None)
            });
            return none.collect();
        }
        let losses: Vec<_> = losses.collect();
        losses.into_iter().collect()
    }

    fn extents(&self) -> rows::Extents {
        (self.shape[2], self.shape[3])
    }

    /// Logits of an utterance; at least 1, as chunks must be.
    fn utterance_len(&self) -> usize {
        self.shape[1..].iter().product::<usize>().max(1)
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            topology: self.topology,
            frames: &self.nodes.frames,
            labels: self.nodes.labels.lengths(),
            num_frames: self.shape[1],
            columns: self.shape[2],
        }
    }

    fn check<F>(&self, what: &'static str, slice: &[F]) -> Result<()> {
        if slice.len() != self.shape.iter().product::<usize>() {
            return Err(Error::Shape {
                what,
                expected: format!("{:?} values", self.shape),
                got: vec![slice.len()],
            });
        }
        Ok(())
    }

    fn scores<F: Real>(&self, b: usize, logits: &[F]) -> (Vec<F>, Vec<Norm<F>>) {
        let cells = self.shape[1] * self.shape[2];
        let (mut scores, mut norms) = (vec![F::default(); 2 * cells], vec![Norm::default(); cells]);
        rows::scores(&self.nodes, b, self.extents(), logits, &mut scores, &mut norms);
        (scores, norms)
    }

    /// Loss of an utterance, and the gradient of its scores.
    fn recursion<F: Real>(&self, b: usize, scores: &[F]) -> Result<(f64, Vec<F>)> {
        let mut slopes = vec![F::default(); scores.len()];
        let utterance = self.batch().utterance(b, scores, &[]);
        Ok((self.options.one(&utterance, Some(&mut slopes))?, slopes))
    }
}
