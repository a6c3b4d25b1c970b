//! The recursions as one writes them down first: whole tables, nothing shared with the crate. They say what is to come out.

/// What a step of an alignment adds to frame and label.
pub(crate) type Step = (usize, usize);

/// Forced alignment: each frame stays at its label or goes to the next.
pub(crate) const FORCED: &[Step] = &[(1, 0), (1, 1)];
/// Dynamic time warping.
pub(crate) const WARPING: &[Step] = &[(1, 0), (0, 1), (1, 1)];

/// The costs of an utterance, `[T, U]`.
#[derive(Clone, Copy)]
pub(crate) struct Costs<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) frames: usize,
    pub(crate) labels: usize,
}

impl Costs<'_> {
    fn at(&self, t: usize, u: usize) -> f64 {
        f64::from(self.values[t * self.labels + u])
    }

    /// The same utterance from its end.
    fn reversed(&self) -> Vec<f32> {
        self.values.iter().rev().copied().collect()
    }
}

/// What the cheapest alignment costs that takes each label at one frame, as the definition has it: for every label and every
/// frame all the frames that the label before may have been taken at, O(T² U).
///
/// ```text
/// D(u, t) = cost(t, u) + min_{t' ≤ t} D(u−1, t')
/// ```
pub(crate) fn every_label(costs: Costs<'_>) -> f64 {
    let mut before = vec![0.0; costs.frames];
    let mut now = before.clone();
    for u in 0..costs.labels {
        for (t, now) in now.iter_mut().enumerate() {
            *now = costs.at(t, u) + least(&before[..=t]);
        }
        std::mem::swap(&mut now, &mut before);
    }
    least(&before)
}

/// What the cheapest path from the first cell to the last costs.
pub(crate) fn cheapest(costs: Costs<'_>, steps: &[Step]) -> f64 {
    last(&table(costs, steps, least))
}

/// The soft minimum of what all paths cost, and its gradient: the probability that a path takes each cell.
///
/// What a path costs up to a cell and from it on share the cell, so it is subtracted once:
///
/// ```text
/// P(t, u) = e^{−(to(t, u) + from(t, u) − cost(t, u) − total)/γ}
/// ```
pub(crate) fn soft(costs: Costs<'_>, steps: &[Step], temperature: f64) -> (f64, Vec<f64>) {
    let combine = |costs: &[f64]| soft_least(costs, temperature);
    let to = table(costs, steps, combine);
    let reversed = costs.reversed();
    let backwards = Costs {
        values: &reversed,
        ..costs
    };
    let from = table(backwards, steps, combine);
    let total = last(&to);
    let probability = |((&to, &from), &cost): ((&f64, &f64), &f32)| {
        (-(to + from - f64::from(cost) - total) / temperature).exp()
    };
    let cells = to.iter().zip(from.iter().rev()).zip(costs.values);
    (total, cells.map(probability).collect())
}

/// `D(t, u) = cost(t, u) + combine(D of the cells one step before)`.
fn table(costs: Costs<'_>, steps: &[Step], combine: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut table: Vec<f64> = Vec::with_capacity(costs.values.len());
    for t in 0..costs.frames {
        for u in 0..costs.labels {
            let before = |&(frames, labels): &Step| {
                let (t, u) = (t.checked_sub(frames)?, u.checked_sub(labels)?);
                Some(table[t * costs.labels + u])
            };
            let before: Vec<f64> = steps.iter().filter_map(before).collect();
            let so_far = if (t, u) == (0, 0) { 0.0 } else { combine(&before) };
            table.push(costs.at(t, u) + so_far);
        }
    }
    table
}

/// +∞ of nothing, which no path reaches.
fn least(costs: &[f64]) -> f64 {
    let mut least = f64::INFINITY;
    for &cost in costs {
        if cost < least {
            least = cost;
        }
    }
    least
}

fn soft_least(costs: &[f64], temperature: f64) -> f64 {
    let least = least(costs);
    let sum: f64 = costs
        .iter()
        .map(|cost| (-(cost - least) / temperature).exp())
        .sum();
    least - temperature * sum.ln()
}

fn last(table: &[f64]) -> f64 {
    table.last().copied().unwrap_or(f64::INFINITY)
}
