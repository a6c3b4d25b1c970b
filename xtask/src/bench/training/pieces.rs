//! What of a training is timed, and who does it.

use clap::ValueEnum;

use super::size::Preset;
use crate::bench::contender::{Contender, Kind, Script};
use crate::bench::environment::TORCH;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Piece {
    /// Features to updated parameters: forwards, backwards, clipping, AdamW
    Step,
    /// Subsampling and Conformer blocks, forwards and backwards
    Encoder,
    /// Embedding and LSTM, forwards and backwards
    Predictor,
    /// Joiner and RNN-T loss, forwards and backwards
    Joiner,
    /// Clipping and AdamW
    Optimizer,
    /// Samples to a batch of features: filterbank, normalisation, SpecAugment, padding
    Data,
    /// A square matrix product, which is always timed
    #[value(skip)]
    Product,
}

impl Piece {
    /// All that can be asked for.
    pub(crate) const ALL: [Self; 6] = [
        Self::Step,
        Self::Encoder,
        Self::Predictor,
        Self::Joiner,
        Self::Optimizer,
        Self::Data,
    ];

    /// As the workers call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Encoder => "encoder",
            Self::Predictor => "predictor",
            Self::Joiner => "joiner",
            Self::Optimizer => "optimizer",
            Self::Data => "data",
            Self::Product => "product",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Step => "a training step, from features to updated parameters",
            Self::Encoder => "subsampling and Conformer blocks, forwards and backwards",
            Self::Predictor => "the predictor, forwards and backwards",
            Self::Joiner => "joiner and loss, forwards and backwards",
            Self::Optimizer => "clipping and AdamW",
            Self::Data => "samples to a batch of features",
            Self::Product => "a matrix product of 2048 x 2048 by 2048 x 2048",
        }
    }

    /// How many times as fast as torch ours is to be: as installed, and with AVX-512.
    pub(crate) fn target(self, preset: Preset) -> Option<(f64, f64)> {
        match (self, preset) {
            (Self::Step, Preset::Mini) => Some((2.0, 1.2)),
            (Self::Encoder, _) => Some((1.9, 1.0)),
            _ => None,
        }
    }

    /// By what part of the largest loss and gradient a contender may differ from ours in f64: rounding, not another model.
    /// Features go through a logarithm, which magnifies the rounding of what is next to nothing.
    pub(crate) fn tolerance(self) -> (f64, f64) {
        (1e-5, if self == Self::Data { 1e-3 } else { 1e-4 })
    }
}

const SCRIPT: Script = Script {
    file: "crates/model/bench/torch_training.py",
    environment: &TORCH,
};

pub(crate) const AS_INSTALLED: &str = "torch, as installed";
pub(crate) const UNLOCKED: &str = "torch, AVX-512 unlocked";

/// Ours with the settings we train with, and PyTorch in the conditions its users have or could have.
pub(crate) fn contenders(against_torch: bool) -> Vec<Contender> {
    let ours = Contender {
        keep_pages: true,
        ..Contender::new("ours", Kind::Ours("work"))
    };
    let torch = |name, unlocked, keep_pages| Contender {
        unlocked,
        keep_pages,
        ..Contender::new(name, Kind::Rival(&SCRIPT))
    };
    let mut all = vec![ours];
    if against_torch {
        all.extend([
            torch(AS_INSTALLED, false, false),
            torch(UNLOCKED, true, false),
            torch("torch, AVX-512 unlocked, pages kept", true, true),
        ]);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torch_is_timed_as_installed_and_unlocked() {
        assert_eq!(contenders(false).len(), 1);
        let all = contenders(true);
        assert!(matches!(all[0].kind, Kind::Ours(_)) && all[0].keep_pages);
        let of = |name| all.iter().find(|contender| contender.name == name).unwrap();
        assert!(!of(AS_INSTALLED).unlocked && !of(AS_INSTALLED).keep_pages);
        assert!(of(UNLOCKED).unlocked && !of(UNLOCKED).keep_pages);
        // The last has whatever helps ours.
        assert!(all[3].unlocked && all[3].keep_pages);
    }
}
