#![doc = include_str!("../README.md")]

mod arc_scores;
mod ctc;
mod expected;
mod fused_joiner;
mod grid;
mod node;
mod op;
mod product;
mod real;
mod search;
mod tile;
mod transducer;

pub use arc_scores::{Normalize, arc_scores};
pub use ctc::ctc_loss;
pub use expected::{Alignment, ExpectedCost, SoftCost, expected_cost, soft_cost};
pub use fused_joiner::joiner_arc_scores;
pub use search::{Beam, Candidate, Emission, Greedy, Hypothesis};
pub use transducer::{label_posteriors, transducer_loss, viterbi};
