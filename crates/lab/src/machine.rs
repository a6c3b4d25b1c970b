use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::identity::{Code, Machine};

/// What the code of this process is: version, commit, compiler.
pub(crate) fn code() -> Code {
    let commit = git(&["rev-parse", "HEAD"]);
    Code {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // Only tracked files count, and of these not what the runner itself writes between two runs.
        git_dirty: git(&[
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            ":/",
            ":(top,exclude)reports",
            ":(top,exclude)RESULTS.md",
        ])
        .is_some_and(|changes| !changes.is_empty()),
        git_commit: commit.unwrap_or_else(|| "unknown".to_owned()),
        rustc: env!("LAB_RUSTC").to_owned(),
        candle: env!("LAB_CANDLE").to_owned(),
    }
}

/// What this process runs on.
pub(crate) fn machine() -> Machine {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| field(&text, "model name"));
    let memory = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| field(&text, "MemTotal"));
    let kilobytes = memory.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    Machine {
        cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from) as u64,
        memory_gib: kilobytes.map(|kilobytes| (kilobytes / 1024.0 / 1024.0 * 10.0).round() / 10.0),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
    }
}

/// The value of `name: value` in a file of /proc.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command line of this process, with the program by its name alone.
pub(crate) fn command_line() -> String {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    let name = Path::new(&program)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let quoted = arguments.map(|a| {
        if a.contains(char::is_whitespace) {
            format!("'{a}'")
        } else {
            a
        }
    });
    std::iter::once(name.unwrap_or(program))
        .chain(quoted)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Seconds since 1970.
pub(crate) fn seconds() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// The current time, as `2026-02-03T04:05:06Z`.
pub(crate) fn now() -> String {
    timestamp(seconds() as u64)
}

/// Seconds since 1970 as an RFC 3339 time in UTC.
fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Days since 1970 as year, month, day, in the proleptic Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of a year and months have a regular pattern.
fn civil(days: u64) -> (u64, u64, u64) {
    let since = days + 719_468;
    let (era, day_of_era) = (since / 146_097, since % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_agree_with_known_dates() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(timestamp(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(timestamp(1_735_689_600), "2025-01-01T00:00:00Z");
        assert_eq!(timestamp(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
