//! Which utterances a step trains on: a function of (seed, step).

use std::collections::BTreeMap;

use anyhow::Result;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sandhi_corpus::{BatchBudget, Size, batches, language_balanced};
use sandhi_nn::random::{key, subkey};

/// An utterance at one of its speeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its place in the training data.
    pub utterance: usize,
    /// Its place among the speeds.
    pub speed: usize,
}

/// The order of paired utterances and of unpaired sentences.
#[derive(Debug)]
pub struct Plan {
    seed: u64,
    budget: BatchBudget,
    /// Of each utterance at each speed.
    sizes: Vec<Vec<Size>>,
    /// The languages of the utterances and a temperature, where languages are balanced.
    balance: Option<(Vec<String>, f64)>,
    /// The batches of every epoch so far, in order.
    epochs: Vec<Vec<Vec<Choice>>>,
    sentences: usize,
    /// The shuffles of the sentences, by pass.
    orders: BTreeMap<u64, Vec<usize>>,
}

impl Plan {
    /// Over utterances of these sizes, each at several speeds, and so many sentences.
    pub fn new(seed: u64, budget: BatchBudget, sizes: Vec<Vec<Size>>, sentences: usize) -> Self {
        Self {
            seed,
            budget,
            sizes,
            balance: None,
            epochs: vec![],
            sentences,
            orders: BTreeMap::new(),
        }
    }

    /// The same with languages balanced at a temperature; see [`language_balanced`].
    #[must_use]
    pub fn balanced(self, languages: Vec<String>, temperature: f64) -> Self {
        Self {
            balance: Some((languages, temperature)),
            ..self
        }
    }

    /// The paired batch of a step, counted from 1.
    ///
    /// # Errors
    ///
    /// If an utterance alone is over the budget.
    pub fn paired(&mut self, step: u64) -> Result<Vec<Choice>> {
        let mut index = step as usize - 1;
        for epoch in 0.. {
            if epoch == self.epochs.len() {
                let made = self.epoch(epoch as u64)?;
                self.epochs.push(made);
            }
            match self.epochs[epoch].get(index) {
                Some(batch) => return Ok(batch.clone()),
                None => index -= self.epochs[epoch].len(),
            }
        }
        anyhow::bail!("step {step} has no batch")
    }

    fn epoch(&self, epoch: u64) -> Result<Vec<Vec<Choice>>> {
        let draw = subkey(key(self.seed, "speed"), epoch);
        let speed =
            |utterance: usize| (subkey(draw, utterance as u64) % self.sizes[utterance].len() as u64) as usize;
        let utterances = match &self.balance {
            None => (0..self.sizes.len()).collect(),
            Some((languages, temperature)) => {
                let languages: Vec<&str> = languages.iter().map(String::as_str).collect();
                language_balanced(&languages, *temperature, key(self.seed, "languages"), epoch)?
            }
        };
        let choices = utterances.into_iter().map(|utterance| Choice {
            utterance,
            speed: speed(utterance),
        });
        let choices: Vec<Choice> = choices.collect();
        let sizes: Vec<Size> = choices.iter().map(|c| self.sizes[c.utterance][c.speed]).collect();
        let batches = batches(&sizes, &self.budget, key(self.seed, "batches"), epoch)?;
        Ok(batches
            .into_iter()
            .map(|batch| batch.into_iter().map(|i| choices[i]).collect())
            .collect())
    }

    /// `count` unpaired sentences for a step: shuffled passes over all of them, one after another.
    pub fn text(&mut self, step: u64, count: usize) -> Vec<usize> {
        let total = self.sentences as u64;
        let start = (step - 1) * count as u64;
        (start..start + count as u64)
            .map(|i| self.order(i / total)[(i % total) as usize])
            .collect()
    }

    fn order(&mut self, pass: u64) -> &[usize] {
        let (seed, sentences) = (subkey(key(self.seed, "text"), pass), self.sentences);
        self.orders.entry(pass).or_insert_with(|| {
            let mut order: Vec<usize> = (0..sentences).collect();
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
            order
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        let size = |i: usize| {
            (0..3)
                .map(|s| Size {
                    frames: 100 + 10 * i + s,
                    labels: 10 + i,
                })
                .collect()
        };
        let budget = BatchBudget {
            max_frames: 1000,
            max_cells: 100_000,
            max_utterances: 4,
        };
        Plan::new(seed, budget, (0..17).map(size).collect(), 10)
    }

    #[test]
    fn plan_is_a_function_of_seed_and_step() {
        let (mut forwards, mut late) = (plan(1), plan(1));
        let first: Vec<Vec<Choice>> = (1..40).map(|s| forwards.paired(s).unwrap()).collect();
        assert_eq!(first[30], late.paired(31).unwrap());
        assert_eq!(first[2], late.paired(3).unwrap());
        let other: Vec<Vec<Choice>> = (1..40).map(|s| plan(2).paired(s).unwrap()).collect();
        assert_ne!(first, other);
    }

    #[test]
    fn balanced_plan_hears_languages_equally_often() {
        // Fourteen utterances of one language, three of the other.
        let languages: Vec<String> = (0..17)
            .map(|i| if i < 14 { "en" } else { "de" }.to_owned())
            .collect();
        let mut plan = plan(4).balanced(languages.clone(), f64::INFINITY);
        let chosen: Vec<Choice> = (1..200).flat_map(|step| plan.paired(step).unwrap()).collect();
        let small = chosen.iter().filter(|c| languages[c.utterance] == "de").count() as f64;
        let share = small / chosen.len() as f64;
        assert!((share - 0.5).abs() < 0.05, "{share}");
    }

    #[test]
    fn plan_reads_every_sentence_once_per_pass() {
        let mut plan = plan(3);
        let mut pass: Vec<usize> = (1..=5).flat_map(|step| plan.text(step, 2)).collect();
        let order = pass.clone();
        pass.sort_unstable();
        assert_eq!(pass, (0..10).collect::<Vec<_>>());
        let next: Vec<usize> = (6..=10).flat_map(|step| plan.text(step, 2)).collect();
        assert_ne!(order, next);
    }
}
