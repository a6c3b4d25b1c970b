//! Which nodes a pruned RNN-T keeps.

use sandhi_core::{ArcScores, Error, Labels, Lengths, Result, Topology};

use candle_core::DType;

use crate::arc_scores::wrong_dtype;
use crate::grid::{Utterance, each_utterance};
use crate::real::Real;

/// A band of nodes: at frame t those that have emitted `start(t) ..` labels, as many as it is wide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    width: usize,
    /// The first label count of each frame of each utterance.
    starts: Vec<Vec<usize>>,
}

impl Bounds {
    /// Nodes per frame.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The first label count that is kept, for each frame of an utterance: non-decreasing.
    pub fn starts(&self, utterance: usize) -> &[usize] {
        &self.starts[utterance]
    }

    /// Whether a node is kept.
    pub fn contains(&self, utterance: usize, t: usize, u: usize) -> bool {
        let start = self.starts[utterance][t];
        (start..start + self.width).contains(&u)
    }

    /// Checks that there is a start for each frame of a batch.
    pub(crate) fn check(&self, frames: &Lengths, labels: &Labels) -> Result<()> {
        let got = Lengths::new(self.starts.iter().map(Vec::len).collect());
        if got != *frames {
            let why = format!(
                "expected a start for each of {:?} frames, got {:?}",
                frames.as_slice(),
                got.as_slice()
            );
            return Err(Error::Invalid {
                what: "pruning bounds",
                why,
            });
        }
        let mut ends = self.starts.iter().zip(labels.lengths().as_slice());
        if let Some(b) =
            ends.position(|(starts, &labels)| starts.last().is_some_and(|&s| s + self.width <= labels))
        {
            return Err(Error::Invalid {
                what: "pruning bounds",
                why: format!("utterance {b}: the band ends before the last label"),
            });
        }
        Ok(())
    }
}

/// The band of `width` nodes a frame that keeps most of the posterior mass.
///
/// The band starts at no label, ends at the last, never goes back, and overlaps with itself from frame to frame, so that it
/// holds paths. Among all such bands the best is found by dynamic programming; of equals the one that is ahead later.
///
/// # Equation
///
/// ```text
/// max over s of Σ_t Σ_{u = s(t)}^{s(t)+width−1} γ_blank(t,u) + Σ_{u = s(t)}^{s(t)+width−2} γ_label(t,u)
/// s(0) = 0,   0 ≤ s(t+1) − s(t) ≤ width − 1,   s(T−1) = max(0, U + 1 − width)
/// ```
///
/// # Errors
///
/// [`Error::NoAlignment`] naming an utterance with too few frames for a band of this width to reach its last label: it
/// needs `(T − 1)(width − 1) ≥ U + 1 − width`. [`Error::Invalid`] for width 0, and for a monotonic lattice, in which a
/// node has arcs to the next frame only. Otherwise as [`transducer_loss`](crate::transducer_loss). O(T U width) time.
///
/// # Source
///
/// The idea is that of Kuang et al. 2022, arXiv:2206.13236, who take the best window of each frame and then mend the result
/// until it is monotonic.
///
/// # Proved by
///
/// `pruning_bounds_keep_the_most_mass_of_all_bands`, `a_band_as_wide_as_the_lattice_keeps_everything`.
pub fn pruning_bounds(arcs: &ArcScores, width: usize) -> Result<Bounds> {
    let invalid = |why: String| Error::Invalid {
        what: "pruning bounds",
        why,
    };
    if width == 0 {
        return Err(invalid("expected a width of at least 1, got 0".into()));
    }
    if arcs.topology() != Topology::Standard {
        return Err(invalid(
            "expected the standard lattice, got the monotonic one".into(),
        ));
    }
    fn all<F: Real>(arcs: &ArcScores, width: usize) -> Result<Vec<Vec<usize>>> {
        each_utterance(arcs, None, |utterance: &Utterance<'_, F>| {
            starts(utterance, width)
        })
    }
    let starts = match arcs.nodes().dtype() {
        DType::F32 => all::<f32>(arcs, width)?,
        DType::F64 => all::<f64>(arcs, width)?,
        other => return Err(wrong_dtype("arc scores", other)),
    };
    Ok(Bounds { width, starts })
}

fn starts<F: Real>(utterance: &Utterance<'_, F>, width: usize) -> Result<Vec<usize>> {
    let (frames, columns) = (utterance.waves.frames, utterance.waves.labels + 1);
    let last = columns.saturating_sub(width);
    let chain = utterance.chain()?;
    if (frames - 1) * (width - 1) < last {
        return Err(utterance.no_alignment());
    }
    // Sums over u of all arcs of a frame, and its label arcs: a window's mass is a difference of sums, less the label that
    // leads out of it.
    let mut arcs = vec![0.0; frames * columns];
    let mut labels = arcs.clone();
    chain.posteriors(|t, u, (blank, label)| {
        arcs[t * columns + u] = blank + label;
        labels[t * columns + u] = label;
    });
    let mass = |t: usize, start: usize| {
        let end = (start + width).min(columns);
        let window: f64 = arcs[t * columns + start..t * columns + end].iter().sum();
        window - labels[t * columns + end - 1]
    };
    // best[t][s]: the mass from frame t on, if the band starts there at s.
    let starts = last + 1;
    let mut best = vec![f64::NEG_INFINITY; frames * starts];
    best[(frames - 1) * starts + last] = mass(frames - 1, last);
    let reach = |s: usize| s..(s + width).min(starts);
    for t in (0..frames - 1).rev() {
        for s in 0..starts {
            let onward = best[(t + 1) * starts..][reach(s)]
                .iter()
                .fold(f64::NEG_INFINITY, |max, &x| max.max(x));
            best[t * starts + s] = mass(t, s) + onward;
        }
    }
    let mut band = vec![0];
    for t in 1..frames {
        let s = band[t - 1];
        let row = &best[t * starts..][..starts];
        let next = reach(s).reduce(|a, b| if row[b] > row[a] { b } else { a });
        band.push(next.unwrap_or(s));
    }
    Ok(band)
}
