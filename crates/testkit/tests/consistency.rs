//! The laws of a consistency catch every way to break one.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::atomic::{AtomicU32, Ordering};

use candle_core::{DType, Device, Tensor};
use sandhi_core::{Consistency, Distance, Error, Lengths, Padded, Pair, Result, pairwise};
use sandhi_testkit::{check_consistency, check_signed_consistency};

/// A loss made of a function.
struct Loss<F>(F);

impl<F: Fn(Pair<'_>) -> Result<Tensor>> Consistency for Loss<F> {
    fn name(&self) -> &'static str {
        "planted"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        self.0(pair)
    }
}

/// The mean distance of all frames to all labels: `[B]`, and honest.
fn mean_distance(pair: Pair<'_>) -> Result<Tensor> {
    let distances = pairwise(Distance::SquaredL2, pair.speech, pair.text)?;
    let cells = cells(pair.speech.lengths(), pair.text.lengths());
    Ok((per_utterance(&distances)? / cells.to_dtype(distances.dtype())?)?)
}

/// Sums over everything but the batch.
fn per_utterance(x: &Tensor) -> Result<Tensor> {
    Ok(x.flatten_from(1)?.sum(1)?)
}

/// T U of each utterance.
fn cells(frames: &Lengths, labels: &Lengths) -> Tensor {
    let lengths = frames.as_slice().iter().zip(labels.as_slice());
    let cells: Vec<f64> = lengths.map(|(&t, &u)| (t * u) as f64).collect();
    Tensor::new(cells, &Device::Cpu).unwrap()
}

/// The same values, said to be as long as they are stored.
fn whole(x: &Padded) -> Result<Padded> {
    let (batch, extent, _) = x.dims();
    Padded::new(x.values().clone(), Lengths::new(vec![extent; batch]))
}

/// What the check says of a loss that is broken.
fn verdict(loss: impl Fn(Pair<'_>) -> Result<Tensor>) -> String {
    check_consistency(&Loss(loss)).unwrap_err().to_string()
}

#[track_caller]
fn caught(loss: impl Fn(Pair<'_>) -> Result<Tensor>, why: &str) {
    let verdict = verdict(loss);
    assert!(
        verdict.starts_with("consistency: planted: ") && verdict.contains(why),
        "expected `{why}` in `{verdict}`"
    );
}

#[test]
fn an_honest_loss_obeys_every_law() {
    check_consistency(&Loss(mean_distance)).unwrap();
    check_signed_consistency(&Loss(mean_distance)).unwrap();
}

#[test]
fn a_loss_of_another_shape_is_caught() {
    caught(
        |pair| Ok(mean_distance(pair)?.unsqueeze(1)?),
        "expected shape [3]",
    );
    caught(|pair| Ok(mean_distance(pair)?.mean_all()?), "expected shape [3]");
    caught(|pair| Ok(mean_distance(pair)?.to_dtype(DType::F32)?), "F32");
}

#[test]
fn a_negative_loss_is_caught_unless_it_may_be() {
    let negative = |pair: Pair<'_>| Ok((mean_distance(pair)? - 0.5)?);
    caught(negative, "has a negative loss");
    check_signed_consistency(&Loss(negative)).unwrap();
}

#[test]
fn a_loss_that_is_not_finite_is_caught() {
    caught(|pair| Ok((mean_distance(pair)? * f64::NAN)?), "has the loss NaN");
    caught(|pair| Ok((mean_distance(pair)? / 0.0)?), "has the loss inf");
}

#[test]
fn a_loss_that_is_another_in_single_precision_is_caught() {
    let coarse = |pair: Pair<'_>| {
        let loss = mean_distance(pair)?;
        let shift = if loss.dtype() == DType::F32 { 1e-3 } else { 0.0 };
        Ok((loss + shift)?)
    };
    caught(coarse, "in single precision");
}

#[test]
fn a_loss_that_changes_by_itself_is_caught() {
    let calls = AtomicU32::new(0);
    let drifting = |pair: Pair<'_>| {
        let drift = f64::from(calls.fetch_add(1, Ordering::Relaxed)) * 1e-9;
        Ok((mean_distance(pair)? + drift)?)
    };
    caught(drifting, "the same pair has the losses");
}

#[test]
fn padding_that_is_read_is_caught() {
    let reads_speech = |pair: Pair<'_>| {
        let speech = whole(pair.speech)?;
        mean_distance(Pair {
            speech: &speech,
            ..pair
        })
    };
    caught(reads_speech, "reads padding");
    let reads_text = |pair: Pair<'_>| {
        let text = whole(pair.text)?;
        mean_distance(Pair { text: &text, ..pair })
    };
    caught(reads_text, "reads padding");
    // A mask of zeros does not keep NaN out.
    let masks = |pair: Pair<'_>| {
        let (_, extent, _) = pair.speech.dims();
        let mask = pair
            .speech
            .lengths()
            .mask(extent, pair.speech.values().dtype(), &Device::Cpu)?;
        let masked = pair.speech.values().broadcast_mul(&mask.unsqueeze(2)?)?;
        Ok((mean_distance(pair)? + per_utterance(&masked.sqr()?)?)?)
    };
    caught(masks, "reads padding");
}

