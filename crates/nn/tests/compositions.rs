//! Every operation against a plain composition of candle's own elementary operations, or plain loops.

// The loops are the formulas, index by index.
#![allow(clippy::needless_range_loop)]

use candle_core::{DType, Device, Tensor};
use sandhi_core::{Lengths, Result};
use sandhi_nn::ops::{self, Activation, AttentionContext};
use sandhi_nn::position::sinusoids;
use sandhi_testkit::{Tolerance, assert_close, uniform};

fn draw(seed: u64, shape: &[usize]) -> Result<Tensor> {
    uniform(seed, shape, -1.0, 1.0)
}

fn silu(x: &Tensor) -> Result<Tensor> {
    Ok((x / ((x.neg()?.exp()? + 1.0)?))?)
}

fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((x.neg()?.exp()? + 1.0)?.recip()?)
}

/// Runs a check in f64 with the proof's tolerance and in f32 with the single-precision one.
fn both(inputs: &[Tensor], got: impl Fn(&[Tensor]) -> Result<Tensor>, expected: &Tensor) -> Result<()> {
    assert_close("f64", &got(inputs)?, expected, Tolerance::PROOF)?;
    let single: Vec<Tensor> = inputs
        .iter()
        .map(|x| x.to_dtype(DType::F32))
        .collect::<Result<_, _>>()?;
    assert_close("f32", &got(&single)?, expected, Tolerance::SINGLE)
}

#[test]
fn linear_equals_plain_composition() -> Result<()> {
    // 530 rows: several blocks of the parallel product and a rest.
    let inputs = [draw(1, &[2, 265, 7])?, draw(2, &[5, 7])?, draw(3, &[5])?];
    let flat = inputs[0].reshape((530, 7))?;
    let plain = flat
        .matmul(&inputs[1].t()?.contiguous()?)?
        .broadcast_add(&inputs[2])?
        .reshape((2, 265, 5))?;
    both(
        &inputs,
        |x| Ok(ops::linear(&x[0], &x[1], &x[2], Activation::Identity)?),
        &plain,
    )?;
    both(
        &inputs,
        |x| Ok(ops::linear(&x[0], &x[1], &x[2], Activation::Silu)?),
        &silu(&plain)?,
    )
}

#[test]
fn layer_norm_equals_plain_composition() -> Result<()> {
    let inputs = [draw(4, &[3, 70, 21])?, draw(5, &[21])?, draw(6, &[21])?];
    let x = &inputs[0];
    let centred = x.broadcast_sub(&x.mean_keepdim(2)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(2)? + 1e-5)?.sqrt()?;
    let plain = centred
        .broadcast_div(&deviation)?
        .broadcast_mul(&inputs[1])?
        .broadcast_add(&inputs[2])?;
    both(
        &inputs,
        |x| Ok(ops::layer_norm(&x[0], &x[1], &x[2], Activation::Identity)?),
        &plain,
    )?;
    both(
        &inputs,
        |x| Ok(ops::layer_norm(&x[0], &x[1], &x[2], Activation::Silu)?),
        &silu(&plain)?,
    )
}

/// The formula of the documentation, cell by cell.
fn attention_by_formula(
    inputs: &[Tensor],
    heads: usize,
    sees: impl Fn(usize, usize) -> bool,
    lengths: &[usize],
) -> Result<Tensor> {
    let qkv = inputs[0].to_vec3::<f64>()?;
    let (r, uv) = (inputs[1].to_vec2::<f64>()?, inputs[2].to_vec2::<f64>()?);
    let (t, d) = (qkv[0].len(), uv[0].len());
    let width = d / heads;
    let mut y = vec![vec![vec![0f64; d]; t]; qkv.len()];
    for (b, &n) in lengths.iter().enumerate() {
        for c0 in (0..d).step_by(width) {
            for i in 0..n {
                let score = |j: usize| {
                    let position = &r[j + t - 1 - i];
                    let term = |c: usize| {
                        let q = qkv[b][i][c];
                        (q + uv[0][c]) * qkv[b][j][d + c] + (q + uv[1][c]) * position[c]
                    };
                    ((c0..c0 + width).map(term).sum::<f64>() / (width as f64).sqrt()).exp()
                };
                let seen = || (0..n).filter(|&j| sees(i, j));
                let total: f64 = seen().map(score).sum();
                for c in c0..c0 + width {
                    y[b][i][c] = seen().map(|j| score(j) / total * qkv[b][j][2 * d + c]).sum();
                }
            }
        }
    }
    Ok(Tensor::new(y, &Device::Cpu)?)
}

