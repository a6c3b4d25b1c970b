//! The extents of a batch of costs.

use std::fmt;
use std::str::FromStr;

use crate::bench::extents::extents;

/// Utterances, frames, labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape(pub(crate) [usize; 3]);

/// A batch of a minute, and single utterances of 100 ms, 1 s, 10 s and 60 s, in frames of 40 ms with 12 labels a second.
pub(crate) const SHAPES: [Shape; 5] = [
    Shape([16, 1500, 200]),
    Shape([1, 3, 2]),
    Shape([1, 25, 12]),
    Shape([1, 250, 120]),
    Shape([1, 1500, 720]),
];

impl Shape {
    /// Bytes of the costs in f32.
    pub(crate) fn bytes(self) -> f64 {
        let [batch, frames, labels] = self.0;
        (batch * frames * labels * 4) as f64
    }

    /// Seconds of speech in an utterance, at 40 ms a frame.
    pub(crate) fn seconds(self) -> f64 {
        self.0[1] as f64 * 0.04
    }
}

impl FromStr for Shape {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        extents(text, ',', "B,T,U, as in 16,1500,200").map(Self)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [batch, frames, labels] = self.0;
        write!(f, "{batch},{frames},{labels}")
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
            ("16,1500", "expected B,T,U, as in 16,1500,200, got 2 extents"),
            ("16,0,200", "\"0\" is no extent"),
            ("16x1500x200", "no extent"),
        ] {
            let error = text.parse::<Shape>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn shapes_are_those_of_a_second_and_a_minute() {
        assert_eq!(SHAPES[2].seconds(), 1.0);
        assert_eq!((SHAPES[4].seconds(), SHAPES[4].bytes()), (60.0, 4_320_000.0));
    }
}