#[test]
fn padding_of_the_arcs_that_is_read_is_caught() {
    let reads = |pair: Pair<'_>| Ok((mean_distance(pair)? + per_utterance(&pair.arcs.blank().exp()?)?)?);
    caught(reads, "reads padding");
    let reads = |pair: Pair<'_>| Ok((mean_distance(pair)? + per_utterance(&pair.arcs.label().exp()?)?)?);
    caught(reads, "reads padding");
}

#[test]
fn padding_that_gets_a_gradient_is_caught() {
    // Adds nothing to the loss, and one to the gradient.
    let leaks = |pair: Pair<'_>| {
        let values = pair.speech.values();
        let nothing = per_utterance(&(values - values.detach())?)?;
        Ok((mean_distance(pair)? + nothing)?)
    };
    // With NaN in the padding it is no longer nothing.
    caught(leaks, "reads padding");
    let leaks_quietly = |pair: Pair<'_>| {
        let values = pair.speech.values();
        let finite = values.eq(values)?;
        // NaN, infinity and 1e30 are passed over, ordinary numbers are not.
        let ordinary = (values.lt(1e3)? * finite)?;
        let quiet = ordinary.where_cond(values, &values.zeros_like()?)?;
        Ok((mean_distance(pair)? + per_utterance(&(&quiet - quiet.detach())?)?)?)
    };
    caught(leaks_quietly, "the gradient of speech reads padding");
}

#[test]
fn an_average_over_the_padded_length_is_caught() {
    let padded_mean = |pair: Pair<'_>| {
        let distances = pairwise(Distance::SquaredL2, pair.speech, pair.text)?;
        Ok(distances.flatten_from(1)?.mean(1)?)
    };
    caught(padded_mean, "by itself");
}

#[test]
fn a_loss_that_knows_its_batch_is_caught() {
    let normalized = |pair: Pair<'_>| {
        let loss = mean_distance(pair)?;
        Ok(loss.broadcast_div(&loss.sum_all()?.detach())?)
    };
    caught(normalized, "by itself");
    // By itself every utterance is the first, so only another order tells.
    let by_place = |pair: Pair<'_>| {
        let loss = mean_distance(pair)?;
        let place = |b: usize| if b > 1 { 1.0 + 0.1 * b as f64 } else { 1.0 };
        let n = loss.dims1()?;
        let others = pair.speech.lengths().as_slice();
        let factors: Vec<f64> = (0..n)
            .map(|b| if others[0] == 4 { place(b) } else { 1.0 })
            .collect();
        Ok((&loss * Tensor::new(factors, &Device::Cpu)?.to_dtype(loss.dtype())?)?)
    };
    caught(by_place, "in another order");
}

#[test]
fn a_detached_encoder_is_caught() {
    let held_text = |pair: Pair<'_>| {
        let text = pair.text.detach();
        mean_distance(Pair { text: &text, ..pair })
    };
    caught(held_text, "no gradient reaches the text");
    let held_speech = |pair: Pair<'_>| {
        let speech = pair.speech.detach();
        mean_distance(Pair {
            speech: &speech,
            ..pair
        })
    };
    caught(held_speech, "no gradient reaches the speech");
    // Detached, but multiplied by nothing, so that something does arrive.
    let zero = |pair: Pair<'_>| {
        let text = pair.text.detach();
        let held = mean_distance(Pair { text: &text, ..pair })?;
        let loss = mean_distance(pair)?;
        Ok((held + (&loss * loss.zeros_like()?)?)?)
    };
    caught(zero, "the gradient of text is zero");
}

#[test]
fn a_wrong_gradient_is_caught() {
    // Half of the loss does not tell where it comes from.
    let half = |pair: Pair<'_>| {
        let loss = mean_distance(pair)?;
        Ok(((&loss * 0.5)? + (loss.detach() * 0.5)?)?)
    };
    caught(half, "differences give");
}

#[test]
fn an_error_of_the_loss_comes_through() {
    let infeasible = |_: Pair<'_>| {
        Err(Error::NoAlignment {
            utterance: 1,
            frames: 3,
            labels: 2,
        })
    };
    let error = check_consistency(&Loss(infeasible)).unwrap_err();
    assert!(
        matches!(error, Error::NoAlignment { utterance: 1, .. }),
        "{error}"
    );
}
