//! Predicting the codes of masked frames.

use candle_core::{Module, Tensor, WithDType};
use rayon::prelude::*;
use sandhi_core::{Error, Padded, Result, check_memory, host};
use sandhi_nn::{Linear, Params, ops};

use crate::Targets;

/// What predicting the masked frames of a batch costs, and how often it succeeds.
///
/// Without a masked frame the loss is 0 with gradient 0, and there is no accuracy.
#[derive(Clone, Debug)]
pub struct MaskedLoss {
    /// `[B]`, nats: summed over the masked frames of each utterance, averaged over codebooks.
    pub per_utterance: Tensor,
    /// The number of masked frames of each utterance.
    pub num_masked: Vec<usize>,
    /// For each codebook, the number of masked frames whose code has the largest logit (the first of equals).
    pub num_correct: Vec<usize>,
}

impl MaskedLoss {
    /// The number of masked frames of the batch.
    pub fn total_masked(&self) -> usize {
        self.num_masked.iter().sum()
    }

    /// The share of masked frames whose code of codebook `c` is predicted; none if no frame is masked.
    ///
    /// # Panics
    ///
    /// If there is no such codebook.
    pub fn accuracy(&self, c: usize) -> Option<f64> {
        let total = self.total_masked();
        (total > 0).then(|| self.num_correct[c] as f64 / total as f64)
    }
}

/// The head that predicts codes: a linear map from the encoder's width to the logits of all codebooks.
///
/// It belongs to pre-training and is thrown away with it. Only masked frames are projected, so `[B, T, codes]` never exists.
///
/// # Proved by
///
/// `head_equals_the_loss_of_its_logits`, `head_gradient_equals_differences`.
#[derive(Clone, Debug)]
pub struct MaskedPrediction {
    output: Linear,
    num_codebooks: usize,
    codebook_size: usize,
}

impl MaskedPrediction {
    /// `weight` `[num_codebooks · codebook_size, dim]` and `bias`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if there is nothing to predict; as [`Params::get`].
    pub fn new(dim: usize, num_codebooks: usize, codebook_size: usize, params: &Params) -> Result<Self> {
        if num_codebooks == 0 || codebook_size == 0 {
            return Err(Error::Invalid {
                what: "masked prediction",
                why: format!(
                    "expected at least one codebook and code, got {num_codebooks} and {codebook_size}"
                ),
            });
        }
        Ok(Self {
            output: Linear::new(dim, num_codebooks * codebook_size, params)?,
            num_codebooks,
            codebook_size,
        })
    }

    /// The loss of [`masked_prediction_loss`], from the encoder's output.
    ///
    /// # Shapes
    ///
    /// * `encoded`: `[B, T, D]`, f32 or f64. Only masked frames are read; the others and padding get gradient 0.
    /// * `targets`, `masked`: as [`masked_prediction_loss`].
    ///
    /// # Errors
    ///
    /// As [`masked_prediction_loss`]; [`Error::Shape`] if the width is not the head's; [`Error::Invalid`] if the codebooks
    /// are not.
    pub fn loss(&self, encoded: &Padded, targets: &Targets, masked: &[Vec<bool>]) -> Result<MaskedLoss> {
        let (expected, got) = (
            (self.num_codebooks, self.codebook_size),
            (targets.num_codebooks(), targets.codebook_size()),
        );
        if expected != got {
            return Err(Error::Invalid {
                what: "targets",
                why: format!(
                    "expected {} codebooks of {} codes, as the head has, got {} of {}",
                    expected.0, expected.1, got.0, got.1
                ),
            });
        }
        let width = self.output.weight().dims()[1];
        let gathered = Gathered::new("encoded", encoded, width, targets, masked)?;
        check_memory(
            "logits of masked frames",
            &[
                ("frames", gathered.num_frames()),
                ("codebooks", got.0),
                ("codes", got.1),
            ],
            encoded.values().dtype().size_in_bytes(),
        )?;
        let logits = self.output.forward(&gathered.rows)?;
        gathered.loss(&logits, targets)
    }
}

/// Cross entropy of the codes of masked frames.
///
/// # Equation
///
/// ```text
/// L(b) = −1/C Σ_{t masked} Σ_c ln softmax(logits(b, t, c))[y(b, t, c)]
/// ```
///
/// # Shapes
///
/// * `logits`: `[B, T, C·V]`, f32 or f64, those of a codebook side by side. Only masked frames are read; the others and
///   padding get gradient 0.
/// * `targets`: C codes below V for each frame.
/// * `masked`: for each utterance and frame, whether it counts.
/// * returns `[B]`, nats, with the counts. Not reduced.
///
/// # Errors
///
/// [`Error::Shape`] on another width; [`Error::BatchSize`] or [`Error::Invalid`] naming the utterance if targets or masks
/// are not as many as frames; [`Error::Tensor`] for another dtype.
///
/// # Source
///
/// Chiu et al. 2022, arXiv:2202.01855, section 3; the mean over codebooks as in Zhang et al. 2023, arXiv:2303.01037.
///
/// # Proved by
///
/// `masked_loss_equals_plain_loops`, `masked_loss_of_even_logits_is_ln_codes`, `masked_loss_gradient_equals_differences`,
/// `masked_loss_reads_masked_frames_only`, `masked_loss_without_masked_frames_is_zero`,
/// `masked_loss_of_a_batch_equals_its_utterances`.
pub fn masked_prediction_loss(
    logits: &Padded,
    targets: &Targets,
    masked: &[Vec<bool>],
) -> Result<MaskedLoss> {
    let width = targets.num_codebooks() * targets.codebook_size();
    let gathered = Gathered::new("logits", logits, width, targets, masked)?;
    gathered.loss(&gathered.rows, targets)
}

