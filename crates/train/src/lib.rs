#![doc = include_str!("../README.md")]

mod adamw;
mod average;
mod checkpoint;
mod config;
mod dump;
mod error;
mod gradients;
mod inplace;
mod memory;
mod part;
mod prefetch;
mod schedule;
mod signals;
mod snapshots;
mod stack;
mod state;
mod tensors;
mod trainer;
mod window;

pub use adamw::{AdamW, AdamWConfig};
pub use average::Average;
pub use config::TrainerConfig;
pub use error::{Error, Result};
pub use gradients::{Gradients, clip_global_norm};
pub use memory::Memory;
pub use part::Part;
pub use prefetch::{Prefetch, prefetch};
pub use schedule::Schedule;
pub use stack::{with_stack, with_stack_among};
pub use trainer::{Best, Micro, Outcome, Trainer, Weights};
