//! The consistency losses over a transducer's alignments obey the laws of all consistency losses.
#![allow(missing_docs, clippy::unwrap_used)]

use sandhi_core::Distance;
use sandhi_testkit::check_consistency;
use sandhi_transducer::{Alignment, ExpectedCost, SoftCost};

#[test]
fn consistencies_over_alignments_obey_the_laws() {
    let huber = Distance::Huber { delta: 0.3 };
    for distance in [Distance::L1, Distance::SquaredL2, huber, Distance::Cosine] {
        for alignment in [Alignment::Learned, Alignment::Held] {
            check_consistency(&ExpectedCost { distance, alignment }).unwrap();
            check_consistency(&SoftCost { distance, alignment }).unwrap();
        }
    }
}
