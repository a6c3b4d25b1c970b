//! The pairwise distance against its formula, its differences, and poisoned padding.

#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor};
use sandhi_core::{Distance, Lengths, Padded, Result, pairwise};
use sandhi_testkit::{Tolerance, assert_close, check_gradient, poison_padding, uniform};

const ALL: [Distance; 5] = [
    Distance::L1,
    Distance::L2,
    Distance::SquaredL2,
    Distance::Huber { delta: 0.3 },
    Distance::Cosine,
];

fn padded(values: &Tensor, lengths: &[usize]) -> Result<Padded> {
    Padded::new(values.clone(), Lengths::new(lengths.to_vec()))
}

/// The formulas, written with candle's own operations over the full [B, T, U, D] difference.
fn by_formula(distance: Distance, s: &Tensor, e: &Tensor) -> Result<Tensor> {
    let (s, e) = (s.unsqueeze(2)?, e.unsqueeze(1)?);
    let r = s.broadcast_sub(&e)?;
    Ok(match distance {
        Distance::L1 => r.abs()?.mean(3)?,
        Distance::L2 => r.sqr()?.mean(3)?.sqrt()?,
        Distance::SquaredL2 => r.sqr()?.mean(3)?,
        Distance::Huber { delta } => {
            let a = r.abs()?;
            let near = (r.sqr()? * 0.5)?;
            let far = ((&a - delta * 0.5)? * delta)?;
            a.le(delta)?.where_cond(&near, &far)?.mean(3)?
        }
        Distance::Cosine => {
            let norms = s
                .sqr()?
                .sum(3)?
                .sqrt()?
                .broadcast_mul(&e.sqr()?.sum(3)?.sqrt()?)?;
            (1.0 - (s.broadcast_mul(&e)?.sum(3)? / norms)?)?
        }
    })
}

#[test]
fn pairwise_equals_the_formula() -> Result<()> {
    let (s, e) = (
        uniform(1, &[2, 5, 6], -1.0, 1.0)?,
        uniform(2, &[2, 3, 6], -1.0, 1.0)?,
    );
    for distance in ALL {
        let got = pairwise(distance, &padded(&s, &[5, 5])?, &padded(&e, &[3, 3])?)?;
        assert_close("pairwise", &got, &by_formula(distance, &s, &e)?, Tolerance::PROOF)?;
    }
    Ok(())
}

#[test]
fn pairwise_gradient_equals_differences() -> Result<()> {
    let (s, e) = (
        uniform(3, &[2, 4, 3], -1.0, 1.0)?,
        uniform(4, &[2, 3, 3], -1.0, 1.0)?,
    );
    for distance in ALL {
        let f = |x: &[Tensor]| pairwise(distance, &padded(&x[0], &[4, 2])?, &padded(&x[1], &[2, 3])?);
        check_gradient(&[s.clone(), e.clone()], f, Tolerance::GRADIENT)?;
    }
    Ok(())
}

#[test]
fn pairwise_ignores_padding() -> Result<()> {
    let (s, e) = (
        uniform(5, &[2, 4, 3], -1.0, 1.0)?,
        uniform(6, &[2, 3, 3], -1.0, 1.0)?,
    );
    let (frames, labels) = (Lengths::new(vec![4, 2]), Lengths::new(vec![1, 3]));
    for distance in ALL {
        let clean = pairwise(distance, &padded(&s, &[4, 2])?, &padded(&e, &[1, 3])?)?;
        for poison in [f64::NAN, f64::INFINITY, 1e30] {
            let (s, e) = (
                poison_padding(&s, &frames, poison)?,
                poison_padding(&e, &labels, poison)?,
            );
            let (s, e) = (
                candle_core::Var::from_tensor(&s)?,
                candle_core::Var::from_tensor(&e)?,
            );
            let got = pairwise(distance, &padded(&s, &[4, 2])?, &padded(&e, &[1, 3])?)?;
            assert_close("poisoned", &got, &clean, Tolerance::PROOF)?;
            let grads = got.sum_all()?.backward()?;
            for var in [&s, &e] {
                let g = grads.get(var).unwrap().flatten_all()?.to_vec1::<f64>()?;
                assert!(g.iter().all(|v| v.is_finite()), "{distance:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn pairwise_refuses_widths_that_differ() -> Result<()> {
    let make = |b, t, d| Padded::from_rows(&vec![vec![0.0; t * d]; b], d, &Device::Cpu);
    let message = |r: Result<Tensor>| r.unwrap_err().to_string();
    assert_eq!(
        message(pairwise(Distance::L1, &make(1, 2, 3)?, &make(1, 2, 4)?)),
        "text embeddings: expected [B, U, 3] F32, got [1, 2, 4]"
    );
    assert_eq!(
        message(pairwise(Distance::L1, &make(1, 2, 3)?, &make(2, 2, 3)?)),
        "text embeddings: expected 1 utterances, got 2"
    );
    Ok(())
}

#[test]
fn padded_names_the_utterance_whose_length_exceeds_the_grid() {
    let values = Tensor::zeros((2, 3, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
    let error = Padded::new(values, Lengths::new(vec![3, 5]))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "padded values: utterance 1 has length 5, but only 3 are stored"
    );
}
