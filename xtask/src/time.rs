//! How long runs will take: as long as they did, else as long as the experiment expects.

use std::fmt;
use std::path::Path;

use sandhi_lab::{Identity, PlanArm, Status, format_duration};

use crate::status::subdirectories;

/// How long one run will take, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Estimate {
    /// What runs of the same configuration took, on average.
    Measured(f64),
    /// What the experiment expects of one core.
    Expected(f64),
    /// Nobody can say.
    Unknown,
}

impl Estimate {
    /// Of an arm whose runs are in a directory. Any seed takes as long as another.
    pub(crate) fn of(arm: &PlanArm, dir: &Path) -> anyhow::Result<Self> {
        let mut measured = Vec::new();
        for run in subdirectories(dir)? {
            let identity = Identity::read(&run)?;
            measured.extend(
                identity
                    .filter(|found| found.status == Status::Done && found.config_hash == arm.config_hash)
                    .map(|found| found.wall_seconds),
            );
        }
        let mean = measured.iter().sum::<f64>() / measured.len() as f64;
        Ok(match arm.expected_seconds {
            _ if !measured.is_empty() => Self::Measured(mean),
            Some(seconds) => Self::Expected(seconds),
            None => Self::Unknown,
        })
    }

    /// What is left of it when some was spent already.
    pub(crate) fn less(self, spent: f64) -> Self {
        match self {
            Self::Measured(seconds) => Self::Measured((seconds - spent).max(0.0)),
            Self::Expected(seconds) => Self::Expected((seconds - spent).max(0.0)),
            Self::Unknown => Self::Unknown,
        }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured(seconds) => write!(f, "{} measured before", format_duration(*seconds)),
            Self::Expected(seconds) => write!(f, "{} expected", format_duration(*seconds)),
            Self::Unknown => f.write_str("time unknown"),
        }
    }
}

/// How long several runs will take, so many at a time.
#[derive(Debug)]
pub(crate) struct Total<'a> {
    runs: Vec<(&'a str, Estimate)>,
    at_a_time: usize,
}

impl<'a> Total<'a> {
    /// Of arms with an estimate per run.
    pub(crate) fn new(runs: Vec<(&'a str, Estimate)>, at_a_time: usize) -> Self {
        Self { runs, at_a_time }
    }
}

impl fmt::Display for Total<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut seconds, mut measured, mut expected) = (0.0, 0, 0);
        let (mut unknown, mut names) = (0, Vec::new());
        for (arm, estimate) in &self.runs {
            match estimate {
                Estimate::Measured(time) => (seconds, measured) = (seconds + time, measured + 1),
                Estimate::Expected(time) => (seconds, expected) = (seconds + time, expected + 1),
                Estimate::Unknown => {
                    unknown += 1;
                    if !names.contains(arm) {
                        names.push(*arm);
                    }
                }
            }
        }
        if self.runs.is_empty() {
            return f.write_str("time   nothing to run");
        }
        // Runs side by side have fewer threads each, and get more when others have ended.
        let time = format_duration(seconds / self.at_a_time as f64);
        match (measured + expected, unknown) {
            (_, 0) => write!(f, "time   about {time}")?,
            (0, _) => f.write_str("time   unknown")?,
            _ => write!(f, "time   at least {time}")?,
        }
        let runs = if self.runs.len() == 1 { "run" } else { "runs" };
        write!(f, ": {} {runs}, {} at a time (", self.runs.len(), self.at_a_time)?;
        let parts = [
            (measured > 0).then(|| format!("{measured} measured before")),
            (expected > 0).then(|| format!("{expected} expected by the experiment")),
            (unknown > 0).then(|| format!("{unknown} unknown: {}", names.join(", "))),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        write!(f, "{})", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(runs: &[(&'static str, Estimate)], at_a_time: usize) -> String {
        Total::new(runs.to_vec(), at_a_time).to_string()
    }

    #[test]
    fn total_time_is_divided_among_those_that_run_and_says_where_it_is_from() {
        let (measured, expected) = (Estimate::Measured(300.0), Estimate::Expected(100.0));
        assert_eq!(total(&[], 2), "time   nothing to run");
        assert_eq!(
            total(&[("rnnt", measured), ("astra", expected)], 2),
            "time   about 3 min 20 s: 2 runs, 2 at a time (1 measured before, 1 expected by the experiment)"
        );
        assert_eq!(
            total(&[("rnnt", measured), ("soft", Estimate::Unknown)], 1),
            "time   at least 5 min 00 s: 2 runs, 1 at a time (1 measured before, 1 unknown: soft)"
        );
        assert_eq!(
            total(&[("soft", Estimate::Unknown)], 1),
            "time   unknown: 1 run, 1 at a time (1 unknown: soft)"
        );
    }

    #[test]
    fn time_that_was_spent_is_not_expected_again() {
        assert_eq!(Estimate::Measured(300.0).less(100.0), Estimate::Measured(200.0));
        assert_eq!(Estimate::Expected(300.0).less(400.0), Estimate::Expected(0.0));
        assert_eq!(Estimate::Unknown.less(1.0), Estimate::Unknown);
    }
}
