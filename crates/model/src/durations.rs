//! How many frames a label lasts: what models that upsample text have to know.

use candle_core::{Module, Tensor};
use sandhi_core::{Error, Labels, Padded, Result};
use sandhi_nn::ops::{self, zero_padding};
use sandhi_nn::{GatedConv, Init, LayerNorm, Linear, Params};

/// Frames that a label of a new model is taken to last.
const START: f64 = 2.0;
/// The table's values count this much, so that a mean can move by frames within a few hundred steps of AdamW, whose step
/// does not depend on how large a value is.
const SCALE: f64 = 10.0;
/// Whole frames cannot have a smaller variance than the rounding they come from.
const ROUNDING: f64 = 1.0 / 12.0;

/// A Gaussian for the duration of each label, learned by maximum likelihood.
#[derive(Clone, Debug)]
pub struct LabelDurations {
    table: Tensor,
}

impl LabelDurations {
    /// `table` `[vocabulary, 2]`, zeros: every label lasts two frames, give or take one.
    ///
    /// # Errors
    ///
    /// As [`Params::get`].
    pub fn new(vocabulary: usize, params: &Params) -> Result<Self> {
        Ok(Self {
            table: params.get("table", &[vocabulary, 2], Init::Zeros)?,
        })
    }

    /// Negative log-likelihood of durations, up to a constant.
    ///
    /// # Equation
    ///
    /// ```text
    /// L(b) = Σ_u (d_u − μ(y_u))² / 2σ²(y_u) + ln σ(y_u)        σ² ≥ 1/12
    /// ```
    ///
    /// # Shapes
    ///
    /// * `durations`: a number of frames for each label; returns `[B]`, nats, not reduced.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] or [`Error::BatchSize`] unless there is one duration for each label; [`Error::Label`].
    ///
    /// # Proved by
    ///
    /// `label_durations_learn_mean_and_deviation`, `label_durations_loss_equals_the_formula`.
    pub fn loss(&self, labels: &Labels, durations: &[Vec<usize>]) -> Result<Tensor> {
        labels.check_vocabulary(self.table.dims()[0])?;
        let target = durations_tensor(labels, durations, self.table.dtype(), |d| d as f64)?;
        let values = ops::embedding(&self.table, &padded_ids(labels))?; // [B, U, 2]
        let mean = values.narrow(2, 0, 1)?.affine(SCALE, START)?;
        let variance = (values.narrow(2, 1, 1)?.affine(SCALE, 0.0)?.exp()? + ROUNDING)?;
        let squares = (target - mean)?.sqr()?;
        let nats = ((squares / &variance)? + variance.log()?)?.affine(0.5, 0.0)?;
        sum_of_valid(&nats, labels)
    }

    /// Mean and standard deviation of every label's duration, in frames.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the table cannot be read.
    pub fn gaussians(&self) -> Result<Vec<(f64, f64)>> {
        let rows = self.table.to_dtype(candle_core::DType::F64)?.to_vec2::<f64>()?;
        let gaussian = |row: Vec<f64>| (START + SCALE * row[0], ((SCALE * row[1]).exp() + ROUNDING).sqrt());
        Ok(rows.into_iter().map(gaussian).collect())
    }
}

/// Durations read off text embeddings, so that they depend on the context: norm, gated convolution over three labels,
/// one number.
#[derive(Clone, Debug)]
pub struct DurationPredictor {
    norm: LayerNorm,
    expand: Linear,
    conv: GatedConv,
    output: Linear,
}

