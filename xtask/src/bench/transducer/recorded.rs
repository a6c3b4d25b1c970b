//! Implementations that no package index has, through their ratio to torchaudio as it was once measured.
//!
//! Provenance: built from source and timed next to torchaudio 2.11 on two cores of a Zen 5 with AVX-512, in the way this
//! harness times: one call each in a round, 2 threads, default allocator. A run scales these by its own torchaudio, so they
//! say where these implementations would stand, not that they were run.

use super::shape::{SHAPES, Shape};

/// Median ms by shape, in the order of [`SHAPES`].
const TORCHAUDIO: [f64; 6] = [1.17, 218.0, 1656.0, 3714.0, 1108.0, 1657.0];

const OTHERS: [Recorded; 4] = [
    Recorded {
        name: "optimized_transducer (in place)",
        ms: [1.29, 26.0, 211.0, 537.0, 150.0, 317.0],
        peak: [None, Some(0.76), Some(0.69), Some(0.75), Some(0.66), Some(0.84)],
    },
    Recorded {
        name: "warp-transducer + log_softmax",
        ms: [0.48, 35.5, 471.0, 486.0, 195.0, 219.0],
        peak: [None, Some(3.17), Some(3.02), Some(3.03), Some(3.03), Some(3.03)],
    },
    // With an allocator told to keep freed pages, and the least of all calls instead of the median.
    Recorded {
        name: "warp-transducer, malloc tuned",
        ms: [0.46, 16.0, 92.0, 133.0, 47.2, 66.0],
        peak: [None, Some(3.17), Some(3.02), Some(3.03), Some(3.03), Some(3.03)],
    },
    Recorded {
        name: "fast_rnnt 1.3",
        ms: [1.74, 75.9, 656.0, 1095.0, 603.0, 784.0],
        peak: [None, Some(4.28), Some(4.04), Some(4.04), Some(4.07), Some(4.12)],
    },
];

struct Recorded {
    name: &'static str,
    ms: [f64; 6],
    /// Peak growth of memory in multiples of the padded logits.
    peak: [Option<f64>; 6],
}

/// Name, milliseconds on this machine as torchaudio's `now` has it, and peak memory in multiples of the logits.
pub(crate) fn scaled(shape: Shape, now: f64) -> Vec<(&'static str, f64, Option<f64>)> {
    let Some(index) = SHAPES.iter().position(|known| *known == shape) else {
        return Vec::new();
    };
    let one = |other: &Recorded| {
        (
            other.name,
            other.ms[index] / TORCHAUDIO[index] * now,
            other.peak[index],
        )
    };
    OTHERS.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_times_scale_with_torchaudio() {
        let twice = scaled(SHAPES[2], 2.0 * TORCHAUDIO[2]);
        assert_eq!(twice.len(), 4);
        assert!((twice[0].1 - 422.0).abs() < 1e-9 && twice[0].2 == Some(0.69));
        assert!(scaled(Shape([1, 2, 3, 4]), 1.0).is_empty());
    }
}
