//! Records which compiler and which tensor library a binary was made with, for `run.toml`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC")
        .and_then(|rustc| Command::new(rustc).arg("--version").output().ok())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|text| text.trim().to_owned())
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=LAB_RUSTC={rustc}");

    // The lock file of the workspace, when there is one: a published crate is built without it.
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
    println!("cargo::rerun-if-changed={lock}");
    let candle = std::fs::read_to_string(lock)
        .ok()
        .and_then(|text| version_of(&text, "candle-core"));
    println!(
        "cargo::rustc-env=LAB_CANDLE={}",
        candle.as_deref().unwrap_or("unknown")
    );
}

/// The version a lock file gives for a package: the line after its name.
fn version_of(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines
        .nth(1)?
        .strip_prefix("version = \"")?
        .strip_suffix('"')
        .map(str::to_owned)
}
