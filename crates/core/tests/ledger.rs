//! The ledger sums what it logs.

#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor};
use sandhi_core::{Ledger, Result};

fn row(values: &[f64]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap()
}

#[test]
fn ledger_total_is_the_weighted_sum_of_its_means() -> Result<()> {
    let mut ledger = Ledger::default();
    ledger
        .add("a", 1.0, row(&[1.0, 3.0]))?
        .add("b", 0.5, row(&[4.0]))?;
    assert_eq!(ledger.values()?, vec![("a", 2.0), ("b", 4.0)]);
    assert_eq!(ledger.total()?.to_scalar::<f64>()?, 4.0);
    Ok(())
}

#[test]
fn ledger_parts_of_a_step_add_up_to_the_whole() -> Result<()> {
    let (mut whole, mut left, mut right) = (Ledger::default(), Ledger::default(), Ledger::default());
    whole.add("a", 2.0, row(&[1.0, 3.0, 5.0]))?;
    left.add_counted("a", 2.0, row(&[1.0]), 3.0)?;
    right.add_counted("a", 2.0, row(&[3.0, 5.0]), 3.0)?;
    let parts = left.total()?.to_scalar::<f64>()? + right.total()?.to_scalar::<f64>()?;
    assert!((whole.total()?.to_scalar::<f64>()? - parts).abs() < 1e-12);
    Ok(())
}

#[test]
fn ledger_names_the_term_and_utterance_that_is_not_finite() -> Result<()> {
    let mut ledger = Ledger::default();
    ledger
        .add("a", 1.0, row(&[1.0]))?
        .add("b", 1.0, row(&[0.0, f64::NAN]))?;
    let (term, utterance, value) = ledger.not_finite()?.unwrap();
    assert_eq!((term, utterance), ("b", 1));
    assert!(value.is_nan());
    Ok(())
}

#[test]
fn ledger_without_terms_is_an_error() {
    assert!(Ledger::default().total().is_err());
}
