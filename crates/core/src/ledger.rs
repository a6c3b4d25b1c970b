//! Named, weighted loss terms.

use candle_core::{DType, Tensor};

use crate::{Error, Result};

struct Term {
    name: &'static str,
    weight: f64,
    sum: Tensor,
    per_utterance: Tensor,
    count: f64,
}

/// The terms of a training objective: reduced once, logged always.
///
/// A term that is in the sum but not in the log cannot be written.
#[derive(Default)]
pub struct Ledger {
    terms: Vec<Term>,
}

impl Ledger {
    /// Adds the mean of a term over the utterances of this batch.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] unless `per_utterance` is `[B]`.
    pub fn add(&mut self, name: &'static str, weight: f64, per_utterance: Tensor) -> Result<&mut Self> {
        let count = per_utterance.elem_count() as f64;
        self.add_counted(name, weight, per_utterance, count)
    }

    /// Adds the sum of a term over the utterances of this batch, divided by `count`.
    ///
    /// With gradient accumulation `count` is the number of utterances in the whole step, so that the gradients of the
    /// parts add up to exactly that of the whole, however unequal the parts are.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] unless `per_utterance` is `[B]`; [`Error::Invalid`] unless `count` is positive.
    pub fn add_counted(
        &mut self,
        name: &'static str,
        weight: f64,
        per_utterance: Tensor,
        count: f64,
    ) -> Result<&mut Self> {
        if per_utterance.rank() != 1 {
            let got = per_utterance.dims().to_vec();
            return Err(Error::Shape {
                what: "loss term",
                expected: "[B]".into(),
                got,
            });
        }
        if count.is_nan() || count <= 0.0 {
            return Err(Error::Invalid {
                what: "loss term",
                why: format!("{name} is divided by {count}"),
            });
        }
        let sum = per_utterance.sum_all()?;
        self.terms.push(Term {
            name,
            weight,
            sum,
            per_utterance: per_utterance.detach(),
            count,
        });
        Ok(self)
    }

    /// The objective: Σ weight · sum / count, a scalar.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if there is no term.
    pub fn total(&self) -> Result<Tensor> {
        let mut total: Option<Tensor> = None;
        for term in &self.terms {
            let scaled = (&term.sum * (term.weight / term.count))?;
            total = Some(match total {
                None => scaled,
                Some(sum) => (sum + scaled)?,
            });
        }
        total.ok_or(Error::Invalid {
            what: "ledger",
            why: "expected at least one term, got none".into(),
        })
    }

    /// Each term's unweighted mean (sum / count), in the order of addition.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if a value cannot be read.
    pub fn values(&self) -> Result<Vec<(&'static str, f64)>> {
        let value = |t: &Term| Ok((t.name, t.sum.to_dtype(DType::F64)?.to_scalar::<f64>()? / t.count));
        self.terms.iter().map(value).collect()
    }

    /// Each term's weight, in the order of addition.
    pub fn weights(&self) -> Vec<(&'static str, f64)> {
        self.terms.iter().map(|t| (t.name, t.weight)).collect()
    }

    /// Each term's loss of every utterance, neither weighted nor divided, in the order of addition.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if a value cannot be read.
    pub fn per_utterance(&self) -> Result<Vec<(&'static str, Vec<f64>)>> {
        let values = |t: &Term| Ok((t.name, t.per_utterance.to_dtype(DType::F64)?.to_vec1::<f64>()?));
        self.terms.iter().map(values).collect()
    }

    /// The first term and utterance whose loss is not a finite number.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if a value cannot be read.
    pub fn not_finite(&self) -> Result<Option<(&'static str, usize, f64)>> {
        for term in &self.terms {
            let values = term.per_utterance.to_dtype(DType::F64)?.to_vec1::<f64>()?;
            if let Some(b) = values.iter().position(|v| !v.is_finite()) {
                return Ok(Some((term.name, b, values[b])));
            }
        }
        Ok(None)
    }
}
