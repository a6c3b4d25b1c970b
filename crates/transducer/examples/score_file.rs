//! Scores a batch from a file, so that any implementation of the RNN-T loss can be compared with this one.
//!
//! ```sh
//! cargo run --release -p sandhi-transducer --example score_file -- IN.safetensors OUT.safetensors
//! ```
//!
//! IN holds `logits` `[B, T, U+1, V]` (f32 or f64), `targets` `[B, U]`, `logit_lengths` `[B]`, `target_lengths` `[B]` (i32,
//! i64 or u32); optionally `blank` (one i32, 0 without it), `costs` `[B, T, U]` of emitting label u at frame t, and `lambda`
//! (one f64, 1 without it), by which the soft cost scales them.
//!
//! OUT holds `loss` `[B]`, `grad_logits` of the summed loss, `posteriors` `[B, T, U]`, `viterbi_frames` `[B, U]` (i64, −1 in
//! the padding), `viterbi_score` `[B]`; with costs also `expected_cost` `[B]`, `expected_cost_grad_costs`,
//! `expected_cost_grad_logits` and `soft_cost` `[B]`. Padding is 0.
//!
//! The library returns an error for an utterance that has no alignment; this program names it, writes +∞ for its loss and
//! zeros for its gradients, and goes on.
#![allow(clippy::print_stderr)] // A program, not a library.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor, Var, safetensors};
use sandhi_core::{Error, Labels, Lengths};
use sandhi_transducer::{
    Normalize, arc_scores, expected_cost, label_posteriors, soft_cost, transducer_loss, viterbi,
};

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        bail!("usage: score_file IN.safetensors OUT.safetensors");
    };
    for infeasible in score_file(input.as_ref(), output.as_ref())? {
        eprintln!("{infeasible}");
    }
    Ok(())
}

/// Scores the batch in `input` and writes `output`. Returns a line for each utterance without an alignment.
pub(crate) fn score_file(input: &Path, output: &Path) -> Result<Vec<String>> {
    let tensors =
        safetensors::load(input, &Device::Cpu).with_context(|| format!("cannot read {}", input.display()))?;
    let (scored, infeasible) = Batch::new(tensors)?.score()?;
    safetensors::save(&scored, output).with_context(|| format!("cannot write {}", output.display()))?;
    Ok(infeasible)
}

/// The input, checked.
struct Batch {
    logits: Tensor,
    rows: Vec<Vec<u32>>,
    frames: Vec<usize>,
    blank: u32,
    costs: Option<Tensor>,
    lambda: f64,
}

