//! Programs against the layers they are made of, against differences, with poisoned padding, bit for bit.

#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Module, Tensor, Var};
use sandhi_core::{Lengths, Result};
use sandhi_nn::fused::{Dropout, Program};
use sandhi_nn::ops::{add_dropped, dropout, zero_padding};
use sandhi_nn::{Attention, AttentionContext, GatedConv, LayerNorm, Linear, Mode, Params};
use sandhi_testkit::{Tolerance, assert_close, check_gradient, poison_padding, uniform};

const D: usize = 8;
const RATE: f64 = 0.25;
const TRAIN: Mode = Mode::Train { seed: 3, step: 7 };

/// Every kind of layer once, and the program made of them.
struct Layers {
    params: Params,
    norm: LayerNorm,
    attention: Attention,
    widen: Linear,
    conv: GatedConv,
    middle: LayerNorm,
    hidden: Linear,
    narrow: Linear,
}

impl Layers {
    fn new(dtype: DType) -> Result<Self> {
        let params = Params::seeded(11, dtype, &Device::Cpu);
        let layers = Self {
            norm: LayerNorm::new(D, &params.scope("norm"))?,
            attention: Attention::new(D, 2, &params.scope("attention"))?,
            widen: Linear::new(D, 2 * D, &params.scope("widen"))?,
            conv: GatedConv::new(D, 3, &params.scope("conv"))?,
            middle: LayerNorm::new(D, &params.scope("middle"))?.with_silu(),
            hidden: Linear::new(D, 20, &params.scope("hidden"))?.with_silu(),
            narrow: Linear::new(20, D, &params.scope("narrow"))?,
            params,
        };
        // Biases start at zero and scales at one, where mistakes hide.
        let moved = layers
            .params
            .vars()
            .into_iter()
            .enumerate()
            .map(|(i, (name, var))| {
                let noise = uniform(90 + i as u64, var.dims(), -0.3, 0.3)?.to_dtype(dtype)?;
                Ok((name, (var.as_tensor() + noise)?))
            });
        layers.params.restore(&moved.collect::<Result<_>>()?)?;
        Ok(layers)
    }

    /// The same layers when frames see no further than their chunk.
    fn streaming(self) -> Result<Self> {
        let context = AttentionContext::Chunked {
            size: 3,
            left: Some(4),
            right: 0,
        };
        Ok(Self {
            attention: self.attention.within(context)?,
            conv: self.conv.causal(),
            ..self
        })
    }

    fn program(&self) -> Result<Program> {
        let site = |site: &str| Dropout {
            rate: RATE,
            site: site.into(),
        };
        Program::new(D, |p, x| {
            let h = p.layer_norm(x, &self.norm)?;
            let h = p.attention(h, &self.attention)?;
            let x = p.residual(x, h, 1.0, site("attention"))?;
            let h = p.linear(x, &self.widen)?;
            let h = p.gated_conv(h, &self.conv)?;
            let h = p.layer_norm(h, &self.middle)?;
            let h = p.linear_dropped(h, &self.hidden, site("hidden"))?;
            let h = p.linear(h, &self.narrow)?;
            p.residual(x, h, 0.5, site("output"))
        })
    }

    fn one_by_one(&self, x: &Tensor, lengths: &Lengths, mode: Mode) -> Result<Tensor> {
        let h = self.attention.forward(&self.norm.forward(x)?, lengths)?;
        let x = add_dropped(x, &h, 1.0, RATE, mode.key("attention"))?;
        let h = self.conv.forward(&self.widen.forward(&x)?, lengths)?;
        let h = self.hidden.forward(&self.middle.forward(&h)?)?;
        let h = self.narrow.forward(&dropout(&h, RATE, mode.key("hidden"))?)?;
        Ok(zero_padding(
            &add_dropped(&x, &h, 0.5, RATE, mode.key("output"))?,
            lengths,
        )?)
    }