/// Contexts, and whether frame i sees frame j in each, said another way.
type Sees = fn(usize, usize) -> bool;
const CONTEXTS: [(AttentionContext, Sees); 5] = [
    (AttentionContext::Full, |_, _| true),
    (AttentionContext::CAUSAL, |i, j| j <= i),
    (
        AttentionContext::Chunked {
            size: 3,
            left: Some(2),
            right: 0,
        },
        |i, j| j / 3 == i / 3 || (j < i && i / 3 * 3 - j <= 2),
    ),
    (
        AttentionContext::Chunked {
            size: 2,
            left: None,
            right: 1,
        },
        |i, j| j / 2 <= i / 2 || j == i / 2 * 2 + 2,
    ),
    (
        AttentionContext::Chunked {
            size: 1,
            left: Some(1),
            right: 2,
        },
        |i, j| j + 1 >= i && j <= i + 2,
    ),
];

#[test]
fn attention_equals_plain_composition() -> Result<()> {
    let lengths = [6, 3, 1];
    let inputs = [draw(7, &[3, 6, 24])?, draw(8, &[11, 8])?, draw(9, &[2, 8])?];
    for (context, sees) in CONTEXTS {
        let plain = attention_by_formula(&inputs, 2, sees, &lengths)?;
        let lengths = Lengths::new(lengths.to_vec());
        let attention = |x: &[Tensor]| Ok(ops::attention(&x[0], &x[1], &x[2], 2, context, &lengths)?);
        both(&inputs, attention, &plain)?;
    }
    Ok(())
}

#[test]
fn attention_over_many_frames_equals_plain_composition() -> Result<()> {
    // More frames than are computed at once.
    let t = 300;
    let inputs = [
        draw(7, &[2, t, 12])?,
        draw(8, &[2 * t - 1, 4])?,
        draw(9, &[2, 4])?,
    ];
    for (context, sees) in CONTEXTS {
        let plain = attention_by_formula(&inputs, 2, sees, &[t, 140])?;
        let lengths = Lengths::new(vec![t, 140]);
        let attention = |x: &[Tensor]| Ok(ops::attention(&x[0], &x[1], &x[2], 2, context, &lengths)?);
        both(&inputs, attention, &plain)?;
    }
    Ok(())
}

#[test]
fn gated_conv_equals_plain_composition() -> Result<()> {
    let (t, c, k, lengths) = (6, 18, 5, [6usize, 2]);
    let inputs = [draw(10, &[2, t, 2 * c])?, draw(11, &[k, c])?, draw(12, &[c])?];
    let gate = sigmoid(&inputs[0].narrow(2, c, c)?.contiguous()?)?;
    let g = (inputs[0].narrow(2, 0, c)?.contiguous()? * gate)?.to_vec3::<f64>()?;
    let (w, bias) = (inputs[1].to_vec2::<f64>()?, inputs[2].to_vec1::<f64>()?);
    for left in [2, 4, 1] {
        let mut y = vec![vec![vec![0f64; c]; t]; 2];
        for (b, &n) in lengths.iter().enumerate() {
            for i in 0..n {
                for ch in 0..c {
                    let tap = |j: usize| {
                        let at = i as isize + j as isize - left as isize;
                        if (0..n as isize).contains(&at) {
                            w[j][ch] * g[b][at as usize][ch]
                        } else {
                            0.0
                        }
                    };
                    y[b][i][ch] = bias[ch] + (0..k).map(tap).sum::<f64>();
                }
            }
        }
        let lengths = Lengths::new(lengths.to_vec());
        both(
            &inputs,
            |x| Ok(ops::gated_conv(&x[0], &x[1], &x[2], left, &lengths)?),
            &Tensor::new(y, &Device::Cpu)?,
        )?;
    }
    Ok(())
}

#[test]
fn conv2d_equals_plain_loops() -> Result<()> {
    let (t, f, c, n) = (7, 9, 2, 3);
    let inputs = [draw(13, &[2, t, f, c])?, draw(14, &[n, 9 * c])?, draw(15, &[n])?];
    let x = inputs[0].flatten_all()?.to_vec1::<f64>()?;
    let (w, bias) = (inputs[1].to_vec2::<f64>()?, inputs[2].to_vec1::<f64>()?);
    let (rows, columns) = (ops::conv2d_output(t), ops::conv2d_output(f));
    assert_eq!((rows, columns), (3, 4));
    let mut y = vec![];
    for b in 0..2 {
        for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
            for o in 0..n {
                let mut z = bias[o];
                for (tap, (di, dj)) in (0..3).flat_map(|di| (0..3).map(move |dj| (di, dj))).enumerate() {
                    for ch in 0..c {
                        z += w[o][tap * c + ch] * x[((b * t + 2 * i + di) * f + 2 * j + dj) * c + ch];
                    }
                }
                y.push(z / (1.0 + (-z).exp()));
            }
        }
    }
    let plain = Tensor::from_vec(y, (2, rows, columns, n), &Device::Cpu)?;
    both(&inputs, |x| Ok(ops::conv2d(&x[0], &x[1], &x[2])?), &plain)
}