impl Batch {
    fn new(mut tensors: HashMap<String, Tensor>) -> Result<Self> {
        let mut take = |name: &str| tensors.remove(name);
        let needed = |name: &str, found: Option<Tensor>| {
            found.with_context(|| format!("the file has no tensor `{name}`"))
        };
        let logits = needed("logits", take("logits"))?;
        let (batch, num_frames, columns, _) = logits.dims4().context("logits: expected [B, T, U+1, V]")?;
        let lengths = |name: &str, found: Option<Tensor>, most: usize| -> Result<Vec<usize>> {
            let given = integers(name, &needed(name, found)?)?;
            ensure!(
                given.len() == batch,
                "{name}: expected {batch} lengths, got {}",
                given.len()
            );
            let checked = given.iter().enumerate().map(|(b, &n)| {
                let fits = usize::try_from(n).ok().filter(|&n| n <= most);
                fits.with_context(|| format!("{name}: utterance {b}: expected 0 to {most}, got {n}"))
            });
            checked.collect()
        };
        let frames = lengths("logit_lengths", take("logit_lengths"), num_frames)?;
        let labels = lengths("target_lengths", take("target_lengths"), columns - 1)?;
        let targets = needed("targets", take("targets"))?;
        ensure!(
            targets.dims() == [batch, columns - 1],
            "targets: expected [{batch}, {}], got {:?}",
            columns - 1,
            targets.dims()
        );
        let targets = integers("targets", &targets)?;
        let row = |b: usize| -> Result<Vec<u32>> {
            let row = &targets[b * (columns - 1)..][..labels[b]];
            let id = |&id: &i64| {
                u32::try_from(id).with_context(|| format!("targets: utterance {b}: {id} is no label"))
            };
            row.iter().map(id).collect()
        };
        let rows = (0..batch).map(row).collect::<Result<_>>()?;
        let blank = take("blank").map_or(Ok(vec![0]), |blank| integers("blank", &blank))?;
        let costs = take("costs")
            .map(|costs| costs.to_dtype(logits.dtype()))
            .transpose()?;
        if let Some(costs) = &costs {
            let expected = [batch, num_frames, columns - 1];
            ensure!(
                costs.dims() == expected,
                "costs: expected {expected:?}, got {:?}",
                costs.dims()
            );
        }
        let lambda = take("lambda").map_or(Ok(vec![1.0]), |l| {
            l.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
        })?;
        let (&[blank], &[lambda]) = (blank.as_slice(), lambda.as_slice()) else {
            bail!("blank and lambda: expected one element each");
        };
        Ok(Self {
            logits,
            rows,
            frames,
            blank: u32::try_from(blank).with_context(|| format!("blank: {blank} is no label"))?,
            costs,
            lambda,
        })
    }

    /// Every utterance by itself, so that one without an alignment takes nothing from the others.
    fn score(&self) -> Result<(HashMap<String, Tensor>, Vec<String>)> {
        let (batch, num_frames, columns, vocabulary) = self.logits.dims4()?;
        let labels = columns - 1;
        let mut out = HashMap::new();
        let mut padded = |name: &str, shape: &[usize]| {
            let values = vec![0f64; shape.iter().product()];
            out.insert(
                name.to_owned(),
                Padded {
                    shape: shape.to_vec(),
                    values,
                },
            );
        };
        for name in ["loss", "viterbi_score"] {
            padded(name, &[batch]);
        }
        padded("grad_logits", self.logits.dims());
        padded("posteriors", &[batch, num_frames, labels]);
        if self.costs.is_some() {
            padded("expected_cost", &[batch]);
            padded("soft_cost", &[batch]);
            padded("expected_cost_grad_costs", &[batch, num_frames, labels]);
            padded(
                "expected_cost_grad_logits",
                &[batch, num_frames, columns, vocabulary],
            );
        }
        let mut emitted = vec![-1i64; batch * labels];
        let mut infeasible = Vec::new();
        for b in 0..batch {
            match self.utterance(b) {
                Ok(scored) => {
                    for (name, part) in scored.parts {
                        let whole = out.get_mut(name).context("a name the output has not")?;
                        whole.put(b, &part)?;
                    }
                    for (u, &frame) in scored.emitted.iter().enumerate() {
                        emitted[b * labels + u] = frame as i64;
                    }
                }
                Err(error) => match error.downcast_ref::<Error>() {
                    Some(Error::NoAlignment { frames, labels, .. }) => {
                        infeasible.push(format!(
                            "utterance {b} has no alignment: {labels} labels over {frames} frames"
                        ));
                        let worst = [("loss", f64::INFINITY), ("viterbi_score", f64::NEG_INFINITY)];
                        for (name, value) in worst {
                            let whole = out.get_mut(name).context("a name the output has not")?;
                            whole.values[b] = value;
                        }
                    }
                    _ => return Err(error.context(format!("utterance {b}"))),
                },
            }
        }
        let dtype = self.logits.dtype();
        let tensor = |p: Padded| Tensor::from_vec(p.values, p.shape, &Device::Cpu)?.to_dtype(dtype);
        let mut tensors = out
            .into_iter()
            .map(|(name, padded)| Ok((name, tensor(padded)?)))
            .collect::<Result<HashMap<_, _>>>()?;
        let emitted = Tensor::from_vec(emitted, (batch, labels), &Device::Cpu)?;
        tensors.insert("viterbi_frames".to_owned(), emitted);
        Ok((tensors, infeasible))
    }

