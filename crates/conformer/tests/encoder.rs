//! The encoder as a whole: padding, batches, parameters.

#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use sandhi_conformer::{Conformer, ConformerConfig, ConvSubsampling, frames_after};
use sandhi_core::{Error, Lengths, Padded, Result};
use sandhi_nn::{AttentionContext, Mode, Params};
use sandhi_testkit::{Tolerance, assert_close, poison_padding, uniform};

const BINS: usize = 11;

struct Encoder {
    params: Params,
    subsampling: ConvSubsampling,
    conformer: Conformer,
}

impl Encoder {
    fn new() -> Result<Self> {
        Self::with(false)
    }

    fn with(recompute: bool) -> Result<Self> {
        Self::within(AttentionContext::Full, recompute)
    }

    fn within(context: AttentionContext, recompute: bool) -> Result<Self> {
        let params = Params::seeded(5, DType::F64, &Device::Cpu);
        let config = ConformerConfig {
            dim: 8,
            heads: 2,
            kernel: 3,
            feed_forward: 16,
            dropout: 0.2,
            recompute,
            context,
        };
        let subsampling = ConvSubsampling::new(BINS, 3, config.dim, &params.scope("subsampling"))?;
        let conformer = Conformer::new(&config, 2, &params.scope("encoder"))?;
        Ok(Self {
            params,
            subsampling,
            conformer,
        })
    }

    fn encode(&self, features: &Tensor, lengths: &[usize], mode: Mode) -> Result<Padded> {
        let features = Padded::new(features.clone(), Lengths::new(lengths.to_vec()))?;
        self.conformer.encode(&self.subsampling.forward(&features)?, mode)
    }
}

fn valid(encoded: &Padded, b: usize) -> Result<Tensor> {
    Ok(encoded
        .values()
        .get(b)?
        .narrow(0, 0, encoded.lengths().get(b))?
        .contiguous()?)
}

#[test]
fn conformer_ignores_padding() -> Result<()> {
    let (encoder, lengths) = (Encoder::new()?, [31, 7, 20]);
    let x = uniform(1, &[3, 31, BINS], -1.0, 1.0)?;
    let run = |x: &Tensor| -> Result<(Padded, Vec<Tensor>)> {
        let y = encoder.encode(x, &lengths, Mode::Eval)?;
        let mut loss = Tensor::zeros((), DType::F64, &Device::Cpu)?;
        for b in 0..3 {
            loss = (loss + valid(&y, b)?.sqr()?.mean_all()?)?;
        }
        let grads = loss.backward()?;
        Ok((
            y,
            encoder
                .params
                .vars()
                .iter()
                .map(|(_, v)| grads.get(v).unwrap().clone())
                .collect(),
        ))
    };
    let (clean, clean_grads) = run(&x)?;
    for poison in [f64::NAN, f64::INFINITY, 1e30] {
        let (got, grads) = run(&poison_padding(&x, &Lengths::new(lengths.to_vec()), poison)?)?;
        for b in 0..3 {
            assert_close("poisoned", &valid(&got, b)?, &valid(&clean, b)?, Tolerance::PROOF)?;
        }
        for (got, expected) in grads.iter().zip(&clean_grads) {
            assert_close("poisoned gradient", got, expected, Tolerance::PROOF)?;
        }
    }
    Ok(())
}

#[test]
fn conformer_batch_equals_its_utterances() -> Result<()> {
    let (encoder, lengths) = (Encoder::new()?, [31, 7, 20]);
    let x = uniform(2, &[3, 31, BINS], -1.0, 1.0)?;
    let batch = encoder.encode(&x, &lengths, Mode::Eval)?;
    for (b, &n) in lengths.iter().enumerate() {
        let alone = encoder.encode(
            &x.narrow(0, b, 1)?.narrow(1, 0, n)?.contiguous()?,
            &[n],
            Mode::Eval,
        )?;
        assert_eq!(alone.lengths().as_slice(), &[frames_after(n)]);
        assert_close("alone", &valid(&alone, 0)?, &valid(&batch, b)?, Tolerance::PROOF)?;
    }
    Ok(())
}

