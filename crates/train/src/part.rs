//! What an objective hands back.

use std::collections::BTreeMap;
use std::time::Duration;

use sandhi_core::Ledger;

use crate::Result;

/// The loss of one part of a step, and what the log and the errors are to say about its data.
///
/// A [`Ledger`] is a part that has nothing more to say. The trainer knows neither utterances nor audio; it passes on
/// what it is told here.
///
/// ```
/// # use std::time::Duration;
/// # use sandhi_core::Ledger;
/// # let loss = Ledger::default();
/// let part = sandhi_train::Part::from(loss)
///     .names("rnnt", ["an4-07".to_owned(), "an4-31".to_owned()])
///     .amount("audio_seconds", 5.2)
///     .waited(Duration::from_millis(3));
/// ```
#[derive(Default)]
pub struct Part {
    pub(crate) loss: Ledger,
    pub(crate) names: BTreeMap<&'static str, Vec<String>>,
    pub(crate) amounts: Vec<(&'static str, f64)>,
    pub(crate) waited: Duration,
}

impl From<Ledger> for Part {
    fn from(loss: Ledger) -> Self {
        Self {
            loss,
            ..Self::default()
        }
    }
}

impl Part {
    /// What the utterances of a term are called, in its order.
    #[must_use]
    pub fn names(mut self, term: &'static str, names: impl Into<Vec<String>>) -> Self {
        self.names.insert(term, names.into());
        self
    }

    /// How much of something went into this part. Its rate is shown and logged: `audio_seconds` as
    /// `audio_seconds_per_second`.
    #[must_use]
    pub fn amount(mut self, name: &'static str, amount: f64) -> Self {
        self.amounts.push((name, amount));
        self
    }

    /// How long the objective waited for its data.
    #[must_use]
    pub fn waited(mut self, time: Duration) -> Self {
        self.waited += time;
        self
    }
}

/// What a step was computed from, kept until the next one for the case that something is not finite.
#[derive(Debug)]
pub(crate) struct Seen {
    names: BTreeMap<&'static str, Vec<String>>,
    /// Each term's loss of every utterance.
    pub(crate) terms: Vec<(&'static str, Vec<f64>)>,
}

impl Seen {
    pub(crate) fn new(part: &Part) -> Result<Self> {
        Ok(Self {
            names: part.names.clone(),
            terms: part.loss.per_utterance()?,
        })
    }

    /// What an utterance of a term is called: its name, else its row.
    pub(crate) fn name(&self, term: &str, row: usize) -> String {
        let name = self.names.get(term).and_then(|names| names.get(row));
        name.cloned().unwrap_or_else(|| row.to_string())
    }

    /// Everything that went in, each once, in order.
    pub(crate) fn utterances(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for (term, losses) in &self.terms {
            for row in 0..losses.len() {
                let name = self.name(term, row);
                if !all.contains(&name) {
                    all.push(name);
                }
            }
        }
        all
    }

    /// The first term, utterance and loss that is not finite.
    pub(crate) fn not_finite(&self) -> Option<(&'static str, String, f64)> {
        self.terms.iter().find_map(|(term, losses)| {
            let row = losses.iter().position(|loss| !loss.is_finite())?;
            Some((*term, self.name(term, row), losses[row]))
        })
    }
}