    /// The results of one utterance.
    fn utterance(&self, b: usize) -> Result<Scored> {
        let (frames, columns) = (self.frames[b], self.rows[b].len() + 1);
        if frames == 0 {
            let labels = columns - 1;
            return Err(Error::NoAlignment {
                utterance: b,
                frames,
                labels,
            }
            .into());
        }
        let own = |x: &Tensor, columns: usize| {
            x.narrow(0, b, 1)?
                .narrow(1, 0, frames)?
                .narrow(2, 0, columns)?
                .contiguous()
        };
        let logits = Var::from_tensor(&own(&self.logits, columns)?)?;
        let labels = Labels::new(vec![self.rows[b].clone()], self.blank)?;
        let arcs = arc_scores(
            logits.as_tensor(),
            &labels,
            &Lengths::new(vec![frames]),
            Normalize::Softmax,
        )?;
        let loss = transducer_loss(&arcs)?;
        let best = viterbi(&arcs)?.remove(0);
        let mut parts = vec![
            ("loss", loss.clone()),
            ("grad_logits", gradient(&loss, &logits)?),
            ("posteriors", label_posteriors(&arcs)?),
            ("viterbi_score", Tensor::new(&[best.score], &Device::Cpu)?),
        ];
        if let Some(costs) = &self.costs {
            let costs = Var::from_tensor(&own(costs, columns - 1)?)?;
            let expected = expected_cost(&arcs, costs.as_tensor())?;
            parts.extend([
                ("expected_cost", expected.clone()),
                ("expected_cost_grad_costs", gradient(&expected, &costs)?),
                ("expected_cost_grad_logits", gradient(&expected, &logits)?),
                (
                    "soft_cost",
                    soft_cost(&arcs, &(costs.as_tensor() * self.lambda)?)?,
                ),
            ]);
        }
        Ok(Scored {
            parts,
            emitted: best.frames,
        })
    }
}

/// The results of one utterance: tensors by name, with a batch of one, and the frames of its best path.
struct Scored {
    parts: Vec<(&'static str, Tensor)>,
    emitted: Vec<usize>,
}

fn gradient(value: &Tensor, of: &Var) -> Result<Tensor> {
    let gradients = value.sum_all()?.backward()?;
    match gradients.get(of) {
        Some(gradient) => Ok(gradient.clone()),
        // Without labels nothing depends on the costs.
        None => Ok(of.zeros_like()?),
    }
}

fn integers(name: &str, tensor: &Tensor) -> Result<Vec<i64>> {
    let flat = tensor.flatten_all()?;
    Ok(match flat.dtype() {
        DType::I64 => flat.to_vec1()?,
        DType::I32 => flat.to_vec1::<i32>()?.into_iter().map(i64::from).collect(),
        DType::U32 => flat.to_vec1::<u32>()?.into_iter().map(i64::from).collect(),
        other => bail!("{name}: expected i32, i64 or u32, got {}", other.as_str()),
    })
}

/// A zeroed tensor that utterances are copied into.
struct Padded {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Padded {
    /// Copies `part`, of the same rank and with a batch of one, into the corner of utterance `b`.
    fn put(&mut self, b: usize, part: &Tensor) -> Result<()> {
        let dims = part.dims().to_vec();
        let values = part.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        for (i, value) in values.into_iter().enumerate() {
            // Row-major position in the part to row-major position in the whole.
            let (mut rest, mut place, mut stride) = (i, 0, 1);
            for axis in (1..dims.len()).rev() {
                place += rest % dims[axis] * stride;
                rest /= dims[axis];
                stride *= self.shape[axis];
            }
            self.values[b * stride + place] = value;
        }
        Ok(())
    }
}
