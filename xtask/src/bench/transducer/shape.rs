//! The extents of a batch.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;

use crate::bench::extents::extents;

/// Utterances, frames, labels, vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape(pub(crate) [usize; 4]);

/// A small one, and what batches of grapheme, BPE and phoneme models look like.
pub(crate) const SHAPES: [Shape; 6] = [
    Shape([1, 50, 10, 32]),
    Shape([8, 150, 30, 256]),
    Shape([8, 200, 40, 1024]),
    Shape([4, 400, 80, 1024]),
    Shape([16, 150, 40, 500]),
    Shape([2, 1000, 200, 128]),
];

impl Shape {
    /// MB of the padded logits in f32.
    pub(crate) fn megabytes(self) -> f64 {
        let [batch, frames, labels, vocabulary] = self.0;
        (batch * frames * (labels + 1) * vocabulary * 4) as f64 / 1e6
    }
}

impl FromStr for Shape {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let extents = extents(text, 'x', "BxTxUxV, as in 8x200x40x1024")?;
        let [_, _, _, vocabulary] = extents;
        if vocabulary < 2 {
            bail!("a vocabulary has a blank and at least one label");
        }
        Ok(Self(extents))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [batch, frames, labels, vocabulary] = self.0;
        write!(f, "{batch}x{frames}x{labels}x{vocabulary}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_as_they_are_written() {
        for shape in SHAPES {
            assert_eq!(shape.to_string().parse::<Shape>().unwrap(), shape);
        }
        for (text, why) in [
            ("8x200x40", "BxTxUxV"),
            ("8x0x40x10", "no extent"),
            ("8xTx40x10", "no extent"),
            ("1x2x3x1", "blank"),
        ] {
            let error = text.parse::<Shape>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
