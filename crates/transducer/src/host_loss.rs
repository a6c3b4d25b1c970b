//! The RNN-T loss of logits in host memory, without tensors: for buffers that are reused.

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
/// slice does not hold B · T · (U+1) · V numbers. After an error the gradient is unspecified; logits are still whole.
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
        let (scores, _) = self.scores(logits);
        self.recursion(&scores, None)
    }

    /// The losses; every element of `gradient` is set to that of their sum.
    ///
    /// # Errors
    ///
    /// See [`HostLoss`].
    pub fn with_gradient<F: Real>(&self, logits: &[F], gradient: &mut [F]) -> Result<Vec<f64>> {
        self.check("logits", logits)?;
        self.check("gradient", gradient)?;
        let (scores, norms) = self.scores(logits);
        let mut slopes = vec![F::default(); scores.len()];
        let losses = self.recursion(&scores, Some(&mut slopes))?;
        rows::gradients(
            &self.nodes,
            self.extents(),
            Some(logits),
            &norms,
            &slopes,
            gradient,
        );
        Ok(losses)
    }

    /// The losses; the logits become the gradient of their sum.
    ///
    /// # Errors
    ///
    /// See [`HostLoss`].
    pub fn in_place<F: Real>(&self, logits: &mut [F]) -> Result<Vec<f64>> {
        self.check("logits", logits)?;
        let (scores, norms) = self.scores(logits);
        let mut slopes = vec![F::default(); scores.len()];
        let losses = self.recursion(&scores, Some(&mut slopes))?;
        rows::gradients(&self.nodes, self.extents(), None, &norms, &slopes, logits);
        Ok(losses)
    }

    fn extents(&self) -> (usize, usize, usize) {
        let [_, num_frames, columns, vocabulary] = self.shape;
        (num_frames, columns, vocabulary)
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

    fn scores<F: Real>(&self, logits: &[F]) -> (Vec<F>, Vec<Norm<F>>) {
        let cells = self.shape[..3].iter().product::<usize>();
        let mut scores = vec![F::default(); 2 * cells];
        let mut norms = vec![Norm::default(); cells];
        rows::scores(&self.nodes, self.extents(), logits, &mut scores, &mut norms);
        (scores, norms)
    }

    fn recursion<F: Real>(&self, scores: &[F], slopes: Option<&mut [F]>) -> Result<Vec<f64>> {
        let [_, num_frames, columns, _] = self.shape;
        let batch = Batch {
            topology: self.topology,
            frames: &self.nodes.frames,
            labels: self.nodes.labels.lengths(),
            num_frames,
            columns,
        };
        let losses = match slopes {
            Some(slopes) => batch.each_with(scores, slopes, |utterance, slopes| {
                self.options.one(utterance, Some(slopes))
            }),
            None => batch.each(scores, None, |utterance| self.options.one(utterance, None)),
        };
        losses.into_iter().collect()
    }
}
