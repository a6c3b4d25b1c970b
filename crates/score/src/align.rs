//! The alignment behind the counts, for showing errors to a reader.

use crate::edit::edits;

/// One column of an alignment: a reference token, a hypothesis token, or both.
pub type Column<'a, T> = (Option<&'a T>, Option<&'a T>);

/// The alignment that [`edits`] counts, column by column.
///
/// A column without a hypothesis token is a deletion, one without a reference token an insertion. The path is
/// traced from the end by the tie rule of [`edits`]. Takes memory in the product of the lengths.
///
/// # Proved by
///
/// `alignment_has_the_counted_edits`.
pub fn alignment<'a, T: PartialEq>(reference: &'a [T], hypothesis: &'a [T]) -> Vec<Column<'a, T>> {
    let prefix = reference
        .iter()
        .zip(hypothesis)
        .take_while(|(r, h)| r == h)
        .count();
    let (r, h) = (&reference[prefix..], &hypothesis[prefix..]);
    let suffix = r
        .iter()
        .rev()
        .zip(h.iter().rev())
        .take_while(|(r, h)| r == h)
        .count();
    let (r, h) = (&r[..r.len() - suffix], &h[..h.len() - suffix]);

    let width = r.len() + 1;
    let mut cost: Vec<usize> = (0..width * (h.len() + 1))
        .map(|at| at % width + at / width)
        .collect();
    for j in 1..=h.len() {
        for i in 1..=r.len() {
            let replace = cost[(j - 1) * width + i - 1] + usize::from(r[i - 1] != h[j - 1]);
            cost[j * width + i] = replace
                .min(cost[(j - 1) * width + i] + 1)
                .min(cost[j * width + i - 1] + 1);
        }
    }

    let mut columns: Vec<Column<'a, T>> = reference[prefix + r.len()..]
        .iter()
        .zip(&hypothesis[prefix + h.len()..])
        .rev()
        .map(both)
        .collect();
    let (mut i, mut j) = (r.len(), h.len());
    while i > 0 || j > 0 {
        let deletes = i > 0 && (j == 0 || cost[j * width + i] == cost[j * width + i - 1] + 1);
        let inserts = i == 0 || cost[(j.max(1) - 1) * width + i] + 1 == cost[(j.max(1) - 1) * width + i - 1];
        if deletes {
            i -= 1;
            columns.push((Some(&r[i]), None));
        } else if inserts {
            j -= 1;
            columns.push((None, Some(&h[j])));
        } else {
            (i, j) = (i - 1, j - 1);
            columns.push((Some(&r[i]), Some(&h[j])));
        }
    }
    columns.extend(reference[..prefix].iter().zip(hypothesis).rev().map(both));
    columns.reverse();
    debug_assert_eq!(
        columns.iter().filter(|(r, h)| r != h).count(),
        edits(reference, hypothesis).errors(),
        "the traced path must cost what was counted"
    );
    columns
}

fn both<'a, T>((r, h): (&'a T, &'a T)) -> Column<'a, T> {
    (Some(r), Some(h))
}
