//! The scores of one node, checked and normalised.

use sandhi_core::{Error, Result, Stepwise};

use crate::Normalize;

/// Reads the scores of a node into `row`, whose length is the vocabulary's.
///
/// [`Error::Scores`] if one is NaN (as is one that the model leaves unwritten) or +∞, or if there is none above −∞: that is no
/// distribution, and a search over it would make words up.
pub(super) fn read<M: Stepwise>(
    model: &M,
    (utterance, frame): (usize, usize),
    state: &M::State,
    row: &mut [f64],
) -> Result<()> {
    row.fill(f64::NAN);
    model.scores(utterance, frame, state, row);
    let mut highest = f64::NEG_INFINITY;
    for (id, &score) in row.iter().enumerate() {
        if score.is_nan() || score == f64::INFINITY {
            let why = format!("the score of id {id} is {score}");
            return Err(Error::Scores {
                utterance,
                frame,
                why,
            });
        }
        highest = highest.max(score);
    }
    if highest == f64::NEG_INFINITY {
        return Err(Error::Scores {
            utterance,
            frame,
            why: format!("all {} scores are -inf", row.len()),
        });
    }
    Ok(())
}

/// Scores that were read to ln p, in place; see [`Normalize`] for the equations.
pub(super) fn normalize(row: &mut [f64], blank: usize, normalize: Normalize) {
    match normalize {
        Normalize::Softmax => {
            let total = log_sum(row.iter().copied());
            row.iter_mut().for_each(|score| *score -= total);
        }
        Normalize::Hat => {
            let logit = row[blank];
            row[blank] = f64::NEG_INFINITY;
            let total = log_sum(row.iter().copied());
            // Where the model allows no label, the share of the labels is lost.
            if total > f64::NEG_INFINITY {
                let share = log_sigmoid(-logit) - total;
                row.iter_mut().for_each(|score| *score += share);
            }
            row[blank] = log_sigmoid(logit);
        }
    }
}

/// ln Σ eˣ; −∞ if there is nothing above −∞.
fn log_sum(scores: impl Iterator<Item = f64> + Clone) -> f64 {
    let highest = scores.clone().fold(f64::NEG_INFINITY, f64::max);
    if highest == f64::NEG_INFINITY {
        return highest;
    }
    highest + scores.map(|x| (x - highest).exp()).sum::<f64>().ln()
}

fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(row: &[f64], how: Normalize) -> Vec<f64> {
        let mut row = row.to_vec();
        normalize(&mut row, 1, how);
        row
    }

    #[test]
    fn normalized_node_sums_to_one_also_where_arcs_are_missing() {
        let missing = f64::NEG_INFINITY;
        for row in [
            [0.3, -2.0, 5.0],
            [1e3, -1e3, 0.0],
            [missing, 1.5, -700.0],
            [0.1, missing, 0.2],
        ] {
            for how in [Normalize::Softmax, Normalize::Hat] {
                let found = normalized(&row, how);
                let total: f64 = found.iter().map(|x| x.exp()).sum();
                assert!((total - 1.0).abs() < 1e-12, "{row:?} {how:?}: {found:?}");
            }
        }
    }

    #[test]
    fn hat_node_without_labels_leaves_their_share_to_nobody() {
        let found = normalized(&[f64::NEG_INFINITY, 0.0, f64::NEG_INFINITY], Normalize::Hat);
        assert_eq!(found, [f64::NEG_INFINITY, 0.5f64.ln(), f64::NEG_INFINITY]);
    }
}
