//! Which feature frames the target of an encoder frame is made of.

use std::ops::Range;

use sandhi_core::{Error, Lengths, Result};
use serde::{Deserialize, Serialize};

/// The feature frames behind the target of each encoder frame: frame t takes `stride·t + offset .. stride·t + offset + stack`.
///
/// The quantizer stacks these, and the mask hides an encoder frame if it hides all of these, so both take one `Stacking`.
///
/// # Proved by
///
/// `stacking_lies_in_the_middle_of_what_the_subsampling_sees`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stacking {
    /// Feature frames of one target, at least 1.
    pub stack: usize,
    /// Feature frames from one encoder frame to the next, at least 1: the factor of the subsampling.
    pub stride: usize,
    /// The first feature frame of the target of encoder frame 0.
    pub offset: usize,
}

impl Stacking {
    /// For two 3×3 convolutions of stride 2 without padding: encoder frame t sees the feature frames 4t .. 4t + 7, of which
    /// 4t + 1 .. 4t + 5 are the target. The four lie as near the middle as four of seven can.
    pub const BY_FOUR: Self = Self {
        stack: 4,
        stride: 4,
        offset: 1,
    };

    /// The feature frames of the target of encoder frame `t`.
    pub fn range(&self, t: usize) -> Range<usize> {
        let start = self.stride * t + self.offset;
        start..start + self.stack
    }

    /// Checks the ranges, for configurations that come from a user.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if `stack` or `stride` is 0.
    pub fn check(&self) -> Result<()> {
        if self.stack == 0 || self.stride == 0 {
            return Err(Error::Invalid {
                what: "stacking",
                why: format!(
                    "expected a stack and a stride of at least 1, got {} and {}",
                    self.stack, self.stride
                ),
            });
        }
        Ok(())
    }

    /// Checks that the features of every utterance reach to the end of the last target.
    pub(crate) fn check_fits(&self, features: &Lengths, frames: &Lengths) -> Result<()> {
        self.check()?;
        if frames.len() != features.len() {
            return Err(Error::BatchSize {
                what: "encoder frames",
                expected: features.len(),
                got: frames.len(),
            });
        }
        for (utterance, (&have, &t)) in features.as_slice().iter().zip(frames.as_slice()).enumerate() {
            let needed = t.checked_sub(1).map_or(0, |last| self.range(last).end);
            if have < needed {
                return Err(Error::TooShort {
                    utterance,
                    frames: have,
                    needed,
                });
            }
        }
        Ok(())
    }
}
