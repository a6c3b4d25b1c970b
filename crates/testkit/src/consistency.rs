//! The laws that every consistency loss obeys.

use candle_core::{DType, Device, Tensor, Var};
use sandhi_core::{ArcScores, Consistency, Error, Lengths, Padded, Pair, Result};

use crate::{Tolerance, check_gradient, poison_padding, uniform};

/// Frames and labels of the utterances. Both are stored with one position more than the longest, so that all have padding.
const EXTENTS: [(usize, usize); 3] = [(5, 3), (3, 2), (4, 4)];
/// Width of the embeddings.
const WIDTH: usize = 3;

/// Checks every law that a [`Consistency`] must obey.
///
/// * **Shape**: it is `[B]`, of the embeddings' dtype; in f32 it is what it is in f64, to single precision.
/// * **Sign**: it is finite and not negative. For a loss that may be, there is [`check_signed_consistency`].
/// * **Determinism**: the same pair has the same loss, to the bit.
/// * **Padding**: with NaN, ∞ or 1e30 in the padding of speech, text and arcs, the loss and its gradient have the same bits,
///   and the gradient there is 0.
/// * **Batch**: every utterance by itself, stored without padding, has the loss it has in the batch; in another order the
///   losses come in that order.
/// * **Gradient**: with respect to speech and text it equals central differences in f64, and of every utterance some of it
///   reaches both.
///
/// It assumes that T ≥ U ≥ 1 is enough for an alignment: the batch has 5 frames by 3 labels, 3 by 2 and 4 by 4, of width 3,
/// with values drawn from −1..1 and arc scores from −2..0; and that the loss is differentiable there, as a minimum or an
/// absolute value is almost everywhere. A gradient with respect to the arcs is the loss's own matter.
///
/// # Errors
///
/// [`Error::Invalid`] that says which law is broken and where; any error of the loss.
///
/// # Proved by
///
/// `an_honest_loss_obeys_every_law`, and one test for each way to break one: `padding_that_is_read_is_caught` and its
/// neighbors.
pub fn check_consistency(loss: &dyn Consistency) -> Result<()> {
    check_signed_consistency(loss)?;
    let values = floats(&loss_of(loss, &Batch::new()?)?)?;
    match values.iter().position(|&value| value < 0.0) {
        Some(b) => broken(loss, format!("utterance {b} has a negative loss, {}", values[b])),
        None => Ok(()),
    }
}

/// [`check_consistency`] without the sign, for a loss that may be negative by its nature, as a soft minimum may.
///
/// # Errors
///
/// As [`check_consistency`].
///
/// # Proved by
///
/// `a_negative_loss_is_caught_unless_it_may_be`.
pub fn check_signed_consistency(loss: &dyn Consistency) -> Result<()> {
    let batch = Batch::new()?;
    check_shape(loss, &batch)?;
    check_padding(loss, &batch)?;
    check_batching(loss, &batch)?;
    check_slopes(loss, &batch)
}

/// Speech, text and arcs of the same utterances.
struct Batch {
    speech: Padded,
    text: Padded,
    arcs: ArcScores,
}

impl Batch {
    fn new() -> Result<Self> {
        let frames = Lengths::new(EXTENTS.iter().map(|extent| extent.0).collect());
        let labels = Lengths::new(EXTENTS.iter().map(|extent| extent.1).collect());
        let (batch, t, u) = (EXTENTS.len(), frames.max() + 1, labels.max() + 1);
        Ok(Self {
            speech: Padded::new(uniform(1, &[batch, t, WIDTH], -1.0, 1.0)?, frames.clone())?,
            text: Padded::new(uniform(2, &[batch, u, WIDTH], -1.0, 1.0)?, labels.clone())?,
            arcs: ArcScores::from_nodes(uniform(3, &[batch, t, u + 1, 2], -2.0, 0.0)?, frames, labels)?,
        })
    }

