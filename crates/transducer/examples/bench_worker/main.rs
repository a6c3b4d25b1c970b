//! Our side of `cargo xtask bench transducer`: makes the inputs everybody gets, and is one of those timed.
//!
//! ```sh
//! bench_worker inputs TASK B T U V INPUTS.safetensors REFERENCE.safetensors
//! bench_worker work MODE INPUTS.safetensors
//! ```
//!
//! `inputs` writes seeded random inputs for a task (`loss`, `expected` or `joiner`), and what is to come out, computed in
//! f64: `loss`, and a `gradient.NAME` of the summed loss for every input that has one.
//!
//! `work` says `{"ready": VERSION}` and then answers each line it reads with a line:
//!
//! | reads | answers |
//! |---|---|
//! | `{"do": "run"}` | `{"ms": M}`: one call. What it leaves is freed when the clock has stopped |
//! | `{"do": "peak"}` | `{"ms": M, "mb": P}`: one call, and by how much memory had grown at its peak |
//! | `{"do": "check", "reference": FILE}` | `{"loss": D, "gradient": D}`: the largest differences; null if there is nothing to compare |
//! | `{"do": "quit"}` | nothing, and ends |
//!
//! What cannot be done is answered by `{"error": WHY}`. The workers of other implementations, in `bench/`, speak the same.
#![allow(clippy::print_stderr)] // A program, not a library.

mod floors;
mod inputs;
mod joiner;
mod memory;
mod work;

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use work::Work;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["inputs", task, shape @ .., inputs, reference] => inputs::write(task, shape, inputs, reference),
        ["work", mode, inputs] => work::start(mode, inputs).and_then(serve),
        _ => Err(anyhow::anyhow!(
            "usage: bench_worker inputs TASK B T U V INPUTS REFERENCE | bench_worker work MODE INPUTS"
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Answers lines until told to quit, or until nobody is left to ask.
fn serve(mut work: Box<dyn Work>) -> Result<()> {
    say(&json!({"ready": format!("sandhi-transducer {}", env!("CARGO_PKG_VERSION"))}))?;
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
            let before = memory::reset_peak()?;
            let ms = timed(work)?;
            json!({"ms": ms, "mb": memory::peak()?.saturating_sub(before) as f64 * 1.024e-3})
        }
        "check" => {
            work.call()?;
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
