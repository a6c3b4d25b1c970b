//! Which letters go with which phones: alignment by expectation maximization.
//!
//! Sums, products and quotients decide, no logarithms: those may differ in the last bit from machine to machine, and
//! of segmentations that are equally likely another one would be taken. Every graphone takes one letter, so that
//! scores can be kept in range letter by letter.

use std::collections::BTreeMap;

use crate::lexicon::Lexicon;
use crate::pronounce::Graphone;

/// Phones that one letter may stand for, as `x` for `k s`.
pub(super) const MOST_PHONES: usize = 2;

/// The graphones of a lexicon and how likely each is, by itself.
#[derive(Debug, Clone)]
pub(super) struct Aligner {
    /// All that some segmentation of some word uses, sorted.
    pub(super) graphones: Vec<Graphone>,
    /// One for each word that has a segmentation, in the order of the words.
    grids: Vec<Grid>,
    probabilities: Vec<f64>,
}

impl Aligner {
    /// All graphones equally likely.
    pub(super) fn new(lexicon: &Lexicon) -> Self {
        let mut ids = BTreeMap::new();
        let mut grids: Vec<Grid> = lexicon
            .words()
            .map(|(word, phones)| Grid::new(word, phones, &mut ids))
            .filter(|grid| !grid.letters.is_empty())
            .collect();
        // From the order in which they were met to their own.
        let mut sorted = vec![0; ids.len()];
        for (id, met) in ids.values().enumerate() {
            sorted[*met as usize] = id as u32;
        }
        for arc in grids
            .iter_mut()
            .flat_map(|grid| grid.letters.iter_mut().flatten())
        {
            arc.graphone = sorted[arc.graphone as usize];
        }
        let uniform = 1.0 / ids.len() as f64;
        Self {
            probabilities: vec![uniform; ids.len()],
            graphones: ids.into_keys().collect(),
            grids,
        }
    }

    /// One round of expectation maximization: each graphone as likely as it is expected to occur under the
    /// probabilities so far. Returns the log-likelihood of the lexicon under those.
    pub(super) fn improve(&mut self) -> f64 {
        let mut expected = vec![0.0; self.graphones.len()];
        let likelihood = self
            .grids
            .iter()
            .map(|grid| grid.expect(&self.probabilities, &mut expected))
            .sum();
        let total: f64 = expected.iter().sum();
        self.probabilities = expected.iter().map(|count| count / total).collect();
        likelihood
    }

    /// The most likely segmentation of each word.
    pub(super) fn segmentations(&self) -> Vec<Vec<u32>> {
        self.grids
            .iter()
            .map(|grid| grid.best(&self.probabilities))
            .collect()
    }
}

/// All segmentations of one word: paths from no phone before the first letter to all phones after the last.
#[derive(Debug, Clone)]
struct Grid {
    phones: usize,
    /// For each letter, the arcs that some path takes.
    letters: Vec<Vec<Arc>>,
}

/// What one letter may stand for, between the phones behind it and those behind the next.
#[derive(Debug, Clone, Copy)]
struct Arc {
    from: usize,
    to: usize,
    graphone: u32,
}

impl Grid {
    fn new(word: &str, phones: &[String], ids: &mut BTreeMap<Graphone, u32>) -> Self {
        let count = word.chars().count();
        let mut arcs = |(at, letter): (usize, char)| -> Vec<Arc> {
            // What the letters before can have said, and what those after cannot say.
            let starts = 0..=phones.len().min(at * MOST_PHONES);
            let least = phones.len().saturating_sub((count - 1 - at) * MOST_PHONES);
            let spans = starts.flat_map(|from| {
                let most = phones.len().min(from + MOST_PHONES);
                (from.max(least)..=most).map(move |to| (from, to))
            });
            let arcs = spans.map(|(from, to)| {
                let phones = phones[from..to].to_vec();
                let next = ids.len() as u32;
                let graphone = *ids.entry(Graphone { letter, phones }).or_insert(next);
                Arc { from, to, graphone }
            });
            arcs.collect()
        };
        // A word of too many phones has no path, and none of its letters an arc.
        let possible = phones.len() <= count * MOST_PHONES;
        let letters = word
            .chars()
            .filter(|_| possible)
            .enumerate()
            .map(&mut arcs)
            .collect();
        Self {
            phones: phones.len(),
            letters,
        }
    }

    /// Adds to `expected` how often each graphone is expected in this word. Returns the log-probability of the
    /// word, the sum over its segmentations.
    fn expect(&self, probabilities: &[f64], expected: &mut [f64]) -> f64 {
        let of = |arc: &Arc| probabilities[arc.graphone as usize];
        let mut log_total = 0.0;
        // Of each place before a letter, as shares of all places before it.
        let mut before = vec![self.only(0)];
        for (at, arcs) in self.letters.iter().enumerate() {
            let mut next = vec![0.0; self.phones + 1];
            for arc in arcs {
                next[arc.to] += before[at][arc.from] * of(arc);
            }
            log_total += normalize(&mut next).ln();
            before.push(next);
        }
        let mut after = self.only(self.phones);
        for (arcs, before) in self.letters.iter().zip(&before).rev() {
            // A path has one arc of each letter: their probabilities given the word sum to one.
            let mut shares: Vec<f64> = arcs
                .iter()
                .map(|arc| before[arc.from] * of(arc) * after[arc.to])
                .collect();
            normalize(&mut shares);
            let mut next = vec![0.0; self.phones + 1];
            for (arc, share) in arcs.iter().zip(shares) {
                expected[arc.graphone as usize] += share;
                next[arc.from] += of(arc) * after[arc.to];
            }
            normalize(&mut next);
            after = next;
        }
        log_total
    }

