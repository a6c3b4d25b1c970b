#![doc = include_str!("../README.md")]

mod best_path;
mod ctc;
mod float;
mod n_best;
pub mod oracle;
mod posterior;
mod recursion;
mod semiring;
mod topology;

pub use best_path::{Path, best_path};
pub use ctc::{Ctc, CtcPosteriors};
pub use float::Float;
pub use n_best::n_best_paths;
pub use posterior::{Posteriors, posteriors, posteriors_from};
pub use recursion::{Table, backward, forward, total};
pub use semiring::{Count, Expectation, Log, MaxTropical, MinTropical, Moments, Semiring};
pub use topology::{Arc, Extent, Monotonic, Step, Topology, Transducer};
