//! Every operation's backward pass against central differences in f64.

#![allow(clippy::unwrap_used)]

use candle_core::Tensor;
use sandhi_core::{Lengths, Result};
use sandhi_nn::ops::{self, Activation, AttentionContext};
use sandhi_testkit::{Tolerance, check_gradient, uniform};

const ACTIVATIONS: [Activation; 2] = [Activation::Identity, Activation::Silu];

fn draw(seed: u64, shape: &[usize]) -> Result<Tensor> {
    uniform(seed, shape, -1.0, 1.0)
}

#[test]
fn linear_gradient_equals_differences() -> Result<()> {
    for (activation, rows) in ACTIVATIONS.into_iter().zip([7, 30]) {
        let inputs = [draw(1, &[2, rows, 3])?, draw(2, &[4, 3])?, draw(3, &[4])?];
        let f = |x: &[Tensor]| Ok(ops::linear(&x[0], &x[1], &x[2], activation)?);
        check_gradient(&inputs, f, Tolerance::GRADIENT)?;
    }
    Ok(())
}

#[test]
fn linear_gradient_equals_differences_on_a_transposed_input() -> Result<()> {
    let inputs = [draw(1, &[2, 3, 5])?, draw(2, &[4, 3])?, draw(3, &[4])?];
    let f = |x: &[Tensor]| {
        Ok(ops::linear(
            &x[0].transpose(1, 2)?,
            &x[1],
            &x[2],
            Activation::Identity,
        )?)
    };
    check_gradient(&inputs, f, Tolerance::GRADIENT)
}

#[test]
fn layer_norm_gradient_equals_differences() -> Result<()> {
    for activation in ACTIVATIONS {
        let inputs = [draw(4, &[2, 5, 19])?, draw(5, &[19])?, draw(6, &[19])?];
        let f = |x: &[Tensor]| Ok(ops::layer_norm(&x[0], &x[1], &x[2], activation)?);
        check_gradient(&inputs, f, Tolerance::GRADIENT)?;
    }
    Ok(())
}

#[test]
fn attention_gradient_equals_differences() -> Result<()> {
    let lengths = Lengths::new(vec![4, 2, 0, 1]);
    let inputs = [draw(7, &[4, 4, 12])?, draw(8, &[7, 4])?, draw(9, &[2, 4])?];
    let chunked = AttentionContext::Chunked {
        size: 2,
        left: Some(1),
        right: 1,
    };
    for context in [AttentionContext::Full, AttentionContext::CAUSAL, chunked] {
        let f = |x: &[Tensor]| Ok(ops::attention(&x[0], &x[1], &x[2], 2, context, &lengths)?);
        check_gradient(&inputs, f, Tolerance::GRADIENT)?;
    }
    Ok(())
}

#[test]
fn gated_conv_gradient_equals_differences() -> Result<()> {
    // 18 channels: one full group of lanes and a rest. A kernel longer than one of the utterances.
    let lengths = Lengths::new(vec![6, 3, 0]);
    let inputs = [draw(10, &[3, 6, 36])?, draw(11, &[5, 18])?, draw(12, &[18])?];
    // Symmetric, causal, and one that only looks ahead.
    for left in [2, 4, 0] {
        let f = |x: &[Tensor]| Ok(ops::gated_conv(&x[0], &x[1], &x[2], left, &lengths)?);
        check_gradient(&inputs, f, Tolerance::GRADIENT)?;
    }
    Ok(())
}

#[test]
fn conv2d_gradient_equals_differences() -> Result<()> {
    let inputs = [draw(13, &[2, 6, 8, 2])?, draw(14, &[3, 18])?, draw(15, &[3])?];
    let f = |x: &[Tensor]| Ok(ops::conv2d(&x[0], &x[1], &x[2])?);
    check_gradient(&inputs, f, Tolerance::GRADIENT)
}

#[test]
fn lstm_gradient_equals_differences() -> Result<()> {
    // Nine utterances: one full block of rows and a rest.
    let inputs = [draw(16, &[9, 3, 8])?, draw(17, &[8, 2])?];
    let f = |x: &[Tensor]| Ok(ops::lstm(&x[0], &x[1])?);
    check_gradient(&inputs, f, Tolerance::GRADIENT)
}

#[test]
fn embedding_gradient_equals_differences() -> Result<()> {
    let ids = vec![vec![0, 2, 2], vec![1, 0, 2]];
    check_gradient(
        &[draw(18, &[4, 3])?],
        |x| Ok(ops::embedding(&x[0], &ids)?),
        Tolerance::GRADIENT,
    )
}

#[test]
fn dropout_gradient_equals_differences() -> Result<()> {
    check_gradient(
        &[draw(19, &[3, 40])?],
        |x| Ok(ops::dropout(&x[0], 0.4, Some(9))?),
        Tolerance::GRADIENT,
    )
}

#[test]
fn residual_gradient_equals_differences() -> Result<()> {
    for key in [None, Some(3)] {
        let inputs = [draw(20, &[3, 20])?, draw(21, &[3, 20])?];
        check_gradient(
            &inputs,
            |x| Ok(ops::add_dropped(&x[0], &x[1], 0.5, 0.3, key)?),
            Tolerance::GRADIENT,
        )?;
    }
    Ok(())
}

#[test]
fn zero_padding_gradient_equals_differences() -> Result<()> {
    let lengths = Lengths::new(vec![3, 1]);
    check_gradient(
        &[draw(22, &[2, 3, 4])?],
        |x| Ok(ops::zero_padding(&x[0], &lengths)?),
        Tolerance::GRADIENT,
    )
}

#[test]
fn softmax_gradient_equals_differences() -> Result<()> {
    let x = [draw(40, &[3, 19])?];
    let weights = draw(41, &[3, 19])?;
    check_gradient(
        &x,
        |x| Ok((ops::softmax(&x[0])? * &weights)?),
        Tolerance::GRADIENT,
    )?;
    check_gradient(
        &x,
        |x| Ok((ops::log_softmax(&x[0])? * &weights)?),
        Tolerance::GRADIENT,
    )
}

#[test]
fn cross_entropy_gradient_equals_differences() -> Result<()> {
    let x = [draw(42, &[4, 19])?];
    for smoothing in [0.0, 0.2] {
        let targets = [Some(3), None, Some(18), Some(0)];
        let f = |x: &[Tensor]| Ok(ops::cross_entropy(&x[0], &targets, smoothing)?);
        check_gradient(&x, f, Tolerance::GRADIENT)?;
    }
    Ok(())
}

#[test]
fn gates_gradient_equals_differences() -> Result<()> {
    let x = [draw(43, &[3, 38])?];
    check_gradient(&x, |x| Ok(ops::silu(&(&x[0] * 4.0)?)?), Tolerance::GRADIENT)?;
    check_gradient(&x, |x| Ok(ops::glu(&(&x[0] * 4.0)?)?), Tolerance::GRADIENT)
}
