//! What lies in the padding is never read, and a batch equals its utterances one by one.

#![allow(clippy::unwrap_used)]

use candle_core::{Tensor, Var};
use sandhi_core::{Lengths, Result};
use sandhi_nn::ops::{self, AttentionContext};
use sandhi_testkit::{Tolerance, assert_close, poison_padding, uniform};

const POISONS: [f64; 3] = [f64::NAN, f64::INFINITY, 1e30];

fn draw(seed: u64, shape: &[usize]) -> Result<Tensor> {
    uniform(seed, shape, -1.0, 1.0)
}

/// Poisons the first input beyond the lengths: the output and every gradient must be as without.
fn ignores_padding(
    inputs: &[Tensor],
    lengths: &Lengths,
    f: impl Fn(&[Tensor], &Lengths) -> Result<Tensor>,
) -> Result<()> {
    let run = |first: &Tensor| -> Result<(Tensor, Vec<Tensor>)> {
        let mut vars = vec![Var::from_tensor(first)?];
        for x in &inputs[1..] {
            vars.push(Var::from_tensor(x)?);
        }
        let args: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let y = f(&args, lengths)?;
        // Only valid outputs enter a loss.
        let y = ops::zero_padding(&y, lengths)?;
        let grads = (y.sqr()?.sum_all()?).backward()?;
        Ok((y, vars.iter().map(|v| grads.get(v).unwrap().clone()).collect()))
    };
    let (clean, clean_grads) = run(&inputs[0])?;
    for poison in POISONS {
        let (got, grads) = run(&poison_padding(&inputs[0], lengths, poison)?)?;
        assert_close("poisoned output", &got, &clean, Tolerance::PROOF)?;
        for (got, expected) in grads.iter().zip(&clean_grads) {
            assert_close("poisoned gradient", got, expected, Tolerance::PROOF)?;
        }
    }
    for b in 0..lengths.len() {
        let n = lengths.get(b);
        if n > 0 {
            let mut single = inputs.to_vec();
            single[0] = inputs[0].narrow(0, b, 1)?.contiguous()?;
            let got = f(&single, &Lengths::new(vec![n]))?;
            let expected = clean.narrow(0, b, 1)?.contiguous()?;
            assert_close(
                "single",
                &ops::zero_padding(&got, &Lengths::new(vec![n]))?,
                &expected,
                Tolerance::PROOF,
            )?;
        }
    }
    Ok(())
}

#[test]
fn attention_ignores_padding() -> Result<()> {
    let inputs = [draw(1, &[4, 5, 12])?, draw(2, &[9, 4])?, draw(3, &[2, 4])?];
    for context in [AttentionContext::Full, AttentionContext::CAUSAL] {
        let f =
            |x: &[Tensor], lengths: &Lengths| Ok(ops::attention(&x[0], &x[1], &x[2], 2, context, lengths)?);
        ignores_padding(&inputs, &Lengths::new(vec![5, 3, 0, 1]), f)?;
    }
    Ok(())
}

#[test]
fn attention_does_not_depend_on_what_it_may_not_see() -> Result<()> {
    let (t, d) = (200, 4);
    let context = AttentionContext::Chunked {
        size: 8,
        left: Some(16),
        right: 3,
    };
    let lengths = Lengths::new(vec![t]);
    let (positions, biases) = (draw(2, &[2 * t - 1, d])?, draw(3, &[2, d])?);
    let run = |x: &Tensor| ops::attention(x, &positions, &biases, 2, context, &lengths);
    let (x, other) = (draw(1, &[1, t, 3 * d])?, draw(4, &[1, t, 3 * d])?);
    let y = run(&x)?.to_vec3::<f64>()?;
    for i in [0, 7, 8, 100, 130, 199] {
        // All that frame i does not see is something else; what it sees is the same.
        let seen = context.visible(i, t);
        let (before, after) = (
            other.narrow(1, 0, seen.start)?,
            other.narrow(1, seen.end, t - seen.end)?,
        );
        let mixed = Tensor::cat(&[&before, &x.narrow(1, seen.start, seen.len())?, &after], 1)?;
        let changed = run(&mixed)?.to_vec3::<f64>()?;
        assert_eq!(changed[0][i], y[0][i], "frame {i}");
        assert_ne!(changed, y);
    }
    Ok(())
}

