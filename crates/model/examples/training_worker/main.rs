//! Our side of `cargo xtask bench training`: makes the inputs everybody gets, and is one of those timed.
//!
//! ```sh
//! training_worker inputs PIECE SIZE INPUTS.safetensors REFERENCE.safetensors
//! training_worker work PIECE SIZE INPUTS.safetensors
//! ```
//!
//! `PIECE` is one of those in `piece.rs`, `SIZE` what `size.rs` says, as JSON. `inputs` writes seeded random inputs, the
//! parameters among them (`parameter.NAME`), and what is to come out without dropout, computed in f64: `loss` for each
//! utterance, and a `gradient.NAME` of their sum for every parameter and every input that has one.
//!
//! `work` times a piece and speaks the protocol of all workers. Those of PyTorch are in `bench/`.
#![allow(clippy::print_stderr)] // A program, not a library.

mod data;
mod inputs;
mod network;
mod optimizer;
mod piece;
mod product;
#[path = "../../../transducer/examples/bench_worker/protocol.rs"]
mod protocol;
mod size;
mod timed;

use std::process::ExitCode;

use anyhow::{Context, Result};

use inputs::Inputs;
use size::Size;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // As training does: deep graphs need the stack, and layers use the pool they are in.
    let outcome = sandhi_train::with_stack(|| match arguments.as_slice() {
        ["inputs", piece, size, inputs, reference] => write(piece, size, inputs, reference),
        ["work", piece, size, inputs] => work(piece, size, inputs),
        _ => Err(anyhow::anyhow!(
            "usage: training_worker inputs PIECE SIZE INPUTS REFERENCE | training_worker work PIECE SIZE INPUTS"
        )),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn write(piece: &str, size: &str, inputs: &str, reference: &str) -> Result<()> {
    let (piece, size) = (piece.parse()?, read(size)?);
    let made = inputs::make(piece, &size)?;
    made.save(inputs)?;
    piece::reference(piece, &size, &made)?.save(reference)
}

fn work(piece: &str, size: &str, inputs: &str) -> Result<()> {
    let work = piece::start(piece.parse()?, &read(size)?, Inputs::read(inputs)?)?;
    protocol::serve(concat!("sandhi-model ", env!("CARGO_PKG_VERSION")), work)
}

fn read(size: &str) -> Result<Size> {
    serde_json::from_str(size).context("not a size")
}
