//! ASTRA.
fn main() {}
