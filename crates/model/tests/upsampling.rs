//! Durations that are learned, and text embeddings that are stretched by them.

#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};
use sandhi_conformer::ConformerConfig;
use sandhi_core::{Error, Labels, Lengths, Padded, Result};
use sandhi_model::{DurationPredictor, LabelDurations, Resampler, whole};
use sandhi_nn::{AttentionContext, Embedding, Mode, Params};
use sandhi_testkit::{Tolerance, assert_close, check_gradient, poison_padding, uniform};
use sandhi_train::{AdamW, AdamWConfig, Gradients};

const DIM: usize = 8;

fn labels(rows: &[&[u32]]) -> Labels {
    Labels::new(rows.iter().map(|row| row.to_vec()).collect(), 0).unwrap()
}

/// Lowers a loss by some hundred steps.
fn train(params: &Params, steps: u64, loss: impl Fn() -> Result<Tensor>) {
    let config = AdamWConfig {
        beta1: 0.9,
        beta2: 0.98,
        eps: 1e-9,
        weight_decay: 0.0,
    };
    let mut adam = AdamW::new(params, config).unwrap();
    let mut gradients = Gradients::new(params).unwrap();
    for _ in 0..steps {
        gradients.clear();
        gradients
            .add(&loss().unwrap().sum_all().unwrap().backward().unwrap())
            .unwrap();
        adam.step(&gradients, 3e-3).unwrap();
    }
}

#[test]
fn label_durations_loss_equals_the_formula() -> Result<()> {
    let params = Params::seeded(1, DType::F64, &Device::Cpu);
    let model = LabelDurations::new(5, &params)?;
    let table = uniform(3, &[5, 2], -0.2, 0.2)?;
    params.vars()[0].1.set(&table)?;
    let labels = labels(&[&[3, 1, 3], &[], &[4]]);
    let durations = vec![vec![4, 1, 2], vec![], vec![7]];
    let gaussians = model.gaussians()?;
    let nats = |row: &[u32], durations: &[usize]| -> f64 {
        let one = |(&y, &d): (&u32, &usize)| {
            let (mean, deviation) = gaussians[y as usize];
            (d as f64 - mean).powi(2) / (2.0 * deviation * deviation) + deviation.ln()
        };
        row.iter().zip(durations).map(one).sum()
    };
    let expected: Vec<f64> = labels
        .rows()
        .iter()
        .zip(&durations)
        .map(|(r, d)| nats(r, d))
        .collect();
    let got = model.loss(&labels, &durations)?;
    assert_close(
        "nats",
        &got,
        &Tensor::new(expected, &Device::Cpu)?,
        Tolerance::PROOF,
    )?;

    differences(&params, || Ok(model.loss(&labels, &durations)?.sum_all()?))
}

/// The gradient of every parameter against central differences.
fn differences(params: &Params, loss: impl Fn() -> Result<Tensor>) -> Result<()> {
    let grads = loss()?.backward()?;
    for (name, var) in params.vars() {
        let got = grads.get(&var).unwrap().flatten_all()?.to_vec1::<f64>()?;
        let base = var.as_tensor().copy()?;
        let values = base.flatten_all()?.to_vec1::<f64>()?;
        for (i, got) in got.into_iter().enumerate() {
            let moved = |delta: f64| -> Result<f64> {
                let mut values = values.clone();
                values[i] += delta;
                var.set(&Tensor::from_vec(values, base.dims(), &Device::Cpu)?)?;
                Ok(loss()?.to_scalar::<f64>()?)
            };
            let expected = (moved(1e-5)? - moved(-1e-5)?) / 2e-5;
            assert!(
                Tolerance::GRADIENT.holds(got, expected),
                "{name}[{i}]: {got} for {expected}"
            );
        }
        var.set(&base)?;
    }
    Ok(())
}

