//! How much memory this process has, as the kernel counts it.

use anyhow::{Context, Result};

/// Forgets the peak so far, and returns the memory held now, in KiB.
pub(crate) fn reset_peak() -> Result<u64> {
    // Where this is not allowed, the peak counts from the start of the process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    field("VmRSS:")
}

/// The most memory held since, in KiB.
pub(crate) fn peak() -> Result<u64> {
    field("VmHWM:")
}

fn field(name: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("memory is only known on Linux")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number
        .with_context(|| format!("the kernel does not say {name}"))?
        .parse()
        .with_context(|| format!("{name} is no number"))
}
