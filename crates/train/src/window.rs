//! What happened since the last line of metrics.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// A sum and how many values are in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sum {
    sum: f64,
    num: u64,
}

/// Sums over the steps since the last line of metrics. Kept in checkpoints, so that a resumed run writes the same means.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    sums: BTreeMap<String, Sum>,
}

impl Window {
    pub(crate) fn add(&mut self, name: &str, value: f64) {
        let entry = self.sums.entry(name.to_owned()).or_default();
        entry.sum += value;
        entry.num += 1;
    }

    /// The means by name, in order.
    pub(crate) fn means(&self) -> Vec<(&str, f64)> {
        self.sums
            .iter()
            .map(|(name, entry)| (name.as_str(), entry.sum / entry.num as f64))
            .collect()
    }

    pub(crate) fn clear(&mut self) {
        self.sums.clear();
    }
}

/// How fast steps went since the last line of metrics, without what lies between steps. Belongs to the process, not
/// to the run.
#[derive(Debug)]
pub(crate) struct Pace {
    since: Instant,
    time: Duration,
    waited: Duration,
    steps: u64,
    amounts: Vec<(&'static str, f64)>,
}

impl Pace {
    pub(crate) fn start() -> Self {
        Self {
            since: Instant::now(),
            time: Duration::ZERO,
            waited: Duration::ZERO,
            steps: 0,
            amounts: Vec::new(),
        }
    }

    /// A step begins.
    pub(crate) fn begin(&mut self) {
        self.since = Instant::now();
    }

    /// A part of the step that had so much data, after so long a wait for it.
    pub(crate) fn add(&mut self, waited: Duration, amounts: &[(&'static str, f64)]) {
        self.waited += waited;
        for (name, amount) in amounts {
            match self.amounts.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += amount,
                None => self.amounts.push((name, *amount)),
            }
        }
    }

    /// The step is done.
    pub(crate) fn end(&mut self) {
        self.time += self.since.elapsed();
        self.steps += 1;
    }

    pub(crate) fn seconds_per_step(&self) -> f64 {
        self.time.as_secs_f64() / self.steps.max(1) as f64
    }

    /// The share of the time that went into waiting for data, in 0..1.
    pub(crate) fn wait(&self) -> f64 {
        self.waited.as_secs_f64() / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Each amount per second of steps.
    pub(crate) fn rates(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let seconds = self.time.as_secs_f64().max(f64::MIN_POSITIVE);
        self.amounts.iter().map(move |(name, sum)| (*name, sum / seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_relates_waits_and_amounts_to_the_time_of_steps() {
        let mut pace = Pace::start();
        for amount in [3.0, 5.0] {
            pace.begin();
            pace.add(Duration::from_millis(10), &[("audio_seconds", amount / 2.0)]);
            pace.add(Duration::from_millis(5), &[("audio_seconds", amount / 2.0)]);
            std::thread::sleep(Duration::from_millis(40));
            pace.end();
        }
        let seconds = 2.0 * pace.seconds_per_step();
        assert!(seconds >= 0.08, "{seconds}");
        assert!((pace.wait() - 0.03 / seconds).abs() < 1e-9);
        let rates: Vec<_> = pace.rates().collect();
        assert_eq!(rates.len(), 1);
        assert!((rates[0].1 * seconds - 8.0).abs() < 1e-9, "{rates:?}");
    }
}
