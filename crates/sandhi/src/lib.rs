#![doc = include_str!("../README.md")]

#[cfg(feature = "align")]
pub use sandhi_align as align;
#[cfg(feature = "audio")]
pub use sandhi_audio as audio;
#[cfg(feature = "bestrq")]
pub use sandhi_bestrq as bestrq;
#[cfg(feature = "conformer")]
pub use sandhi_conformer as conformer;
#[cfg(feature = "core")]
pub use sandhi_core as core;
#[cfg(feature = "corpus")]
pub use sandhi_corpus as corpus;
#[cfg(feature = "lab")]
pub use sandhi_lab as lab;
#[cfg(feature = "lattice")]
pub use sandhi_lattice as lattice;
#[cfg(feature = "model")]
pub use sandhi_model as model;
#[cfg(feature = "nn")]
pub use sandhi_nn as nn;
#[cfg(feature = "score")]
pub use sandhi_score as score;
#[cfg(feature = "testkit")]
pub use sandhi_testkit as testkit;
#[cfg(feature = "text")]
pub use sandhi_text as text;
#[cfg(feature = "train")]
pub use sandhi_train as train;
#[cfg(feature = "transducer")]
pub use sandhi_transducer as transducer;