    fn pair(&self) -> Pair<'_> {
        Pair {
            speech: &self.speech,
            text: &self.text,
            arcs: &self.arcs,
        }
    }

    /// The same utterances with other embeddings.
    fn with(&self, speech: Tensor, text: Tensor) -> Result<Self> {
        Ok(Self {
            speech: self.speech.with_values(speech)?,
            text: self.text.with_values(text)?,
            arcs: self.arcs.clone(),
        })
    }

    /// The same utterances with `poison` wherever nothing may be read.
    fn poisoned(&self, poison: f64) -> Result<Self> {
        let (frames, labels) = (self.speech.lengths(), self.text.lengths());
        let nodes = self.arcs.nodes();
        let (batch, t, columns, _) = nodes.dims4()?;
        let mut scores = floats(nodes)?;
        for (i, score) in scores.iter_mut().enumerate() {
            let (b, frame, column, is_label) = (
                i / (t * columns * 2),
                i / (columns * 2) % t,
                i / 2 % columns,
                i % 2 == 1,
            );
            // No label leaves the last column.
            let past = column + usize::from(is_label) > labels.get(b);
            if frame >= frames.get(b) || past {
                *score = poison;
            }
        }
        let nodes = Tensor::from_vec(scores, (batch, t, columns, 2), &Device::Cpu)?;
        Ok(Self {
            arcs: ArcScores::from_nodes(nodes, frames.clone(), labels.clone())?,
            ..self.with(
                poison_padding(self.speech.values(), frames, poison)?,
                poison_padding(self.text.values(), labels, poison)?,
            )?
        })
    }

    /// These utterances, in this order, stored without more padding than they need.
    fn pick(&self, utterances: &[usize]) -> Result<Self> {
        let pick = |lengths: &Lengths| Lengths::new(utterances.iter().map(|&b| lengths.get(b)).collect());
        let (frames, labels) = (pick(self.speech.lengths()), pick(self.text.lengths()));
        let rows: Vec<u32> = utterances.iter().map(|&b| b as u32).collect();
        let rows = Tensor::from_vec(rows, utterances.len(), &Device::Cpu)?;
        let cut = |x: &Tensor, extent: usize| x.index_select(&rows, 0)?.narrow(1, 0, extent)?.contiguous();
        let nodes = cut(self.arcs.nodes(), frames.max())?;
        let nodes = nodes.narrow(2, 0, labels.max() + 1)?.contiguous()?;
        Ok(Self {
            speech: Padded::new(cut(self.speech.values(), frames.max())?, frames.clone())?,
            text: Padded::new(cut(self.text.values(), labels.max())?, labels.clone())?,
            arcs: ArcScores::from_nodes(nodes, frames, labels)?,
        })
    }

    /// The same utterances in single precision.
    fn single(&self) -> Result<Self> {
        let single = |x: &Tensor| x.to_dtype(DType::F32);
        Ok(Self {
            arcs: ArcScores::from_nodes(
                single(self.arcs.nodes())?,
                self.arcs.frames().clone(),
                self.arcs.labels().clone(),
            )?,
            ..self.with(single(self.speech.values())?, single(self.text.values())?)?
        })
    }
}

fn loss_of(loss: &dyn Consistency, batch: &Batch) -> Result<Tensor> {
    loss.loss(batch.pair())
}