#[test]
fn label_durations_learn_mean_and_deviation() {
    let params = Params::seeded(1, DType::F32, &Device::Cpu);
    let model = LabelDurations::new(4, &params).unwrap();
    // Label 1 lasts 1 or 5 frames, label 2 always 7, label 3 is never seen.
    let (labels, durations) = (labels(&[&[1, 2, 1, 2]]), [vec![1, 7, 5, 7]]);
    train(&params, 400, || model.loss(&labels, &durations));
    let gaussians = model.gaussians().unwrap();
    let near = |(mean, deviation): (f64, f64), expected: (f64, f64)| {
        assert!((mean - expected.0).abs() < 0.2, "mean {mean}, not {}", expected.0);
        assert!(
            (deviation - expected.1).abs() < 0.3,
            "deviation {deviation}, not {}",
            expected.1
        );
    };
    near(gaussians[1], (3.0, 2.0));
    near(gaussians[2], (7.0, (1f64 / 12.0).sqrt()));
    near(gaussians[3], (2.0, (1f64 + 1.0 / 12.0).sqrt()));
}

#[test]
fn duration_predictor_learns_what_depends_on_the_context() {
    let params = Params::seeded(2, DType::F32, &Device::Cpu);
    let table = Embedding::new(4, DIM, &Params::seeded(3, DType::F32, &Device::Cpu)).unwrap();
    let predictor = DurationPredictor::new(DIM, &params).unwrap();
    // Label 1 is long before label 2 and short before label 3; a table cannot say that.
    let labels = labels(&[&[1, 2, 1, 3], &[1, 3]]);
    let ids = [vec![1, 2, 1, 3], vec![1, 3, 0, 0]];
    let text = Padded::new(table.lookup(&ids).unwrap().detach(), labels.lengths().clone()).unwrap();
    let durations = [vec![9, 2, 1, 3], vec![1, 3]];
    train(&params, 600, || predictor.loss(&text, &labels, &durations));
    assert_eq!(predictor.durations(&text, 50).unwrap(), durations);
    assert_eq!(predictor.durations(&text, 4).unwrap()[0], [4, 2, 1, 3], "bounded");
}

#[test]
fn duration_predictor_gradient_equals_differences() -> Result<()> {
    let params = Params::seeded(4, DType::F64, &Device::Cpu);
    let predictor = DurationPredictor::new(4, &params)?;
    let (labels, durations) = (labels(&[&[1, 2, 1], &[3]]), [vec![3, 1, 0], vec![2]]);
    let x = poison_padding(&uniform(5, &[2, 3, 4], -1.0, 1.0)?, labels.lengths(), f64::NAN)?;
    let text = Padded::new(x.clone(), labels.lengths().clone())?;
    differences(&params, || {
        Ok(predictor.loss(&text, &labels, &durations)?.sum_all()?)
    })?;
    let x = uniform(5, &[2, 3, 4], -1.0, 1.0)?;
    let f = |x: &[Tensor]| {
        predictor.loss(
            &Padded::new(x[0].clone(), labels.lengths().clone())?,
            &labels,
            &durations,
        )
    };
    check_gradient(&[x], f, Tolerance::GRADIENT)
}

fn resampler(blocks: usize, dtype: DType) -> Result<(Params, Resampler)> {
    let block = ConformerConfig {
        dim: DIM,
        heads: 2,
        kernel: 3,
        feed_forward: 16,
        dropout: 0.1,
        recompute: false,
        context: AttentionContext::Full,
    };
    let params = Params::seeded(6, dtype, &Device::Cpu);
    let resampler = Resampler::new(&block, blocks, &params)?;
    Ok((params, resampler))
}

fn texts(lengths: &[usize]) -> Result<Padded> {
    let lengths = Lengths::new(lengths.to_vec());
    let x = uniform(7, &[lengths.len(), lengths.max(), DIM], -1.0, 1.0)?;
    Padded::new(poison_padding(&x, &lengths, f64::NAN)?, lengths)
}

