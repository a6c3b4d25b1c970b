//! How a worker answers the harness, whatever it times: clock, memory, comparison.
//!
//! It says `{"ready": VERSION}` and then answers each line it reads with a line:
//!
//! | reads | answers |
//! |---|---|
//! | `{"do": "run"}` | `{"ms": M}`: one call. What it leaves is freed when the clock has stopped |
//! | `{"do": "peak"}` | `{"ms": M, "mb": P}`: one call, and by how much memory had grown at its peak |
//! | `{"do": "check", "reference": FILE}` | `{"loss": D, "gradient": D, "scale": [L, G], "values": N}`: the largest differences, the largest loss and gradient, and how many numbers of gradient there are; null if there is nothing to compare |
//! | `{"do": "quit"}` | nothing, and ends |
//!
//! What cannot be done is answered by `{"error": WHY}`. Workers in Python speak the same: `bench/protocol.py`.

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor, Var, safetensors};
use serde_json::{Value, json};

/// Something to time.
pub(crate) trait Work {
    /// What has to be done before every call and is not timed, such as restoring what the last one overwrote.
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    /// One call. Its results stay until they are released, so that freeing them is not timed either.
    fn call(&mut self) -> Result<()>;

    /// What is compared with the reference, if it means anything: by default there is nothing.
    fn found(&mut self) -> Result<Option<Found>> {
        Ok(None)
    }

    /// Frees the results.
    fn release(&mut self) {}
}

/// Answers lines until told to quit, or until nobody is left to ask.
pub(crate) fn serve(name: &str, mut work: Box<dyn Work>) -> Result<()> {
    say(&json!({ "ready": name }))?;
    for line in std::io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line?).context("not a line of the protocol")?;
        let answer = match asked["do"].as_str() {
            Some("quit") => return Ok(()),
            Some(what) => answer(work.as_mut(), what, &asked),
            None => bail!("a line without \"do\""),
        };
        say(&answer.unwrap_or_else(|error| json!({"error": format!("{error:#}")})))?;
    }
    Ok(())
}

fn answer(work: &mut dyn Work, what: &str, asked: &Value) -> Result<Value> {
    work.prepare()?;
    let answer = match what {
        "run" => json!({"ms": timed(work)?}),
        "peak" => {
            let before = reset_peak()?;
            let ms = timed(work)?;
            json!({"ms": ms, "mb": memory("VmHWM:")?.saturating_sub(before) as f64 * 1.024e-3})
        }
        "check" => {
            let reference = asked["reference"].as_str().context("check: no reference")?;
            match work.found()? {
                Some(found) => found.differences(reference)?,
                None => json!({"loss": null, "gradient": null}),
            }
        }
        other => bail!("{other}: not of the protocol"),
    };
    work.release();
    Ok(answer)
}

/// One call, in milliseconds.
fn timed(work: &mut dyn Work) -> Result<f64> {
    let begun = Instant::now();
    work.call()?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

fn say(line: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Forgets the peak so far, and returns the memory held now, in KiB.
fn reset_peak() -> Result<u64> {
    // Where this is not allowed, the peak counts from the start of the process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    memory("VmRSS:")
}

/// How much memory this process has or had, as the kernel counts it, in KiB.
fn memory(field: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("memory is only known on Linux")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number
        .with_context(|| format!("the kernel does not say {field}"))?
        .parse()
        .with_context(|| format!("{field} is no number"))
}

/// What is compared with the reference.
pub(crate) struct Found {
    pub(crate) loss: Tensor,
    /// By the name of what it is with respect to.
    pub(crate) gradients: Vec<(String, Tensor)>,
}

impl Found {
    /// Takes the gradients of the summed loss with respect to the named variables.
    pub(crate) fn new<'a>(
        loss: Tensor,
        wanted: impl IntoIterator<Item = (&'a str, &'a Var)>,
    ) -> Result<Self> {
        let mut all = loss.sum_all()?.backward()?;
        let gradient = |(name, var): (&str, &Var)| {
            let gradient = all.remove(var);
            Ok((
                name.to_owned(),
                gradient.with_context(|| format!("no gradient of {name}"))?,
            ))
        };
        Ok(Self {
            gradients: wanted.into_iter().map(gradient).collect::<Result<_>>()?,
            loss,
        })
    }

    /// The largest differences from the reference.
    fn differences(&self, reference: &str) -> Result<Value> {
        let reference =
            safetensors::load(reference, &Device::Cpu).with_context(|| format!("cannot read {reference}"))?;
        let largest = |tensor: Tensor| -> Result<f64> {
            Ok(tensor
                .abs()?
                .flatten_all()?
                .to_dtype(DType::F64)?
                .max(0)?
                .to_scalar()?)
        };
        let expected = |name: &str| -> Result<&Tensor> {
            let expected = reference.get(name);
            expected.with_context(|| format!("the reference has no {name}"))
        };
        let against = |name: &str, got: &Tensor| -> Result<f64> {
            let expected = expected(name)?;
            ensure!(got.dims() == expected.dims(), "{name}: {:?}", got.dims());
            let got = got.to_dtype(expected.dtype())?;
            let apart = (got - expected)?;
            // JSON has no infinity, and a maximum may pass over NaN.
            let finite = apart
                .to_dtype(DType::F64)?
                .sum_all()?
                .to_scalar::<f64>()?
                .is_finite();
            if finite { largest(apart) } else { Ok(1e300) }
        };
        // The loss alone is no answer to the question what loss and expected cost are together.
        let asked = reference.keys().filter(|name| name.starts_with("gradient."));
        if asked.count() != self.gradients.len() {
            return Ok(json!({"loss": null, "gradient": null}));
        }
        let (mut gradient, mut scale, mut values) = (0f64, 0f64, 0);
        for (name, got) in &self.gradients {
            gradient = gradient.max(against(&format!("gradient.{name}"), got)?);
            scale = scale.max(largest(expected(&format!("gradient.{name}"))?.clone())?);
            values += got.elem_count();
        }
        let scale = [largest(expected("loss")?.clone())?, scale];
        Ok(
            json!({"loss": against("loss", &self.loss)?, "gradient": gradient, "scale": scale, "values": values}),
        )
    }
}
