//! Edit counts between a reference and a hypothesis, by minimum edit distance.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use crate::tokens::{characters, words};

/// What it takes to turn a reference into a hypothesis with the fewest edits.
///
/// Edits of several utterances add up; [`crate::error_rate`] turns the sum into a rate.
///
/// Invariants of every value made here: `hits + substitutions + deletions = reference_len`, and
/// `hits + substitutions + insertions` is the number of tokens of the hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Edits {
    /// Reference tokens that stand as another token in the hypothesis.
    pub substitutions: usize,
    /// Reference tokens missing from the hypothesis.
    pub deletions: usize,
    /// Hypothesis tokens with no counterpart in the reference.
    pub insertions: usize,
    /// Reference tokens found unchanged.
    pub hits: usize,
    /// Number of tokens of the reference.
    pub reference_len: usize,
}

impl Edits {
    /// Substitutions, deletions and insertions together: the edit distance. Independent of ties.
    pub fn errors(&self) -> usize {
        self.substitutions + self.deletions + self.insertions
    }

    /// Number of tokens of the hypothesis.
    pub fn hypothesis_len(&self) -> usize {
        self.hits + self.substitutions + self.insertions
    }
}

impl Add for Edits {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self {
            substitutions: self.substitutions + rhs.substitutions,
            deletions: self.deletions + rhs.deletions,
            insertions: self.insertions + rhs.insertions,
            hits: self.hits + rhs.hits,
            reference_len: self.reference_len + rhs.reference_len,
        }
    }
}

impl AddAssign for Edits {
    fn add_assign(&mut self, rhs: Self) {
        *self = *self + rhs;
    }
}

impl Sum for Edits {
    fn sum<I: Iterator<Item = Self>>(edits: I) -> Self {
        edits.fold(Self::default(), Add::add)
    }
}

/// Edits between the words of one reference and one hypothesis.
///
/// Words are those of [`words`]; case and punctuation count as they are.
///
/// # Proved by
///
/// `word_edits_equal_jiwer`, `edits_equal_naive_recursion`.
///
/// # Example
///
/// ```
/// let edits = sandhi_score::word_edits("the cat sat", "the bad cat sat down");
/// assert_eq!((edits.hits, edits.insertions, edits.errors()), (3, 2, 2));
/// ```
pub fn word_edits(reference: &str, hypothesis: &str) -> Edits {
    edits(&words(reference), &words(hypothesis))
}

/// Edits between the characters of one reference and one hypothesis.
///
/// Characters are those of [`characters`]: Unicode code points, inner spaces included.
///
/// # Proved by
///
/// `character_edits_equal_jiwer`.
pub fn character_edits(reference: &str, hypothesis: &str) -> Edits {
    edits(&characters(reference), &characters(hypothesis))
}

/// One cell of the distance table: its cost, and how many of each edit the chosen way there takes.
#[derive(Clone, Copy, Default)]
struct Cell {
    cost: usize,
    deletions: usize,
    insertions: usize,
}

/// Edits between two token sequences, each edit at cost one.
///
/// Several alignments can share the least cost and split it differently. The tie rule is that of
/// rapidfuzz, on which jiwer 4 rests: common prefix and suffix are set aside as hits, and the rest is
/// traced from its end, preferring a deletion, then an insertion, then the diagonal. The rule depends on
/// costs alone, so the counts are carried along in two rows and no table is kept.
///
/// # Equation
///
/// ```text
/// D(j, i) = min( D(j, i−1) + 1,  D(j−1, i) + 1,  D(j−1, i−1) + [h_j ≠ r_i] )
///                i over reference, j over hypothesis
/// from (j, i):  deletion   if D(j, i) = D(j, i−1) + 1
///               insertion  else if D(j−1, i) = D(j−1, i−1) − 1
///               diagonal   else
/// ```
///
/// # Proved by
///
/// `edits_equal_naive_recursion`, `edits_swap_insertions_and_deletions`, `edits_obey_the_triangle`.
pub fn edits<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> Edits {
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

    let mut row: Vec<Cell> = (0..=r.len())
        .map(|i| Cell {
            cost: i,
            deletions: i,
            insertions: 0,
        })
        .collect();
    for (j, hypothesis_token) in h.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = Cell {
            cost: j + 1,
            deletions: 0,
            insertions: j + 1,
        };
        for (i, reference_token) in r.iter().enumerate() {
            let (left, up) = (row[i], row[i + 1]);
            let replace = diagonal.cost + usize::from(reference_token != hypothesis_token);
            let cost = replace.min(left.cost + 1).min(up.cost + 1);
            row[i + 1] = if cost == left.cost + 1 {
                Cell {
                    cost,
                    deletions: left.deletions + 1,
                    insertions: left.insertions,
                }
            } else if up.cost + 1 == diagonal.cost {
                Cell {
                    cost,
                    deletions: up.deletions,
                    insertions: up.insertions + 1,
                }
            } else {
                Cell { cost, ..diagonal }
            };
            diagonal = up;
        }
    }
    let Cell {
        cost,
        deletions,
        insertions,
    } = row[r.len()];
    let substitutions = cost - deletions - insertions;
    let hits = reference.len() - deletions - substitutions;
    Edits {
        substitutions,
        deletions,
        insertions,
        hits,
        reference_len: reference.len(),
    }
}
