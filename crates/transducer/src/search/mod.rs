//! Decoding: what a transducer heard. Any model that can go one step at a time ([`Stepwise`]) can be searched.

mod beam;
mod greedy;
mod node;
mod partial;

use rayon::prelude::*;
use sandhi_core::{Error, Result, Stepwise};

pub use beam::{Beam, Candidate};
pub use greedy::{Greedy, GreedyStream};

/// One utterance's labels, and the frame that emitted each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hypothesis {
    /// Label ids.
    pub labels: Vec<u32>,
    /// The frame of each label, non-decreasing.
    pub frames: Vec<usize>,
}

/// How many labels a frame may emit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emission {
    /// The standard RNN-T, [`sandhi_lattice::Transducer`]: a label keeps its frame, a blank ends it. After so many labels
    /// (at least 1) nothing but the blank is left; without a bound a search might never end.
    UpTo(usize),
    /// [`sandhi_lattice::Monotonic`]: a label ends its frame too.
    One,
}

/// Checks what a search takes for granted.
fn check<M: Stepwise>(model: &M, emission: Emission) -> Result<()> {
    if model.blank() as usize >= model.vocabulary() {
        let (blank, size) = (model.blank(), model.vocabulary());
        return Err(Error::Invalid {
            what: "blank",
            why: format!("expected an id below the vocabulary size {size}, got {blank}"),
        });
    }
    if emission == Emission::UpTo(0) {
        return Err(Error::Invalid {
            what: "labels per frame",
            why: "expected at least 1, got 0".into(),
        });
    }
    Ok(())
}

/// Checks the model, then calls `f` for every utterance, in parallel. The results are in batch order, or the first utterance's
/// error.
fn each_utterance<M: Stepwise, R: Send>(
    model: &M,
    emission: Emission,
    f: impl Fn(usize) -> Result<R> + Sync + Send,
) -> Result<Vec<R>> {
    check(model, emission)?;
    let utterances = (0..model.frames().len()).into_par_iter();
    let found: Vec<Result<R>> = utterances.map(f).collect();
    found.into_iter().collect()
}
