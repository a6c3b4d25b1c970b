//! Our side of `cargo xtask bench align`: makes the inputs everybody gets, and is one of those timed.
//!
//! ```sh
//! align_worker inputs TASK B T U INPUTS.safetensors REFERENCE.safetensors
//! align_worker MODE TASK INPUTS.safetensors
//! ```
//!
//! `TASK` is one of those in `task.rs`. `inputs` writes two random series for each utterance, `speech` `[B, T]` and `text`
//! `[B, U]`, and their squared differences, `cost` `[B, T, U]` in f32; and what is to come out, by the recursions of `plain.rs`
//! in f64: `loss`, the cost of each utterance's alignment, and for soft alignments `gradient.cost`.
//!
//! `MODE` is one of those in `work.rs`; it is timed, and speaks the protocol of all workers. Those of others are in `bench/`.
#![allow(clippy::print_stderr)] // A program, not a library.

mod inputs;
mod plain;
#[path = "../../../transducer/examples/bench_worker/protocol.rs"]
mod protocol;
mod task;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["inputs", task, batch, frames, labels, inputs, reference] => {
            inputs::write(task, [batch, frames, labels], inputs, reference)
        }
        [mode, task, inputs] => work::start(mode, task, inputs)
            .and_then(|work| protocol::serve(concat!("sandhi-align ", env!("CARGO_PKG_VERSION")), work)),
        _ => Err(anyhow::anyhow!(
            "usage: align_worker inputs TASK B T U INPUTS REFERENCE | align_worker MODE TASK INPUTS"
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
