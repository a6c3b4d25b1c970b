//! How each corpus is read from where its users have it.

pub(crate) mod an4;
pub(crate) mod mini;
pub(crate) mod multilingual;
mod tables;