#[test]
fn lstm_equals_plain_composition() -> Result<()> {
    let (b, u, h) = (9, 4, 3);
    let inputs = [draw(16, &[b, u, 4 * h])?, draw(17, &[4 * h, h])?];
    let transposed = inputs[1].t()?.contiguous()?;
    let mut state = Tensor::zeros((b, h), DType::F64, &Device::Cpu)?;
    let mut cell = state.clone();
    let mut outputs = vec![];
    for t in 0..u {
        let gates = (inputs[0].narrow(1, t, 1)?.squeeze(1)?.contiguous()? + state.matmul(&transposed)?)?;
        let part = |i: usize| gates.narrow(1, i * h, h)?.contiguous();
        let kept = (sigmoid(&part(1)?)? * &cell)?;
        cell = (kept + (sigmoid(&part(0)?)? * part(2)?.tanh()?)?)?;
        state = (sigmoid(&part(3)?)? * cell.tanh()?)?;
        outputs.push(state.clone());
    }
    both(
        &inputs,
        |x| Ok(ops::lstm(&x[0], &x[1])?),
        &Tensor::stack(&outputs, 1)?,
    )
}

#[test]
fn sinusoids_at_offset_zero_are_zero_and_one() -> Result<()> {
    let rows = sinusoids(3, 4, DType::F64, &Device::Cpu)?.to_vec2::<f64>()?;
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[2], vec![0.0, 1.0, 0.0, 1.0]);
    assert!((rows[3][0] - 1f64.sin()).abs() < 1e-15 && (rows[1][0] + 1f64.sin()).abs() < 1e-15);
    Ok(())
}

#[test]
fn softmax_equals_plain_composition() -> Result<()> {
    // Far from 0, where exponentials overflow.
    let x = [(draw(30, &[2, 3, 37])? + 500.0)?];
    let exponentials = (&x[0] - 500.0)?.exp()?;
    let plain = exponentials.broadcast_div(&exponentials.sum_keepdim(2)?)?;
    both(&x, |x| Ok(ops::softmax(&x[0])?), &plain)?;
    both(&x, |x| Ok(ops::log_softmax(&x[0])?), &plain.log()?)?;
    for dtype in [DType::F32, DType::F64] {
        let x = Tensor::new(&[[f64::NEG_INFINITY, 0.0, 3f64.ln()]], &Device::Cpu)?.to_dtype(dtype)?;
        let y = ops::softmax(&x)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        assert_eq!(y[0][0], 0.0);
        assert!((y[0][1] - 0.25).abs() < 1e-6);
        let y = ops::log_softmax(&x)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        assert_eq!(y[0][0], f64::NEG_INFINITY);
        assert!((y[0][2] - 0.75f64.ln()).abs() < 1e-6);
    }
    Ok(())
}

#[test]
fn cross_entropy_equals_plain_composition() -> Result<()> {
    let (targets, v) = ([Some(3), Some(0), Some(20), Some(3), Some(7), Some(1)], 21);
    let x = [(draw(31, &[2, 3, v])? - 80.0)?];
    for smoothing in [0.0, 0.1, 0.7] {
        let log_p = (&x[0] + 80.0)?.exp()?;
        let log_p = log_p
            .broadcast_div(&log_p.sum_keepdim(2)?)?
            .log()?
            .to_vec3::<f64>()?;
        let loss = |row: usize| -> f64 {
            let q = |u: usize| {
                let hit = if targets[row] == Some(u as u32) {
                    1.0 - smoothing
                } else {
                    0.0
                };
                hit + smoothing / v as f64
            };
            -(0..v).map(|u| q(u) * log_p[row / 3][row % 3][u]).sum::<f64>()
        };
        let plain = Tensor::from_iter((0..6).map(loss), &Device::Cpu)?.reshape((2, 3))?;
        let got = |x: &[Tensor]| Ok(ops::cross_entropy(&x[0], &targets, smoothing)?);
        both(&x, got, &plain)?;
    }
    Ok(())
}

#[test]
fn cross_entropy_refuses_what_does_not_fit() -> Result<()> {
    let x = draw(32, &[2, 3])?;
    let error = |targets: &[Option<u32>], smoothing| {
        ops::cross_entropy(&x, targets, smoothing)
            .map(|_| String::new())
            .unwrap_or_else(|error| error.to_string())
    };
    assert!(error(&[None], 0.0).contains("expected 2 targets"));
    assert!(error(&[Some(2), Some(3)], 0.0).contains("expected targets below 3, got 3 in row 1"));
    assert!(error(&[None, None], 1.0).contains("expected a smoothing in 0..1, got 1"));
    assert_eq!(error(&[None, Some(0)], 0.1), "");
    Ok(())
}

#[test]
fn gates_equal_plain_composition() -> Result<()> {
    // Two tasks and a rest; saturated gates on either side.
    let x = [(draw(60, &[37, 1030])? * 30.0)?];
    both(&x, |x| Ok(ops::silu(&x[0])?), &silu(&x[0])?)?;
    let (a, s) = (x[0].narrow(1, 0, 515)?, x[0].narrow(1, 515, 515)?);
    both(&x, |x| Ok(ops::glu(&x[0])?), &(a * sigmoid(&s)?)?)?;
    assert!(ops::glu(&draw(61, &[2, 3])?).is_err(), "an odd width");
    Ok(())
}