#[test]
fn conformer_reaches_every_parameter() -> Result<()> {
    let encoder = Encoder::new()?;
    let x = uniform(3, &[2, 40, BINS], -1.0, 1.0)?;
    let y = encoder.encode(&x, &[40, 33], Mode::Train { seed: 1, step: 1 })?;
    // Not a plain sum: layer norm makes sums over the width constant.
    let weights = uniform(4, y.values().dims(), -1.0, 1.0)?;
    let grads = (y.values() * weights)?.sum_all()?.backward()?;
    for (name, var) in encoder.params.vars() {
        let gradient = grads
            .get(&var)
            .unwrap_or_else(|| panic!("{name} has no gradient"));
        let size = gradient.abs()?.sum_all()?.to_scalar::<f64>()?;
        assert!(size.is_finite() && size > 0.0, "{name}: {size}");
    }
    Ok(())
}

#[test]
fn conformer_dropout_is_a_function_of_seed_and_step() -> Result<()> {
    let encoder = Encoder::new()?;
    let x = uniform(5, &[1, 40, BINS], -1.0, 1.0)?;
    let run = |mode| -> Result<Vec<f64>> {
        Ok(encoder
            .encode(&x, &[40], mode)?
            .values()
            .flatten_all()?
            .to_vec1()?)
    };
    let at = |seed, step| run(Mode::Train { seed, step });
    assert_eq!(at(1, 1)?, at(1, 1)?);
    assert_ne!(at(1, 1)?, at(1, 2)?);
    assert_ne!(at(1, 1)?, at(2, 1)?);
    assert_ne!(at(1, 1)?, run(Mode::Eval)?);
    Ok(())
}

#[test]
fn subsampling_names_the_utterance_below_its_receptive_field() -> Result<()> {
    let x = uniform(6, &[2, 9, BINS], -1.0, 1.0)?;
    let error = Encoder::new()?.encode(&x, &[9, 6], Mode::Eval).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooShort {
                utterance: 1,
                frames: 6,
                needed: 7
            }
        ),
        "{error}"
    );
    Ok(())
}

#[test]
fn conformer_recomputed_has_the_same_bits() -> Result<()> {
    let x = uniform(1, &[3, 31, BINS], -1.0, 1.0)?;
    let mode = Mode::Train { seed: 2, step: 5 };
    let run = |recompute| -> Result<Vec<Vec<f64>>> {
        let encoder = Encoder::with(recompute)?;
        let y = encoder.encode(&x, &[31, 7, 20], mode)?;
        let grads = y.values().sqr()?.sum_all()?.backward()?;
        let mut all = vec![y.values().flatten_all()?.to_vec1()?];
        for (_, var) in encoder.params.vars() {
            all.push(grads.get(&var).unwrap().flatten_all()?.to_vec1()?);
        }
        Ok(all)
    };
    assert_eq!(run(false)?, run(true)?);
    Ok(())
}

#[test]
fn conformer_levels_end_in_its_output() -> Result<()> {
    let encoder = Encoder::new()?;
    let x = Padded::new(uniform(8, &[2, 9, 8], -1.0, 1.0)?, Lengths::new(vec![9, 4]))?;
    let mode = Mode::Train { seed: 1, step: 2 };
    let all = encoder.conformer.levels(&x, 2, mode)?;
    let output = encoder.conformer.encode(&x, mode)?;
    let same = |a: &Padded, b: &Padded| assert_close("level", a.values(), b.values(), Tolerance::PROOF);
    assert_eq!(all.len(), 3);
    same(&all[0], &x)?;
    same(&all[2], &output)?;
    // Fewer blocks give the levels below, more than there are give all.
    let one = encoder.conformer.levels(&x, 1, mode)?;
    assert_eq!(one.len(), 2);
    same(&one[1], &all[1])?;
    assert_eq!(encoder.conformer.levels(&x, 7, mode)?.len(), 3);
    Ok(())
}