    /// The output, and the gradients of the input and of all parameters.
    fn pass(&self, x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Vec<Tensor>> {
        let x = Var::from_tensor(x)?;
        let y = f(x.as_tensor())?;
        let weight = uniform(77, y.dims(), -1.0, 1.0)?.to_dtype(y.dtype())?;
        let grads = (&y * weight)?.sum_all()?.backward()?;
        let mut all = vec![y, grads.get(&x).unwrap().clone()];
        all.extend(
            self.params
                .vars()
                .iter()
                .map(|(_, var)| grads.get(var).unwrap().clone()),
        );
        Ok(all)
    }
}

/// Several tiles, some of more than one utterance; two utterances are empty, one of them a tile by itself.
fn ragged() -> Lengths {
    Lengths::new(vec![70, 90, 0, 200, 3, 125, 0])
}

fn input(dtype: DType) -> Result<Tensor> {
    Ok(uniform(5, &[7, 200, D], -1.0, 1.0)?.to_dtype(dtype)?)
}

#[test]
fn program_equals_its_layers() -> Result<()> {
    program_equals_layers(Ok)
}

#[test]
fn program_of_a_stream_equals_its_layers() -> Result<()> {
    program_equals_layers(Layers::streaming)
}

fn program_equals_layers(kind: fn(Layers) -> Result<Layers>) -> Result<()> {
    for (dtype, tolerance) in [(DType::F64, Tolerance::PROOF), (DType::F32, Tolerance::SINGLE)] {
        let (layers, x, lengths) = (kind(Layers::new(dtype)?)?, input(dtype)?, ragged());
        let x = zero_padding(&x, &lengths)?;
        for mode in [Mode::Eval, TRAIN] {
            let program = layers.program()?;
            let got = layers.pass(&x, |x| program.run(x, &lengths, mode))?;
            let expected = layers.pass(&x, |x| layers.one_by_one(x, &lengths, mode))?;
            for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                assert!(
                    got.abs()?.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()? > 0.0,
                    "{i}"
                );
                // Gradients of parameters are sums over hundreds of rows.
                let size = expected
                    .abs()?
                    .max_all()?
                    .to_dtype(DType::F64)?
                    .to_scalar::<f64>()?
                    .max(1.0);
                assert_close("program", &(got / size)?, &(expected / size)?, tolerance)?;
            }
        }
    }
    Ok(())
}

#[test]
fn program_gradient_equals_differences() -> Result<()> {
    let layers = Layers::new(DType::F64)?;
    let (program, lengths) = (layers.program()?, Lengths::new(vec![4, 2, 3]));
    let x = uniform(6, &[3, 4, D], -1.0, 1.0)?;
    let run = |x: &Tensor| program.run(x, &lengths, TRAIN);
    check_gradient(std::slice::from_ref(&x), |x| run(&x[0]), Tolerance::GRADIENT)?;

    // Each parameter along one direction.
    let grads = layers.pass(&x, run)?;
    let value = || -> Result<f64> {
        let y = run(&x)?;
        let weight = uniform(77, y.dims(), -1.0, 1.0)?;
        Ok((y * weight)?.sum_all()?.to_scalar::<f64>()?)
    };
    for (i, (name, var)) in layers.params.vars().into_iter().enumerate() {
        let (start, direction) = (
            var.as_tensor().copy()?,
            uniform(40 + i as u64, var.dims(), -1.0, 1.0)?,
        );
        let at = |h: f64| -> Result<f64> {
            var.set(&(&start + (&direction * h)?)?)?;
            value()
        };
        let expected = (at(1e-6)? - at(-1e-6)?) / 2e-6;
        at(0.0)?;
        let got = (&grads[2 + i] * &direction)?.sum_all()?.to_scalar::<f64>()?;
        assert!(
            (got - expected).abs() <= 1e-7 * expected.abs().max(1.0),
            "{name}: expected {expected}, got {got}"
        );
    }
    Ok(())
}

#[test]
fn program_ignores_padding() -> Result<()> {
    let (layers, lengths, x) = (Layers::new(DType::F64)?, ragged(), input(DType::F64)?);
    let program = layers.program()?;
    let clean = layers.pass(&zero_padding(&x, &lengths)?, |x| program.run(x, &lengths, TRAIN))?;
    for poison in [f64::NAN, f64::INFINITY, 1e30] {
        let x = poison_padding(&x, &lengths, poison)?;
        let got = layers.pass(&x, |x| program.run(x, &lengths, TRAIN))?;
        for (got, expected) in got.iter().zip(&clean) {
            assert_close("poisoned", got, expected, Tolerance::PROOF)?;
        }
    }
    // A batch equals its utterances.
    let whole = program.run(&x, &lengths, Mode::Eval)?;
    for (b, &n) in lengths.as_slice().iter().enumerate().filter(|(_, n)| **n > 0) {
        let alone = program.run(
            &x.narrow(0, b, 1)?.narrow(1, 0, n)?.contiguous()?,
            &Lengths::new(vec![n]),
            Mode::Eval,
        )?;
        let expected = whole.narrow(0, b, 1)?.narrow(1, 0, n)?.contiguous()?;
        assert_close("single", &alone, &expected, Tolerance::PROOF)?;
    }
    Ok(())
}