fn floats(x: &Tensor) -> Result<Vec<f64>> {
    Ok(x.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

fn broken(loss: &dyn Consistency, why: String) -> Result<()> {
    Err(Error::Invalid {
        what: "consistency",
        why: format!("{}: {why}", loss.name()),
    })
}

fn check_shape(loss: &dyn Consistency, batch: &Batch) -> Result<()> {
    let double = loss_of(loss, batch)?;
    let single = loss_of(loss, &batch.single()?)?;
    for (got, dtype) in [(&double, DType::F64), (&single, DType::F32)] {
        if got.dims() != [EXTENTS.len()] || got.dtype() != dtype {
            let why = format!(
                "expected shape [{}] and {dtype:?}, got {:?} and {:?}",
                EXTENTS.len(),
                got.dims(),
                got.dtype()
            );
            return broken(loss, why);
        }
    }
    let values = floats(&double)?;
    for (b, (&value, single)) in values.iter().zip(floats(&single)?).enumerate() {
        if !value.is_finite() {
            return broken(loss, format!("utterance {b} has the loss {value}"));
        }
        if !Tolerance::SINGLE.holds(single, value) {
            return broken(
                loss,
                format!("utterance {b} has the loss {value}, and in single precision {single}"),
            );
        }
    }
    let again = floats(&loss_of(loss, batch)?)?;
    if bits(&again) != bits(&values) {
        return broken(
            loss,
            format!("the same pair has the losses {values:?}, then {again:?}"),
        );
    }
    Ok(())
}

/// The values' own bits, in which NaN equals itself.
fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The losses, and the gradients of their sum with respect to speech and text.
fn with_gradients(loss: &dyn Consistency, batch: &Batch) -> Result<[Vec<f64>; 3]> {
    let speech = Var::from_tensor(batch.speech.values())?;
    let text = Var::from_tensor(batch.text.values())?;
    let values = loss_of(
        loss,
        &batch.with(speech.as_tensor().clone(), text.as_tensor().clone())?,
    )?;
    let gradients = values.sum_all()?.backward()?;
    let of = |var: &Var, which: &str| match gradients.get(var) {
        Some(gradient) => floats(gradient),
        None => Err(Error::Invalid {
            what: "consistency",
            why: format!("{}: no gradient reaches the {which}", loss.name()),
        }),
    };
    Ok([floats(&values)?, of(&speech, "speech")?, of(&text, "text")?])
}

fn check_padding(loss: &dyn Consistency, batch: &Batch) -> Result<()> {
    let clean = with_gradients(loss, batch)?;
    for poison in [f64::NAN, f64::INFINITY, 1e30] {
        let poisoned = with_gradients(loss, &batch.poisoned(poison)?)?;
        let names = ["the loss", "the gradient of speech", "the gradient of text"];
        for (name, (clean, poisoned)) in names.into_iter().zip(clean.iter().zip(&poisoned)) {
            if bits(clean) != bits(poisoned) {
                return broken(
                    loss,
                    format!("{name} reads padding: it changes with {poison} there"),
                );
            }
        }
    }
    let sequences = [
        ("speech", &batch.speech, &clean[1]),
        ("text", &batch.text, &clean[2]),
    ];
    for (which, sequence, gradient) in sequences {
        let (_, extent, _) = sequence.dims();
        for (i, &slope) in gradient.iter().enumerate() {
            let (b, position) = (i / (extent * WIDTH), i / WIDTH % extent);
            if position >= sequence.lengths().get(b) && slope != 0.0 {
                let why = format!("utterance {b}: the padding of {which} has the gradient {slope}");
                return broken(loss, why);
            }
        }
        for (b, of_one) in gradient.chunks(extent * WIDTH).enumerate() {
            if of_one.iter().all(|&slope| slope == 0.0) {
                return broken(loss, format!("utterance {b}: the gradient of {which} is zero"));
            }
        }
    }
    Ok(())
}

fn check_batching(loss: &dyn Consistency, batch: &Batch) -> Result<()> {
    let together = floats(&loss_of(loss, batch)?)?;
    let check = |how: &str, utterances: &[usize]| -> Result<()> {
        let picked = floats(&loss_of(loss, &batch.pick(utterances)?)?)?;
        for (&b, &got) in utterances.iter().zip(&picked) {
            if !Tolerance::PROOF.holds(got, together[b]) {
                let why = format!(
                    "utterance {b} has the loss {} in the batch and {got} {how}",
                    together[b]
                );
                return broken(loss, why);
            }
        }
        Ok(())
    };
    for b in 0..EXTENTS.len() {
        check("by itself", &[b])?;
    }
    let backwards: Vec<usize> = (0..EXTENTS.len()).rev().collect();
    check("in another order", &backwards)
}

fn check_slopes(loss: &dyn Consistency, batch: &Batch) -> Result<()> {
    let inputs = [batch.speech.values().clone(), batch.text.values().clone()];
    let f = |x: &[Tensor]| loss_of(loss, &batch.with(x[0].clone(), x[1].clone())?);
    match check_gradient(&inputs, f, Tolerance::GRADIENT) {
        Err(Error::Invalid {
            what: "gradient",
            why,
        }) => broken(
            loss,
            format!("the gradient (input 0 is speech, 1 is text): {why}"),
        ),
        other => other,
    }
}
