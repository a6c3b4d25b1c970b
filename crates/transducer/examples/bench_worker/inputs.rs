//! What all contenders are given, and what is to come out.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor, Var, safetensors};
use sandhi_core::{Labels, Lengths};
use sandhi_transducer::{Normalize, arc_scores, expected_cost, joiner_arc_scores, transducer_loss};

pub(crate) const BLANK: u32 = 0;
/// The width of the joiner.
const HIDDEN: usize = 256;
/// By name: what the gradient is taken of.
pub(crate) const JOINER: [&str; 4] = ["speech", "predicted", "weight", "bias"];

/// The inputs of a worker.
pub(crate) struct Inputs {
    tensors: HashMap<String, Tensor>,
    pub(crate) labels: Labels,
    pub(crate) frames: Lengths,
}

impl Inputs {
    pub(crate) fn read(path: &str) -> Result<Self> {
        let tensors = safetensors::load(path, &Device::Cpu).with_context(|| format!("cannot read {path}"))?;
        Self::new(tensors)
    }

    fn new(tensors: HashMap<String, Tensor>) -> Result<Self> {
        let ints = |name: &str| -> Result<Vec<usize>> {
            let tensor = tensors.get(name).with_context(|| format!("no tensor {name}"))?;
            let flat = tensor.flatten_all()?.to_vec1::<i32>()?;
            Ok(flat.into_iter().map(|x| x as usize).collect())
        };
        let (targets, lengths) = (ints("targets")?, ints("target_lengths")?);
        let columns = targets.len() / lengths.len();
        let row = |(b, &n): (usize, &usize)| targets[b * columns..][..n].iter().map(|&x| x as u32).collect();
        Ok(Self {
            labels: Labels::new(lengths.iter().enumerate().map(row).collect(), BLANK)?,
            frames: Lengths::new(ints("logit_lengths")?),
            tensors,
        })
    }

    /// A tensor whose gradient is wanted. It is no longer held here.
    pub(crate) fn take(&mut self, name: &str) -> Result<Var> {
        let tensor = self.tensors.remove(name);
        Ok(Var::from_tensor(
            &tensor.with_context(|| format!("no tensor {name}"))?,
        )?)
    }

    /// Utterance `b` alone, in f64.
    fn utterance(&self, b: usize) -> Result<Self> {
        let one = |(name, tensor): (&String, &Tensor)| {
            let shared = matches!(name.as_str(), "weight" | "bias");
            let part = if shared {
                tensor.clone()
            } else {
                tensor.narrow(0, b, 1)?
            };
            let float = part.dtype() == DType::F32;
            let part = if float { part.to_dtype(DType::F64)? } else { part };
            Ok((name.clone(), part.contiguous()?))
        };
        Self::new(self.tensors.iter().map(one).collect::<Result<_>>()?)
    }
}

