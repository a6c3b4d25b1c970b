//! The quantities that are compared.

use std::str::FromStr;

use anyhow::{Error, Result, bail};

/// γ of the soft alignments: what the others take unless told otherwise.
pub(crate) const TEMPERATURE: f64 = 1.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// The cheapest path of forced alignment, which others call monotonic alignment search.
    Forced,
    /// The cheapest path of dynamic time warping, and what it costs.
    Warping,
    /// What it costs alone.
    Distance,
    /// What the cheapest alignment costs in the paper's reading.
    EveryLabel,
    /// The soft minimum of all warpings, and its gradient.
    Soft,
}

impl FromStr for Task {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "forced" => Self::Forced,
            "warping" => Self::Warping,
            "distance" => Self::Distance,
            "every-label" => Self::EveryLabel,
            "soft" => Self::Soft,
            other => bail!("task: expected forced, warping, distance, every-label or soft, got {other:?}"),
        })
    }
}
