//! Whether a forward pass trains or evaluates.

/// What a forward pass is for; the only source of randomness within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Training: dropout draws are a function of (seed, step, site).
    Train {
        /// The run's seed.
        seed: u64,
        /// The step, or any number that is unique to this forward pass.
        step: u64,
    },
    /// Evaluation: no randomness.
    Eval,
}

impl Mode {
    /// The key of the draws at `site` (a module's full name), or nothing when evaluating.
    pub fn key(self, site: &str) -> Option<u64> {
        match self {
            Mode::Train { seed, step } => Some(crate::random::subkey(crate::random::key(seed, site), step)),
            Mode::Eval => None,
        }
    }
}