/// Writes the inputs of a task, and what is to come out.
pub(crate) fn write(task: &str, shape: &[&str], inputs: &str, reference: &str) -> Result<()> {
    let shape: Vec<usize> = shape.iter().map(|x| x.parse()).collect::<Result<_, _>>()?;
    let &[batch, frames, labels, vocabulary] = shape.as_slice() else {
        bail!("expected B T U V");
    };
    ensure!(
        batch > 0 && frames > 0 && vocabulary > 1,
        "expected at least one utterance, frame and label"
    );
    let mut draws = Draws(1);
    let ragged = |draws: &mut Draws, most: usize| -> Vec<i32> {
        let least = (0.6 * most as f64).ceil() as usize;
        // Some implementations insist that an utterance fills the tensor.
        let draw = |b| {
            if b == 0 {
                most
            } else {
                least + draws.below(most - least + 1)
            }
        };
        (0..batch).map(draw).map(|n| n as i32).collect()
    };
    let (lengths, label_lengths) = (ragged(&mut draws, frames), ragged(&mut draws, labels));
    // The padding has labels too: some implementations look them up before they mask them.
    let targets: Vec<i32> = (0..batch * labels)
        .map(|_| 1 + draws.below(vocabulary - 1) as i32)
        .collect();
    let mut tensors = HashMap::new();
    let mut put = |name: &str, tensor: Tensor| tensors.insert(name.to_owned(), tensor);
    put(
        "targets",
        Tensor::from_vec(targets, (batch, labels), &Device::Cpu)?,
    );
    put("logit_lengths", Tensor::new(lengths, &Device::Cpu)?);
    put("target_lengths", Tensor::new(label_lengths, &Device::Cpu)?);
    let random: &[(&str, &[usize], f32)] = match task {
        "loss" => &[("logits", &[batch, frames, labels + 1, vocabulary], 3.0)],
        "expected" => &[
            ("logits", &[batch, frames, labels + 1, vocabulary], 3.0),
            ("costs", &[batch, frames, labels], 1.0),
        ],
        "joiner" => &[
            ("speech", &[batch, frames, HIDDEN], 1.0),
            ("predicted", &[batch, labels + 1, HIDDEN], 1.0),
            ("weight", &[vocabulary, HIDDEN], 0.2),
            ("bias", &[vocabulary], 0.5),
        ],
        other => bail!("{other}: no such task"),
    };
    for (name, dims, scale) in random {
        put(name, draws.tensor(dims, *scale)?);
    }
    safetensors::save(&tensors, inputs).with_context(|| format!("cannot write {inputs}"))?;
    let expected = solve(task, &Inputs::new(tensors)?)?;
    safetensors::save(&expected, reference).with_context(|| format!("cannot write {reference}"))
}

/// Losses in f64 and gradients computed in f64, one utterance after another to spare memory.
fn solve(task: &str, inputs: &Inputs) -> Result<HashMap<String, Tensor>> {
    let wanted: &[&str] = match task {
        "loss" => &["logits"],
        "expected" => &["logits", "costs"],
        _ => &JOINER,
    };
    let mut losses = Vec::new();
    let mut parts: HashMap<&str, Vec<Tensor>> = HashMap::new();
    for b in 0..inputs.frames.len() {
        let mut one = inputs.utterance(b)?;
        let vars: Vec<Var> = wanted.iter().map(|name| one.take(name)).collect::<Result<_>>()?;
        let arcs = match &vars[..] {
            [speech, predicted, weight, bias] => joiner_arc_scores(
                speech,
                predicted,
                weight,
                bias,
                &one.labels,
                &one.frames,
                Normalize::Softmax,
            )?,
            vars => arc_scores(&vars[0], &one.labels, &one.frames, Normalize::Softmax)?,
        };
        let mut loss = transducer_loss(&arcs)?;
        if let [_, costs] = &vars[..] {
            loss = (loss + expected_cost(&arcs, costs)?)?;
        }
        let gradients = loss.sum_all()?.backward()?;
        losses.push(loss);
        for (name, var) in wanted.iter().zip(&vars) {
            let gradient = gradients.get(var).context("an input without gradient")?;
            parts
                .entry(name)
                .or_default()
                .push(gradient.to_dtype(DType::F32)?);
        }
    }
    let mut out = HashMap::from([("loss".to_owned(), Tensor::cat(&losses, 0)?)]);
    for (name, parts) in parts {
        let whole = match name {
            "weight" | "bias" => Tensor::stack(&parts, 0)?.sum(0)?,
            _ => Tensor::cat(&parts, 0)?,
        };
        out.insert(format!("gradient.{name}"), whole);
    }
    Ok(out)
}

/// The splitmix64 generator: fast, and the same everywhere.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Uniform in −scale..scale.
    fn tensor(&mut self, dims: &[usize], scale: f32) -> Result<Tensor> {
        let count = dims.iter().product();
        let unit = (0..count).map(|_| (self.next() >> 40) as f32 / (1u32 << 23) as f32 - 1.0);
        Ok(Tensor::from_vec(
            unit.map(|x| scale * x).collect::<Vec<f32>>(),
            dims,
            &Device::Cpu,
        )?)
    }
}
