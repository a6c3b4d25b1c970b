//! The reference without any alignment: averages over time.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result as TensorResult, Shape, Tensor, WithDType};
use sandhi_core::{Consistency, Distance, Error, Lengths, Padded, Pair, Result, host, pairwise};

use crate::record::vector;

/// The distance of the mean speech frame to the mean text embedding, times the number of labels.
///
/// It sees what an utterance contains and not in which order. The factor U puts it in the unit of the losses that sum over
/// labels. An utterance without labels costs 0.
///
/// # Equation
///
/// ```text
/// L(b) = U_b · d((1/T_b) Σ_t speech(b, t), (1/U_b) Σ_u text(b, u))
/// ```
///
/// # Shapes
///
/// * `speech`: `[B, T, D]`, `text`: `[B, U, D]`, f32 or f64. Padding is not read and gets gradient 0.
/// * returns `[B]`, in the unit of the distance, summed over the labels. Not reduced.
///
/// # Errors
///
/// [`Error::NoAlignment`] naming the first utterance with labels but no frames; otherwise as [`pairwise`].
///
/// # Proved by
///
/// `frame_average_equals_the_formula`, `frame_average_of_shuffled_frames_is_the_same`, `consistencies_obey_the_laws`.
pub fn frame_average_cost(distance: Distance, speech: &Padded, text: &Padded) -> Result<Tensor> {
    let (speech_mean, text_mean) = (mean(speech)?, mean(text)?);
    let distances = pairwise(distance, &speech_mean, &text_mean)?;
    let (frames, labels) = (speech.lengths().as_slice(), text.lengths().as_slice());
    let missing = |(&frames, &labels): (&usize, &usize)| frames == 0 && labels > 0;
    if let Some(utterance) = frames.iter().zip(labels).position(missing) {
        return Err(Error::NoAlignment {
            utterance,
            frames: 0,
            labels: labels[utterance],
        });
    }
    let counts: Vec<f64> = labels.iter().map(|&labels| labels as f64).collect();
    let counts = Tensor::from_vec(counts, labels.len(), distances.device())?.to_dtype(distances.dtype())?;
    Ok((distances.reshape(labels.len())? * counts)?)
}

/// One vector per utterance, `[B, 1, D]`: the mean over its length. Of nothing it is padding.
fn mean(x: &Padded) -> Result<Padded> {
    let lengths = Lengths::new(x.lengths().as_slice().iter().map(|&n| n.min(1)).collect());
    let dtype = x.values().dtype();
    if !matches!(dtype, DType::F32 | DType::F64) {
        return Err(Error::Invalid {
            what: "embeddings",
            why: format!("expected f32 or f64, got {}", dtype.as_str()),
        });
    }
    let op = Mean {
        lengths: x.lengths().clone(),
    };
    Padded::new(x.values().contiguous()?.apply_op1(op)?, lengths)
}

/// Sums valid frames only: a mask would let NaN in the padding through.
struct Mean {
    lengths: Lengths,
}

impl Mean {
    fn forward<F: WithDType>(&self, x: &[F], (extent, dim): (usize, usize)) -> Vec<f64> {
        let mut means = vec![0.0; self.lengths.len() * dim];
        for (b, mean) in means.chunks_mut(dim.max(1)).enumerate() {
            let length = self.lengths.get(b);
            for frame in x[b * extent * dim..][..length * dim].chunks(dim.max(1)) {
                for (mean, &x) in mean.iter_mut().zip(frame) {
                    *mean += x.to_f64() / length as f64;
                }
            }
        }
        means
    }

    fn backward<F: WithDType>(&self, x: &Tensor, grad_res: &Tensor) -> TensorResult<Tensor> {
        let (_, extent, dim) = x.dims3()?;
        let mut gradient = vec![F::zero(); x.elem_count()];
        host::read(grad_res, |slopes: &[F]| {
            for (b, slopes) in slopes.chunks(dim.max(1)).enumerate() {
                let length = self.lengths.get(b);
                for frame in gradient[b * extent * dim..][..length * dim].chunks_mut(dim.max(1)) {
                    for (gradient, &slope) in frame.iter_mut().zip(slopes) {
                        *gradient = F::from_f64(slope.to_f64() / length as f64);
                    }
                }
            }
        })?;
        Tensor::from_vec(gradient, x.shape(), x.device())
    }
}

impl CustomOp1 for Mean {
    fn name(&self) -> &'static str {
        "mean-over-time"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> TensorResult<(CpuStorage, Shape)> {
        let (batch, extent, dim) = layout.shape().dims3()?;
        let means = match storage {
            CpuStorage::F32(_) => self.forward::<f32>(host::slice(storage, layout)?, (extent, dim)),
            _ => self.forward::<f64>(host::slice(storage, layout)?, (extent, dim)),
        };
        Ok((vector(&means, storage), (batch, 1, dim).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad_res: &Tensor) -> TensorResult<Option<Tensor>> {
        Ok(Some(match x.dtype() {
            DType::F32 => self.backward::<f32>(x, grad_res)?,
            _ => self.backward::<f64>(x, grad_res)?,
        }))
    }
}

/// The distance of the averages of speech and text over time, as a consistency. The transducer's arcs play no part.
///
/// Equation, shapes and errors are those of [`frame_average_cost`], of the pair's speech and text.
///
/// # Proved by
///
/// `consistencies_obey_the_laws`, `frame_average_equals_the_formula`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameAverage {
    /// How far the two averages are apart.
    pub distance: Distance,
}

impl Consistency for FrameAverage {
    fn name(&self) -> &'static str {
        "frame-average"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        frame_average_cost(self.distance, pair.speech, pair.text)
    }
}
