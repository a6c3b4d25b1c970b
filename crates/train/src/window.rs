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

/// Wall time per step since the last line of metrics, without what lies between steps. Belongs to the process, not to
/// the run.
#[derive(Debug)]
pub(crate) struct Pace {
    since: Instant,
    time: Duration,
    steps: u64,
}

impl Pace {
    pub(crate) fn start() -> Self {
        Self {
            since: Instant::now(),
            time: Duration::ZERO,
            steps: 0,
        }
    }

    /// A step begins.
    pub(crate) fn begin(&mut self) {
        self.since = Instant::now();
    }

    /// The step is done.
    pub(crate) fn end(&mut self) {
        self.time += self.since.elapsed();
        self.steps += 1;
    }

    pub(crate) fn seconds_per_step(&self) -> f64 {
        self.time.as_secs_f64() / self.steps.max(1) as f64
    }
}
