//! Expected and soft cost as consistency losses.

use candle_core::Tensor;
use sandhi_core::{ArcScores, Consistency, Distance, Error, Pair, Result, pairwise};

use crate::{expected_cost, soft_cost};

/// Whether gradient reaches the alignment.
///
/// What ASTRA does is unknown, so it is a choice, and each is an arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alignment {
    /// The loss also moves the alignment towards cheap frames.
    Learned,
    /// The alignment is taken as given; only the embeddings move.
    Held,
}

impl Alignment {
    fn of(self, arcs: &ArcScores) -> ArcScores {
        match self {
            Alignment::Learned => arcs.clone(),
            Alignment::Held => arcs.detach(),
        }
    }
}

/// ASTRA's consistency: the distance of speech and text, averaged over the transducer's alignments.
///
/// Summed over the labels of an utterance, not divided by their number.
///
/// # Source
///
/// Gaur et al. 2024, arXiv:2406.06664; see [`expected_cost`].
///
/// # Proved by
///
/// `expected_cost_consistency_equals_its_parts`, `consistencies_over_alignments_obey_the_laws`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectedCost {
    /// How far a frame and a label embedding are apart.
    pub distance: Distance,
    /// Does gradient reach the arcs?
    pub alignment: Alignment,
}

impl Consistency for ExpectedCost {
    fn name(&self) -> &'static str {
        "expected-cost"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        expected_cost(&self.alignment.of(pair.arcs), &cost_of(self.distance, pair)?)
    }
}

/// The quantity that ASTRA's loss bounds, as a consistency: see [`soft_cost`].
///
/// # Proved by
///
/// `soft_cost_consistency_is_below_the_expected_cost`, `consistencies_over_alignments_obey_the_laws`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftCost {
    /// How far a frame and a label embedding are apart.
    pub distance: Distance,
    /// Does gradient reach the arcs?
    pub alignment: Alignment,
}

impl Consistency for SoftCost {
    fn name(&self) -> &'static str {
        "soft-cost"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        soft_cost(&self.alignment.of(pair.arcs), &cost_of(self.distance, pair)?)
    }
}

/// The costs of a pair whose lengths are those of its arcs.
fn cost_of(distance: Distance, pair: Pair<'_>) -> Result<Tensor> {
    let same = [
        ("speech embeddings", pair.speech.lengths(), pair.arcs.frames()),
        ("text embeddings", pair.text.lengths(), pair.arcs.labels()),
    ];
    for (what, got, expected) in same {
        if got != expected {
            let why = format!(
                "expected the lengths of the arcs, {:?}, got {:?}",
                expected.as_slice(),
                got.as_slice()
            );
            return Err(Error::Invalid { what, why });
        }
    }
    pairwise(distance, pair.speech, pair.text)
}
