#![doc = include_str!("../README.md")]

mod alignment;
mod arc_scores;
mod chain;
mod ctc;
mod ctc_scores;
mod expected;
mod fused_joiner;
mod grid;
mod host_loss;
mod log_add;
mod node;
mod op;
mod product;
mod pruning;
mod real;
mod rows;
mod scoring;
mod search;
mod simple_joiner;
mod tile;
mod transducer;
mod waves;

pub use alignment::{Aligned, emission_delay, emission_times, label_posteriors, n_best_alignments, viterbi};
pub use arc_scores::arc_scores;
pub use ctc::ctc_loss;
pub use ctc_scores::CtcScores;
pub use expected::{
    Alignment, ExpectedCost, SoftCost, alignment_entropy, cost_variance, expected_cost, soft_cost,
};
pub use fused_joiner::{joiner_arc_scores, joiner_arc_scores_within};
pub use host_loss::HostLoss;
pub use pruning::{Bounds, pruning_bounds};
pub use real::Real;
pub use scoring::{Normalize, Scoring};
pub use search::{Beam, Candidate, Emission, Greedy, Hypothesis};
pub use simple_joiner::simple_arc_scores;
pub use transducer::{Infeasible, LossOptions, transducer_loss, transducer_loss_with};
