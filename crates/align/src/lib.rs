#![doc = include_str!("../README.md")]

mod average;
mod best;
mod cells;
mod chain;
mod filled;
mod grid;
mod moves;
mod random;
mod record;
mod scaled;
mod search;
mod sheared;
mod sinkhorn;
mod soft;
mod stretched;
mod transport;
mod upsampled;
mod waves;

pub use average::{FrameAverage, frame_average_cost};
pub use best::{BestAlignment, best_alignment, best_alignment_cost};
pub use cells::{GivenAlignment, alignment_cost};
pub use moves::Moves;
pub use random::{RandomAlignment, random_alignment};
pub use soft::{SoftAlignment, soft_alignment, soft_alignment_cost};
pub use stretched::{Stretched, stretched_alignment};
pub use transport::{OptimalTransport, optimal_transport_cost, transport_plan};
pub use upsampled::Upsampled;