#[test]
fn gated_conv_ignores_padding() -> Result<()> {
    let inputs = [draw(4, &[3, 6, 36])?, draw(5, &[3, 18])?, draw(6, &[18])?];
    for left in [1, 2] {
        let f = |x: &[Tensor], lengths: &Lengths| Ok(ops::gated_conv(&x[0], &x[1], &x[2], left, lengths)?);
        ignores_padding(&inputs, &Lengths::new(vec![6, 0, 2]), f)?;
    }
    Ok(())
}

#[test]
fn zero_padding_stops_nan_in_both_directions() -> Result<()> {
    let f = |x: &[Tensor], lengths: &Lengths| Ok(ops::zero_padding(&x[0], lengths)?);
    ignores_padding(&[draw(7, &[3, 4, 2])?], &Lengths::new(vec![4, 1, 0]), f)
}

#[test]
fn cross_entropy_ignores_rows_without_target() -> Result<()> {
    let (lengths, targets) = (
        Lengths::new(vec![2, 0, 3]),
        [0, 4, 1, 9, 9, 9, 2, 3, 0].map(|target| (target < 9).then_some(target)),
    );
    let targets: Vec<Option<u32>> = targets
        .iter()
        .enumerate()
        .map(|(i, &target)| target.filter(|_| i % 3 < lengths.get(i / 3)))
        .collect();
    let x = draw(5, &[3, 3, 5])?;
    let run = |x: &Tensor| -> Result<(Vec<f64>, Vec<f64>)> {
        let x = Var::from_tensor(x)?;
        let loss = ops::cross_entropy(&x, &targets, 0.1)?;
        let grads = loss.sum_all()?.backward()?;
        let gradient = grads.get(&x).unwrap().flatten_all()?.to_vec1()?;
        Ok((loss.flatten_all()?.to_vec1()?, gradient))
    };
    let clean = run(&x)?;
    assert_eq!(clean.0.iter().filter(|&&loss| loss == 0.0).count(), 4);
    for poison in POISONS {
        assert_eq!(run(&poison_padding(&x, &lengths, poison)?)?, clean);
    }
    Ok(())
}

#[test]
fn dropout_keeps_the_mean_and_its_rate() -> Result<()> {
    let x = Tensor::ones(100_000, candle_core::DType::F64, &candle_core::Device::Cpu)?;
    for rate in [0.1, 0.5] {
        let y = ops::dropout(&x, rate, Some(4))?.to_vec1::<f64>()?;
        let zeros = y.iter().filter(|&&v| v == 0.0).count() as f64 / y.len() as f64;
        assert!(
            (zeros - rate).abs() < 0.01,
            "expected a share of {rate} zeros, got {zeros}"
        );
        assert!((y.iter().sum::<f64>() / y.len() as f64 - 1.0).abs() < 0.02);
        assert_eq!(y, ops::dropout(&x, rate, Some(4))?.to_vec1::<f64>()?);
        assert_ne!(y, ops::dropout(&x, rate, Some(5))?.to_vec1::<f64>()?);
    }
    assert_eq!(
        ops::dropout(&x, 0.5, None)?.to_vec1::<f64>()?,
        x.to_vec1::<f64>()?
    );
    Ok(())
}

#[test]
fn operations_give_the_same_bits_on_one_thread_and_many() -> Result<()> {
    let inputs = [draw(8, &[9, 70, 48])?, draw(9, &[139, 16])?, draw(10, &[2, 16])?];
    let single: Vec<Tensor> = inputs
        .iter()
        .map(|x| x.to_dtype(candle_core::DType::F32))
        .collect::<Result<_, _>>()?;
    let run = || -> Result<Vec<f32>> {
        let vars: Vec<Var> = single.iter().map(Var::from_tensor).collect::<Result<_, _>>()?;
        let lengths = Lengths::new(vec![70, 3, 50, 7, 70, 20, 1, 33, 60]);
        let y = ops::attention(&vars[0], &vars[1], &vars[2], 4, AttentionContext::Full, &lengths)?;
        let w = Tensor::ones((16, 16), candle_core::DType::F32, &candle_core::Device::Cpu)?;
        let y = ops::linear(&y, &w, &w.get(0)?, ops::Activation::Silu)?;
        let grads = y.sqr()?.sum_all()?.backward()?;
        let mut bits = y.flatten_all()?.to_vec1::<f32>()?;
        for var in &vars {
            bits.extend(grads.get(var).unwrap().flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(bits)
    };
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    assert_eq!(pool(1).install(run)?, pool(4).install(run)?);
    Ok(())
}
