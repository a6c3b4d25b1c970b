#![doc = include_str!("../README.md")]

mod cli;
mod config;
mod error;
mod experiment;
mod files;
mod identity;
mod lock;
mod machine;
mod metrics;
mod plan;
mod progress;
pub mod report;
mod run;
mod setting;
mod suggest;
mod tensorboard;

pub use cli::{Command, Place, execute};
pub use config::{Override, config_hash};
pub use error::{Error, Result};
pub use experiment::{Ablation, Arm, Claim, Contrast, Departure, Experiment, Reference, Unknown};
pub use files::write_atomic;
pub use identity::{Code, Identity, Machine, Status};
pub use lock::{Lock, holder};
pub use metrics::{Metric, read_metrics};
pub use plan::{
    Plan, PlanAblation, PlanArm, PlanClaim, PlanContrast, PlanDeparture, PlanPlace, PlanReference,
    PlanUnknown,
};
pub use progress::{Progress, ProgressLine, duration as format_duration};
pub use run::{INTERRUPTED, Run, Utterance, read_utterances};
pub use setting::{Scale, Setting};
pub use suggest::did_you_mean;
