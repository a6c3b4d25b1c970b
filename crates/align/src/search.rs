//! The cheapest monotone alignment of one utterance, for each reading of "monotone".

use sandhi_core::{Error, Result};

/// What an alignment of T frames and U labels must cover, and how it may move. Labels never go back in time.
///
/// Peyser et al. do not say which of the first three they mean, so each is an arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moves {
    /// Each label at one frame; frames may be skipped, and neighbouring labels may share a frame. Any U, at least one
    /// frame if there are labels.
    EveryLabel,
    /// Each label at a frame of its own; frames may be skipped. Needs U ≤ T.
    EveryLabelStrict,
    /// Each frame at one label; labels may be skipped or span many frames. At least one label if there are frames.
    EveryFrame,
    /// Each frame at one label and each label at one frame or more, so labels start at the first frame and end at the
    /// last: forced alignment. Needs U ≤ T, and both or neither empty.
    Forced,
}

impl Moves {
    /// The cells `(t, u)` of the cheapest alignment, in order, by a recursion with a running minimum: O(T U).
    ///
    /// A NaN cost is taken, as if it were cheaper than everything, so that it shows in the sum instead of being avoided.
    pub(crate) fn cheapest(
        self,
        utterance: usize,
        (frames, labels): (usize, usize),
        cost: impl Fn(usize, usize) -> f64,
    ) -> Result<Vec<(usize, usize)>> {
        let feasible = match self {
            Moves::EveryLabel => labels == 0 || frames > 0,
            Moves::EveryLabelStrict => labels <= frames,
            Moves::EveryFrame => frames == 0 || labels > 0,
            Moves::Forced => labels <= frames && (labels > 0 || frames == 0),
        };
        if !feasible {
            return Err(Error::NoAlignment {
                utterance,
                frames,
                labels,
            });
        }
        let cost = |t, u| {
            let value: f64 = cost(t, u);
            if value.is_nan() { f64::NEG_INFINITY } else { value }
        };
        let by_label = |gap| {
            monotone(labels, frames, gap, |u, t| cost(t, u))
                .into_iter()
                .enumerate()
        };
        Ok(match self {
            Moves::EveryLabel => by_label(0).map(|(u, t)| (t, u)).collect(),
            Moves::EveryLabelStrict => by_label(1).map(|(u, t)| (t, u)).collect(),
            Moves::EveryFrame => monotone(frames, labels, 0, cost)
                .into_iter()
                .enumerate()
                .collect(),
            Moves::Forced => forced(frames, labels, cost).into_iter().enumerate().collect(),
        })
    }
}

/// Assigns each of `rows` to one of `columns`, each at least `gap` beyond its predecessor's, at the smallest total cost.
///
/// ```text
/// D(r, c) = cost(r, c) + min_{c' ≤ c − gap} D(r − 1, c')
/// ```
///
/// The minimum over c' runs along with c, so a row costs O(columns).
fn monotone(rows: usize, columns: usize, gap: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    if rows == 0 {
        return Vec::new();
    }
    let mut total: Vec<f64> = (0..columns).map(|c| cost(0, c)).collect();
    // For each (r, c) with r > 0, the column of r − 1 it builds on.
    let mut from = vec![0usize; (rows - 1) * columns];
    for r in 1..rows {
        let mut next = vec![f64::INFINITY; columns];
        let mut best: Option<(f64, usize)> = None;
        // Row r − 1 cannot lie before column (r − 1) gap, nor row r before r gap.
        for c in r * gap..columns {
            let candidate = c - gap;
            // A strict comparison keeps the earliest of equals; the first candidate counts even if it is infinite.
            if best.is_none_or(|(value, _)| total[candidate] < value) {
                best = Some((total[candidate], candidate));
            }
            if let Some((value, column)) = best {
                next[c] = value + cost(r, c);
                from[(r - 1) * columns + c] = column;
            }
        }
        total = next;
    }
    let mut column = earliest_minimum(&total, (rows - 1) * gap);
    let mut path = vec![column; rows];
    for r in (1..rows).rev() {
        column = from[(r - 1) * columns + column];
        path[r - 1] = column;
    }
    path
}

fn earliest_minimum(values: &[f64], start: usize) -> usize {
    (start..values.len()).fold(start, |best, i| if values[i] < values[best] { i } else { best })
}

/// The label of each frame: it starts at 0, ends at U − 1 and moves up by 0 or 1.
fn forced(frames: usize, labels: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    if frames == 0 {
        return Vec::new();
    }
    let mut total = vec![f64::INFINITY; labels];
    total[0] = cost(0, 0);
    // Whether (t, u) is entered from label u − 1.
    let mut moved = vec![false; frames * labels];
    for t in 1..frames {
        // Downwards, so that total[u − 1] is still the previous frame's. Labels that frame t cannot have reached, or from
        // which the rest of the labels cannot be, are left out.
        let (low, high) = ((labels + t).saturating_sub(frames), t.min(labels - 1));
        for u in (low..=high).rev() {
            let stays = u < t;
            let moves = u > 0 && (!stays || total[u - 1] < total[u]);
            // A tie stays: label u was already there a frame ago, so labels start as early as they can.
            moved[t * labels + u] = moves;
            total[u] = cost(t, u) + if moves { total[u - 1] } else { total[u] };
        }
    }
    let mut label = labels - 1;
    let mut path = vec![label; frames];
    for t in (1..frames).rev() {
        if moved[t * labels + label] {
            label -= 1;
        }
        path[t - 1] = label;
    }
    path
}
