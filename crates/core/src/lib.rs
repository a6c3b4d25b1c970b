#![doc = include_str!("../README.md")]

mod arc_scores;
mod consistency;
mod distance;
mod error;
pub mod host;
mod labels;
mod ledger;
mod lengths;
mod memory;
mod padded;
mod stepwise;

pub use arc_scores::{ArcScores, Topology};
pub use consistency::{Consistency, Pair};
pub use distance::{Distance, pairwise};
pub use error::{Error, Result};
pub use labels::Labels;
pub use ledger::Ledger;
pub use lengths::Lengths;
pub use memory::check_memory;
pub use padded::Padded;
pub use stepwise::Stepwise;