#[test]
fn resampler_repeats_by_durations() -> Result<()> {
    // Without refinement: the embedding of the label plus that of the position.
    let (params, resampler) = resampler(0, DType::F64)?;
    let positions = params
        .vars()
        .into_iter()
        .find(|(name, _)| name == "positions.table");
    let positions = positions.unwrap().1.as_tensor().to_vec2::<f64>()?;
    let text = texts(&[3, 1])?;
    let durations = [vec![2, 0, 20], vec![3]];
    let got = resampler.resample(&text, &durations, Mode::Eval)?;
    assert_eq!(got.lengths().as_slice(), [22, 3]);
    let (got, text) = (got.values().to_vec3::<f64>()?, text.values().to_vec3::<f64>()?);
    for (b, durations) in durations.iter().enumerate() {
        let frames = durations
            .iter()
            .enumerate()
            .flat_map(|(u, &n)| (0..n).map(move |i| (u, i)));
        for (t, (u, i)) in frames.enumerate() {
            // What is beyond the sixteenth frame of a label counts as the sixteenth.
            for k in 0..DIM {
                assert!((got[b][t][k] - text[b][u][k] - positions[i.min(15)][k]).abs() < 1e-12);
            }
        }
    }
    let wrong = |durations: &[Vec<usize>]| {
        resampler
            .resample(&texts(&[3, 1]).unwrap(), durations, Mode::Eval)
            .unwrap_err()
    };
    assert!(matches!(
        wrong(&[vec![1, 1, 1]]),
        Error::BatchSize {
            expected: 2,
            got: 1,
            ..
        }
    ));
    assert!(matches!(
        wrong(&[vec![1, 1, 1], vec![1, 1]]),
        Error::Length { utterance: 1, .. }
    ));
    Ok(())
}

#[test]
fn resampler_batch_equals_its_utterances() -> Result<()> {
    let (_, resampler) = resampler(1, DType::F64)?;
    let (text, durations) = (texts(&[3, 1])?, [vec![2, 0, 4], vec![3]]);
    let batch = resampler.resample(&text, &durations, Mode::Eval)?;
    for b in 0..2 {
        let labels = text.lengths().get(b);
        let one = text
            .values()
            .narrow(0, b, 1)?
            .narrow(1, 0, labels)?
            .contiguous()?;
        let one = Padded::new(one, Lengths::new(vec![labels]))?;
        let single = resampler.resample(&one, &durations[b..=b], Mode::Eval)?;
        let frames = single.lengths().get(0);
        let row = batch.values().narrow(0, b, 1)?.narrow(1, 0, frames)?;
        assert_close("utterance", &row.contiguous()?, single.values(), Tolerance::PROOF)?;
    }
    Ok(())
}

#[test]
fn resampler_reaches_text_and_positions() -> Result<()> {
    let (params, resampler) = resampler(0, DType::F64)?;
    let lengths = Lengths::new(vec![3, 2]);
    let durations = [vec![2, 0, 3], vec![1, 1]];
    let f = |x: &[Tensor]| {
        let text = Padded::new(x[0].clone(), lengths.clone())?;
        Ok(resampler
            .resample(&text, &durations, Mode::Eval)?
            .values()
            .sqr()?)
    };
    let x = uniform(9, &[2, 3, DIM], -1.0, 1.0)?;
    check_gradient(std::slice::from_ref(&x), f, Tolerance::GRADIENT)?;
    let text = Var::from_tensor(&x)?;
    let text = Padded::new(text.as_tensor().clone(), lengths)?;
    let frames = resampler.resample(&text, &durations, Mode::Eval)?;
    let loss = sandhi_nn::ops::zero_padding(frames.values(), frames.lengths())?.sum_all()?;
    let grads = loss.backward()?;
    let positions = params
        .vars()
        .into_iter()
        .find(|(name, _)| name == "positions.table")
        .unwrap()
        .1;
    let positions = grads.get(&positions).unwrap().to_vec2::<f64>()?;
    // Four labels have a first frame, two a second, one a third.
    let firsts: Vec<f64> = positions.iter().map(|row| row[0]).take(4).collect();
    assert_eq!(firsts, [4.0, 2.0, 1.0, 0.0]);
    Ok(())
}

#[test]
fn whole_durations_are_bounded_whatever_is_predicted() {
    let inputs = [f64::NAN, -3.0, 0.2, 2.4, 2.6, 1e300, f64::INFINITY];
    assert_eq!(inputs.map(|x| whole(x, 9)), [1, 1, 1, 2, 3, 9, 9]);
}
