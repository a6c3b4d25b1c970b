//! What a checkpoint says besides its arrays.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::snapshots::Snapshot;
use crate::window::Window;
use crate::{Best, Error, Result};

/// Raised when a checkpoint of before can no longer be read.
const FORMAT: u32 = 1;

/// Where a run stands. Everything that is not here is a function of the configuration, the seed and the step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    format: u32,
    /// The configuration it belongs to.
    pub(crate) config_hash: String,
    /// Steps taken, skipped ones included: the position in the schedule and in the data.
    pub(crate) step: u64,
    /// No further step is to be taken.
    pub(crate) finished: bool,
    /// Finished because validation no longer improved.
    pub(crate) stopped_early: bool,
    /// Steps skipped because something was not finite.
    pub(crate) skipped: u64,
    /// The same, since the last step that was not skipped.
    pub(crate) skipped_in_a_row: u64,
    /// Validations since the best one.
    pub(crate) validations_without_improvement: u64,
    /// The best validation.
    pub(crate) best: Option<Best>,
    /// Metrics not yet written.
    pub(crate) window: Window,
    /// The weights that are kept to be averaged.
    #[serde(default)]
    pub(crate) snapshots: Vec<Snapshot>,
}

impl State {
    /// The state before the first step.
    pub(crate) fn new(config_hash: &str) -> Self {
        Self {
            format: FORMAT,
            config_hash: config_hash.to_owned(),
            step: 0,
            finished: false,
            stopped_early: false,
            skipped: 0,
            skipped_in_a_row: 0,
            validations_without_improvement: 0,
            best: None,
            window: Window::default(),
            snapshots: Vec::new(),
        }
    }

    /// As TOML. Numbers are written so that reading them gives the same bits.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        let text = toml::to_string(self).map_err(|error| Error::corrupt("state.toml", error.to_string()))?;
        Ok(text.into_bytes())
    }

    /// Reads what [`State::to_bytes`] gave, for a run of this configuration.
    pub(crate) fn from_bytes(bytes: &[u8], config_hash: &str, path: &Path) -> Result<Self> {
        let state: Self = toml::from_slice(bytes).map_err(|error| Error::corrupt(path, error.to_string()))?;
        if state.format != FORMAT {
            return Err(Error::corrupt(
                path,
                format!("expected format {FORMAT}, got {}", state.format),
            ));
        }
        if state.config_hash != config_hash {
            return Err(Error::corrupt(
                path,
                "it belongs to a run of another configuration",
            ));
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_round_trips_with_every_bit() {
        let mut state = State::new("abc");
        state.best = Some(Best {
            step: 7,
            metric: 0.1 + 0.2,
        });
        for (name, value) in [
            ("loss", 1.0 / 3.0),
            ("rnnt/speech", f64::MIN_POSITIVE),
            ("grad_norm", 1e300),
        ] {
            state.window.add(name, value);
            state.window.add(name, std::f64::consts::PI);
        }
        let bytes = state.to_bytes().unwrap();
        assert_eq!(
            State::from_bytes(&bytes, "abc", Path::new("state.toml")).unwrap(),
            state
        );
        let error = State::from_bytes(&bytes, "abd", Path::new("state.toml")).unwrap_err();
        assert!(error.to_string().contains("another configuration"), "{error}");
    }
}
