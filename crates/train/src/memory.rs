//! The memory of this process.

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, get_current_pid};

/// One mebibyte.
const MIB: f64 = (1 << 20) as f64;

/// Resident memory of this process, now and at most.
///
/// # Proved by
///
/// `memory_sees_what_is_allocated`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// Now, in MiB.
    pub resident_mib: f64,
    /// The most there ever was, in MiB: as the kernel counts it where it does (Linux), else the present value.
    pub peak_mib: f64,
}

impl Memory {
    /// Reads both; none where the system does not tell.
    pub fn of_this_process() -> Option<Self> {
        let id = get_current_pid().ok()?;
        let mut system = System::new().ok()?;
        let memory = ProcessRefreshKind::nothing().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, memory);
        let resident_mib = system.process(id)?.memory() as f64 / MIB;
        let peak_mib = high_water_mark().unwrap_or(0.0).max(resident_mib);
        Some(Self {
            resident_mib,
            peak_mib,
        })
    }
}

/// `VmHWM` of /proc, in MiB. The library has no name for it.
fn high_water_mark() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_sees_what_is_allocated() {
        let before = Memory::of_this_process().unwrap();
        let block = vec![1u8; 64 << 20];
        let during = Memory::of_this_process().unwrap();
        assert_eq!(block.iter().map(|&byte| u64::from(byte)).sum::<u64>(), 64 << 20);
        drop(block);
        let after = Memory::of_this_process().unwrap();
        // Other tests of this process allocate too, but not by this much.
        assert!(
            during.resident_mib - before.resident_mib > 48.0,
            "{before:?} {during:?}"
        );
        assert!(
            after.peak_mib >= during.resident_mib - 1.0,
            "{during:?} {after:?}"
        );
    }
}