impl DurationPredictor {
    /// For embeddings of width `dim`.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn new(dim: usize, params: &Params) -> Result<Self> {
        Ok(Self {
            norm: LayerNorm::new(dim, &params.scope("norm"))?,
            expand: Linear::new(dim, 2 * dim, &params.scope("expand"))?,
            conv: GatedConv::new(dim, 3, &params.scope("conv"))?,
            output: Linear::new(dim, 1, &params.scope("output"))?,
        })
    }

    /// ln of the number of frames of each label, `[B, U, 1]`.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] on a wrong width.
    pub fn forward(&self, text: &Padded) -> Result<Tensor> {
        let x = zero_padding(text.values(), text.lengths())?;
        let x = self.expand.forward(&self.norm.forward(&x)?)?;
        let x = self.conv.forward(&x, text.lengths())?;
        Ok(self.output.forward(&x)?)
    }

    /// Squared error in the logarithm, summed over the labels.
    ///
    /// # Equation
    ///
    /// ```text
    /// L(b) = Σ_u (ln d̂_u − ln max(d_u, 1))²
    /// ```
    ///
    /// # Shapes
    ///
    /// * `text`: `[B, U, D]`; `durations`: a number of frames for each label; returns `[B]`, not reduced.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] or [`Error::BatchSize`] unless there is one duration for each label.
    ///
    /// # Proved by
    ///
    /// `duration_predictor_learns_what_depends_on_the_context`.
    pub fn loss(&self, text: &Padded, labels: &Labels, durations: &[Vec<usize>]) -> Result<Tensor> {
        let dtype = text.values().dtype();
        let target = durations_tensor(labels, durations, dtype, |d| (d.max(1) as f64).ln())?;
        sum_of_valid(&(self.forward(text)? - target)?.sqr()?, labels)
    }

    /// The number of frames of each label, rounded, from 1 to `most`.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] on a wrong width.
    pub fn durations(&self, text: &Padded, most: usize) -> Result<Vec<Vec<usize>>> {
        let x = self
            .forward(text)?
            .squeeze(2)?
            .to_dtype(candle_core::DType::F64)?;
        let rows = x.to_vec2::<f64>()?.into_iter().zip(text.lengths().as_slice());
        Ok(rows
            .map(|(row, &n)| row[..n].iter().map(|x| whole(x.exp(), most)).collect())
            .collect())
    }
}

/// A duration as a number of frames, from 1 to `most`; 1 if it is not a number.
pub fn whole(frames: f64, most: usize) -> usize {
    // A cast of what is not a number gives 0.
    (frames.round() as usize).clamp(1, most.max(1))
}

/// Rows of one length; what is beyond an utterance's labels is the blank, which has a row in every table.
pub(crate) fn padded_ids(labels: &Labels) -> Vec<Vec<u32>> {
    let row = |row: &Vec<u32>| {
        let mut ids = vec![labels.blank(); labels.max_len()];
        ids[..row.len()].copy_from_slice(row);
        ids
    };
    labels.rows().iter().map(row).collect()
}

/// `[B, U, 1]`, zeros in the padding.
fn durations_tensor(
    labels: &Labels,
    durations: &[Vec<usize>],
    dtype: candle_core::DType,
    value: impl Fn(usize) -> f64,
) -> Result<Tensor> {
    let (batch, extent) = (labels.batch_size(), labels.max_len());
    if durations.len() != batch {
        return Err(Error::BatchSize {
            what: "durations",
            expected: batch,
            got: durations.len(),
        });
    }
    let mut values = vec![0.0; batch * extent];
    for (b, (durations, labels)) in durations.iter().zip(labels.rows()).enumerate() {
        if durations.len() != labels.len() {
            return Err(Error::Length {
                what: "durations",
                utterance: b,
                length: durations.len(),
                max: labels.len(),
            });
        }
        for (to, &duration) in values[b * extent..].iter_mut().zip(durations) {
            *to = value(duration);
        }
    }
    let device = candle_core::Device::Cpu;
    Ok(Tensor::from_vec(values, (batch, extent, 1), &device)?.to_dtype(dtype)?)
}

/// `[B, U, 1]` to `[B]`.
fn sum_of_valid(x: &Tensor, labels: &Labels) -> Result<Tensor> {
    Ok(zero_padding(x, labels.lengths())?.sum((1, 2))?)
}
