//! Whole-road tests live in `tests/tests`.
