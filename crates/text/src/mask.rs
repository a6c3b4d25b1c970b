//! Spans of labels hidden from the text encoder.

use rand::Rng;
use rand::seq::{SliceRandom, index};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::random::generator;

/// How much is masked, and in how long pieces.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskConfig {
    /// Expected share of positions that are masked, in `0..=1`.
    pub rate: f64,
    /// Length of a span in labels, at least 1.
    pub span: usize,
}

impl Default for MaskConfig {
    /// 15 % in spans of 5, as JOIST has it.
    fn default() -> Self {
        Self { rate: 0.15, span: 5 }
    }
}

impl MaskConfig {
    /// Checks the ranges, for configurations that come from a user.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the field.
    pub fn check(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(Error::Config {
                what: "mask rate",
                expected: "a share from 0 to 1",
                got: self.rate.to_string(),
            });
        }
        if self.span == 0 {
            return Err(Error::Config {
                what: "mask span",
                expected: "at least 1",
                got: "0".into(),
            });
        }
        Ok(())
    }
}

/// Replaces spans of labels by `mask`, in place.
///
/// `rate · U` positions are masked, rounded down or up at random so that the expectation is exact. They are
/// cut into spans of `span` labels and one shorter remainder, and the spans are placed uniformly among all
/// ways to place them in any order without overlap. The draws are a function of `seed`, the configuration and
/// the number of labels.
///
/// # Shapes
///
/// * `labels`: `[U]`, any U; its length does not change.
///
/// # Panics
///
/// If the configuration is out of range; see [`MaskConfig::check`].
///
/// # Source
///
/// Sainath et al. 2022, arXiv:2210.07353: 15 % in spans of 5. The placement is ours.
///
/// # Proved by
///
/// `mask_hides_the_configured_share`, `mask_spans_have_the_configured_length`, `mask_reaches_every_position`.
pub fn mask_spans(labels: &mut [u32], config: &MaskConfig, mask: u32, seed: u64) {
    assert!(
        config.check().is_ok(),
        "the mask configuration {config:?} is out of range"
    );
    let mut rng = generator(seed, "mask");
    let expected = config.rate * labels.len() as f64;
    // The fraction decides by chance whether one more position is masked.
    let masked =
        (expected.floor() as usize + usize::from(rng.random_bool(expected.fract()))).min(labels.len());

    let mut lengths = vec![config.span; masked / config.span];
    lengths.extend(Some(masked % config.span).filter(|&rest| rest > 0));
    lengths.shuffle(&mut rng);
    // Shrink every span to one slot, choose slots among these and the free positions, then grow the spans
    // again.
    let slots = labels.len() - masked + lengths.len();
    let mut chosen = index::sample(&mut rng, slots, lengths.len()).into_vec();
    chosen.sort_unstable();
    let mut grown = 0;
    for (slot, length) in chosen.into_iter().zip(lengths) {
        labels[slot + grown..][..length].fill(mask);
        grown += length - 1;
    }
}