    /// The most likely segmentation; of equals, the one whose last letters say most.
    fn best(&self, probabilities: &[f64]) -> Vec<u32> {
        let mut scores = self.only(0);
        let mut choices: Vec<Vec<Option<Arc>>> = Vec::new();
        for arcs in &self.letters {
            let mut next = vec![0.0; self.phones + 1];
            let mut chosen = vec![None; self.phones + 1];
            for arc in arcs {
                let score = scores[arc.from] * probabilities[arc.graphone as usize];
                if score > next[arc.to] {
                    next[arc.to] = score;
                    chosen[arc.to] = Some(*arc);
                }
            }
            normalize(&mut next);
            scores = next;
            choices.push(chosen);
        }
        let mut place = self.phones;
        let mut path = Vec::new();
        for chosen in choices.iter().rev() {
            if let Some(arc) = chosen[place] {
                path.push(arc.graphone);
                place = arc.from;
            }
        }
        path.reverse();
        path
    }

    /// All probability at one place.
    fn only(&self, place: usize) -> Vec<f64> {
        (0..=self.phones)
            .map(|other| if other == place { 1.0 } else { 0.0 })
            .collect()
    }
}

/// Divides by the sum, and returns it.
fn normalize(values: &mut [f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    for value in values {
        *value /= sum;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every segmentation of a word, by its definition.
    fn enumerate(letters: &[char], phones: &[String]) -> Vec<Vec<Graphone>> {
        let Some((&letter, letters)) = letters.split_first() else {
            return if phones.is_empty() {
                vec![Vec::new()]
            } else {
                Vec::new()
            };
        };
        let splits = (0..=phones.len().min(MOST_PHONES)).map(|at| phones.split_at(at));
        splits
            .flat_map(|(said, phones)| {
                let first = Graphone {
                    letter,
                    phones: said.to_vec(),
                };
                let rest = enumerate(letters, phones).into_iter();
                rest.map(move |rest| [vec![first.clone()], rest].concat())
            })
            .collect()
    }

    fn lexicon() -> Lexicon {
        Lexicon::parse([
            "box b aa k s",
            "shock sh aa k",
            "hobo hh ow b ow",
            "eye ay",
            "w d ah b",
        ])
        .unwrap()
    }

    #[test]
    fn alignment_totals_and_expectations_equal_enumeration() {
        let mut aligner = Aligner::new(&lexicon());
        for _ in 0..4 {
            let probabilities = aligner.probabilities.clone();
            let probability = |path: &[Graphone]| -> f64 {
                let id = |graphone| aligner.graphones.binary_search(graphone).unwrap();
                path.iter().map(|graphone| probabilities[id(graphone)]).product()
            };
            let mut expected: BTreeMap<Graphone, f64> = BTreeMap::new();
            let mut likelihood = 0.0;
            for (word, phones) in lexicon().words() {
                let paths = enumerate(&word.chars().collect::<Vec<_>>(), phones);
                let total: f64 = paths.iter().map(|path| probability(path)).sum();
                likelihood += if paths.is_empty() { 0.0 } else { total.ln() };
                for path in &paths {
                    for graphone in path {
                        *expected.entry(graphone.clone()).or_default() += probability(path) / total;
                    }
                }
            }
            let sum: f64 = expected.values().sum();
            assert!((aligner.improve() - likelihood).abs() < 1e-9);
            assert!(expected.keys().eq(&aligner.graphones));
            for (count, probability) in expected.values().zip(&aligner.probabilities) {
                assert!((count / sum - probability).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn segmentations_are_the_best_of_all() {
        let mut aligner = Aligner::new(&lexicon());
        aligner.improve();
        let score = |path: &[u32]| {
            path.iter()
                .map(|&id| aligner.probabilities[id as usize].ln())
                .sum::<f64>()
        };
        let words = lexicon();
        let possible = words.words().filter(|(word, _)| *word != "w");
        for ((word, phones), best) in possible.zip(aligner.segmentations()) {
            let most = enumerate(&word.chars().collect::<Vec<_>>(), phones)
                .iter()
                .map(|path| {
                    path.iter()
                        .map(|g| aligner.graphones.binary_search(g).unwrap() as u32)
                        .collect()
                })
                .map(|path: Vec<u32>| score(&path))
                .fold(f64::NEG_INFINITY, f64::max);
            assert!((score(&best) - most).abs() < 1e-12, "{word}");
        }
    }

    #[test]
    fn every_round_raises_the_likelihood() {
        let mut aligner = Aligner::new(&lexicon());
        let likelihoods: Vec<f64> = (0..12).map(|_| aligner.improve()).collect();
        assert!(
            likelihoods.windows(2).all(|pair| pair[1] >= pair[0] - 1e-12),
            "{likelihoods:?}"
        );
    }

    #[test]
    fn words_of_any_length_align() {
        let word = "ab".repeat(250);
        let line = format!("{word} {}", "A B ".repeat(250));
        let mut aligner = Aligner::new(&Lexicon::parse([line.as_str(), "a A", "b B"]).unwrap());
        let likelihoods = [aligner.improve(), aligner.improve()];
        assert!(
            likelihoods.iter().all(|likelihood| likelihood.is_finite()),
            "{likelihoods:?}"
        );
        assert_eq!(aligner.segmentations()[1].len(), word.len());
    }
}