/// The masked frames of a batch, one after the other.
struct Gathered {
    /// `[frames, width]`.
    rows: Tensor,
    /// (utterance, frame) of each.
    places: Vec<(usize, usize)>,
    batch: usize,
}

impl Gathered {
    fn new(
        what: &'static str,
        x: &Padded,
        width: usize,
        targets: &Targets,
        masked: &[Vec<bool>],
    ) -> Result<Self> {
        let (batch, extent, got) = x.dims();
        if got != width {
            return Err(Error::Shape {
                what,
                expected: format!("[B, T, {width}]"),
                got: x.values().dims().to_vec(),
            });
        }
        let lengths = x.lengths().as_slice();
        agree("targets", lengths, targets.lengths().as_slice())?;
        let given: Vec<usize> = masked.iter().map(Vec::len).collect();
        agree("masked frames", lengths, &given)?;
        let of = |(b, row): (usize, &Vec<bool>)| {
            let masked = row.iter().enumerate().filter(|&(_, &masked)| masked);
            masked.map(|(t, _)| (b, t)).collect::<Vec<_>>()
        };
        let places: Vec<(usize, usize)> = masked.iter().enumerate().flat_map(of).collect();
        let index: Vec<u32> = places.iter().map(|&(b, t)| (b * extent + t) as u32).collect();
        let index = Tensor::from_vec(index, places.len(), x.values().device())?;
        let rows = x.values().contiguous()?.reshape((batch * extent, width))?;
        Ok(Self {
            rows: rows.index_select(&index, 0)?,
            places,
            batch,
        })
    }

    fn num_frames(&self) -> usize {
        self.places.len()
    }

    /// From logits `[frames, C·V]` of the gathered frames.
    fn loss(&self, logits: &Tensor, targets: &Targets) -> Result<MaskedLoss> {
        let (frames, books, codes) = (
            self.num_frames(),
            targets.num_codebooks(),
            targets.codebook_size(),
        );
        let wanted: Vec<Option<u32>> = self
            .places
            .iter()
            .flat_map(|&(b, t)| targets.frame(b, t).iter().copied().map(Some))
            .collect();
        let logits = logits.reshape((frames, books, codes))?;
        let per_code = ops::cross_entropy(&logits, &wanted, 0.0)?;
        let per_frame = (per_code.sum(1)? / books as f64)?;
        let utterances: Vec<u32> = self.places.iter().map(|&(b, _)| b as u32).collect();
        let utterances = Tensor::from_vec(utterances, frames, logits.device())?;
        let zeros = Tensor::zeros(self.batch, logits.dtype(), logits.device())?;
        let per_utterance = zeros.index_add(&utterances, &per_frame, 0)?;
        let mut num_masked = vec![0; self.batch];
        for &(b, _) in &self.places {
            num_masked[b] += 1;
        }
        let num_correct = match logits.dtype() {
            candle_core::DType::F64 => num_correct::<f64>(&logits, &wanted, books)?,
            _ => num_correct::<f32>(&logits, &wanted, books)?,
        };
        Ok(MaskedLoss {
            per_utterance,
            num_masked,
            num_correct,
        })
    }
}

/// Checks that there is one row for each utterance, and one element of it for each frame.
fn agree(what: &'static str, frames: &[usize], got: &[usize]) -> Result<()> {
    if got.len() != frames.len() {
        return Err(Error::BatchSize {
            what,
            expected: frames.len(),
            got: got.len(),
        });
    }
    match frames.iter().zip(got).position(|(frames, got)| frames != got) {
        Some(utterance) => Err(Error::Invalid {
            what,
            why: format!(
                "utterance {utterance} has {} encoder frames, but {} are given",
                frames[utterance], got[utterance]
            ),
        }),
        None => Ok(()),
    }
}

/// For each codebook, how many of its rows of logits are largest at the wanted code.
fn num_correct<T: WithDType>(logits: &Tensor, wanted: &[Option<u32>], books: usize) -> Result<Vec<usize>> {
    let codes = logits.dims()[2];
    let hits: Vec<bool> = host::read(logits, |logits: &[T]| {
        let hit = |(row, wanted): (&[T], &Option<u32>)| {
            wanted.is_some_and(|wanted| {
                let (before, from) = row.split_at(wanted as usize);
                // Comparisons with NaN are false, so that logits that are not numbers are never right.
                before.iter().all(|x| *x < from[0]) && from.iter().all(|x| *x <= from[0])
            })
        };
        logits.par_chunks(codes).zip(wanted).map(hit).collect()
    })?;
    let mut counts = vec![0; books];
    for (i, hit) in hits.into_iter().enumerate() {
        counts[i % books] += usize::from(hit);
    }
    Ok(counts)
}
