//! Our side of `cargo xtask bench transducer`: makes the inputs everybody gets, and is one of those timed.
//!
//! ```sh
//! bench_worker inputs TASK B T U V INPUTS.safetensors REFERENCE.safetensors
//! bench_worker MODE INPUTS.safetensors
//! ```
//!
//! `inputs` writes seeded random inputs for a task (`loss`, `expected` or `joiner`), and what is to come out, computed in
//! f64: `loss`, and a `gradient.NAME` of the summed loss for every input that has one.
//!
//! `MODE` is one of those in `work.rs`; it is timed, and speaks as `protocol.rs` says. So do the workers of other implementations, in `bench/`.
#![allow(clippy::print_stderr)] // A program, not a library.

mod floors;
mod inputs;
mod joiner;
mod protocol;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["inputs", task, shape @ .., inputs, reference] => inputs::write(task, shape, inputs, reference),
        [mode, inputs] => work::start(mode, inputs)
            .and_then(|work| protocol::serve(concat!("sandhi-transducer ", env!("CARGO_PKG_VERSION")), work)),
        _ => Err(anyhow::anyhow!(
            "usage: bench_worker inputs TASK B T U V INPUTS REFERENCE | bench_worker MODE INPUTS"
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