fn bits(tensors: &[Tensor]) -> Vec<Vec<u32>> {
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let bits = |t: &Tensor| values(t).into_iter().map(f32::to_bits).collect();
    tensors.iter().map(bits).collect()
}

#[test]
fn program_recomputed_has_the_same_bits() -> Result<()> {
    let (layers, lengths, x) = (Layers::new(DType::F32)?, ragged(), input(DType::F32)?);
    let kept = layers.program()?;
    let again = kept.clone().recomputed();
    let [kept, again] = [kept, again].map(|p| layers.pass(&x, |x| p.run(x, &lengths, TRAIN)));
    assert_eq!(bits(&kept?), bits(&again?));
    Ok(())
}

#[test]
fn program_has_the_same_bits_for_any_thread_count() -> Result<()> {
    let (layers, lengths, x) = (Layers::new(DType::F32)?, ragged(), input(DType::F32)?);
    let program = layers.program()?;
    let pass = |threads: usize| -> Result<Vec<Vec<u32>>> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let all = pool.install(|| layers.pass(&x, |x| program.run(x, &lengths, TRAIN)))?;
        Ok(bits(&all))
    };
    assert_eq!(pass(1)?, pass(4)?);
    Ok(())
}

#[test]
fn program_refuses_what_does_not_fit() -> Result<()> {
    let layers = Layers::new(DType::F32)?;
    let error = Program::new(D, |p, x| p.linear(x, &layers.narrow)).unwrap_err();
    assert!(
        error.to_string().contains("expected a width of 20, got 8"),
        "{error}"
    );
    let site = || Dropout {
        rate: 0.0,
        site: "z".into(),
    };
    for read_first in [true, false] {
        let twice = Program::new(D, |p, x| {
            let h = p.layer_norm(x, &layers.norm)?;
            let z = p.linear(h, &layers.widen)?;
            let z = p.gated_conv(z, &layers.conv)?;
            if read_first {
                p.linear(z, &layers.hidden)?;
            }
            let y = p.residual(x, z, 1.0, site())?;
            p.residual(z, y, 1.0, site())
        });
        assert!(twice.unwrap_err().to_string().contains("read twice"));
    }
    let idle = Program::new(D, |p, x| {
        p.linear(x, &layers.widen)?;
        p.layer_norm(x, &layers.norm)
    });
    assert!(idle.unwrap_err().to_string().contains("nothing reads value 1"));
    let mut foreign = None;
    Program::new(D, |p, x| {
        let h = p.layer_norm(x, &layers.norm)?;
        foreign = Some(h);
        Ok(h)
    })?;
    let error = Program::new(D, |p, _| p.layer_norm(foreign.unwrap(), &layers.norm)).unwrap_err();
    assert!(error.to_string().contains("of another"), "{error}");
    let dropped = |p: &mut sandhi_nn::fused::Builder, x| {
        p.linear_dropped(
            x,
            &layers.widen,
            Dropout {
                rate: 0.5,
                site: "w".into(),
            },
        )
    };
    assert!(
        Program::new(D, dropped)
            .unwrap_err()
            .to_string()
            .contains("activation")
    );
    let x = Tensor::zeros((2, 3, D + 1), DType::F32, &Device::Cpu)?;
    let error = layers
        .program()?
        .run(&x, &Lengths::new(vec![3, 3]), Mode::Eval)
        .unwrap_err();
    assert!(error.to_string().contains("expected x [B, T>0, 8]"), "{error}");
    let x = Tensor::zeros((2, 0, D), DType::F32, &Device::Cpu)?;
    let none = Lengths::new(vec![0, 0]);
    assert!(layers.program()?.run(&x, &none, Mode::Eval).is_err());
    Ok(())
}
