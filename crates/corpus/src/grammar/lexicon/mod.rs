//! The words, each with its forms in the four languages and the classes of things it goes with.

pub(crate) mod adjectives;
pub(crate) mod classes;
pub(crate) mod nouns;
pub(crate) mod phrases;
pub(crate) mod rare;
pub(crate) mod verbs;
