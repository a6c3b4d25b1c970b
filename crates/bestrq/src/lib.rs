#![doc = include_str!("../README.md")]

mod labelling;
mod loss;
mod masking;
mod quantizer;
mod stacking;
mod targets;
mod usage;

pub use loss::{MaskedLoss, MaskedPrediction, masked_prediction_loss};
pub use masking::{MaskConfig, MaskedFeatures, mask};
pub use quantizer::{QuantizerConfig, RandomProjectionQuantizer};
pub use stacking::Stacking;
pub use targets::Targets;
pub use usage::{CodebookUsage, codebook_usage};
