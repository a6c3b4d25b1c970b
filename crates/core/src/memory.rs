//! Requests that memory cannot grant are refused before they are made.

use crate::{Error, Result};

/// Checks that a tensor of these extents fits the memory that is available now.
///
/// An allocation that fails ends the process, or brings the whole machine to a halt, hours into a training; this says
/// beforehand what was asked for. Where the system does not tell what is available, only overflow is refused.
///
/// # Errors
///
/// [`Error::Memory`] with the arithmetic.
///
/// # Proved by
///
/// `what_does_not_fit_is_refused_with_the_arithmetic`.
pub fn check_memory(what: &'static str, extents: &[(&str, usize)], bytes_each: usize) -> Result<()> {
    let product = extents
        .iter()
        .try_fold(bytes_each, |product, (_, n)| product.checked_mul(*n));
    // Small requests are granted without a look at the system, which costs more than they do.
    if product.is_some_and(|bytes| bytes < SMALL || available().is_none_or(|free| bytes as u64 <= free)) {
        return Ok(());
    }
    let factors: Vec<String> = extents.iter().map(|(name, n)| format!("{name} {n}")).collect();
    let exact = extents
        .iter()
        .fold(bytes_each as f64, |product, (_, n)| product * *n as f64);
    Err(Error::Memory {
        what,
        arithmetic: format!(
            "{} x {bytes_each} bytes = {}",
            factors.join(" x "),
            readable(exact)
        ),
        available: available().map_or("an unknown amount".into(), |free| readable(free as f64)),
    })
}

/// 64 MiB.
const SMALL: usize = 1 << 26;

/// Bytes that can be had without swapping, within the limit of the control group.
fn available() -> Option<u64> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    let free = match system.cgroup_limits() {
        Some(limits) => system.available_memory().min(limits.free_memory),
        None => system.available_memory(),
    };
    (free > 0).then_some(free)
}

fn readable(bytes: f64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB")];
    let (size, unit) = units
        .into_iter()
        .find(|(size, _)| bytes >= *size)
        .unwrap_or((1.0, "bytes"));
    format!("{:.1} {unit}", bytes / size)
}

#[cfg(test)]
mod tests {
    use super::check_memory;

    #[test]
    fn what_does_not_fit_is_refused_with_the_arithmetic() {
        check_memory("logits", &[("B", 8), ("V", 1024)], 4).unwrap();
        let huge = [("B", 64), ("T", 4000), ("U+1", 401), ("V", 1 << 20)];
        let error = check_memory("gradient of the logits", &huge, 4)
            .unwrap_err()
            .to_string();
        let expected =
            "gradient of the logits: B 64 x T 4000 x U+1 401 x V 1048576 x 4 bytes = 430.6 TB, but only ";
        assert!(error.starts_with(expected), "{error}");
        let overflow = [("B", usize::MAX), ("V", 3)];
        assert!(
            check_memory("logits", &overflow, 4)
                .unwrap_err()
                .to_string()
                .contains("TB, but only")
        );
    }
}
