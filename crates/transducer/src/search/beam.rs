//! Beam search with merging of prefixes.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

use sandhi_core::{Error, Result, Stepwise};

use super::node::{normalize, read};
use super::partial::{Chain, Ends, Partial, Prefixes, States};
use super::{Emission, Hypothesis, each_utterance};
use crate::Normalize;

/// Goes through the frames with the `width` most probable label sequences, adding up the paths of each.
///
/// Breadth first: all hypotheses are at the same frame. There they grow label by label, level by level, up to the bound of
/// [`Emission`]; each level keeps its `width` best. Those that leave the frame with the same labels, from whatever level, are one
/// hypothesis from then on, and its probability is their sum. The best `width` go on.
///
/// A width that holds every label sequence makes the search exact: the scores are then
///
/// ```text
/// ln Σ_π p(π)    over the paths π that emit the labels within the bound of the emission, each ending every frame
/// ```
///
/// With any other width they are the sum over some of these paths, so never above it. Width 1 is not greedy search: it weighs
/// leaving a frame now against leaving it one label later. Only with [`Emission::One`] are the two the same, except in ties.
///
/// At most `T (n + 1) width` nodes are scored in an utterance of T frames that may emit n labels each, whatever the model
/// answers, and none twice. Sums are made in f64 and in a fixed order: results do not depend on the number of threads.
///
/// # Source
///
/// Graves 2012, arXiv:1211.3711, section 2.4, for the search and its merging of prefixes; Kim and Lee 2020, arXiv:2002.03577,
/// for expanding breadth first by a bounded number of steps; Tripathi et al. 2019 for one label a frame.
///
/// # Proved by
///
/// `beam_of_full_width_equals_enumeration`, `beam_of_full_width_equals_the_transducer_loss`,
/// `beam_scores_never_exceed_the_exact_ones`, `beam_equals_enumeration_on_random_models`,
/// `beam_of_width_one_is_greedy_where_a_label_ends_its_frame`, `greedy_and_beam_of_a_batch_equal_their_singles`,
/// `beam_scores_each_node_once_and_keeps_its_bound`, `beam_gives_the_same_bits_for_any_thread_count`,
/// `searches_end_where_labels_always_beat_the_blank`, `beam_orders_ties_by_length_then_labels`,
/// `searches_name_the_utterance_and_frame_of_what_is_no_distribution`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beam {
    /// Hypotheses kept, at least 1.
    pub width: usize,
    /// How many labels a frame may emit.
    pub emission: Emission,
    /// How scores become probabilities.
    pub normalize: Normalize,
    /// Hypotheses whose ln p is further than this below the best one at their level or at the end of their frame are dropped
    /// before the width is counted. In nats, at least 0. It saves time where the model is sure.
    pub threshold: Option<f64>,
    /// Ranks the final hypotheses by ln p / (U + 1) in place of ln p, against the bias towards few labels. Neither the scores
    /// nor the search before it change.
    pub length_normalized: bool,
}

impl Default for Beam {
    /// Width 4, the standard RNN-T with up to 4 labels a frame, no threshold, ranked by probability.
    fn default() -> Self {
        Self {
            width: 4,
            emission: Emission::UpTo(4),
            normalize: Normalize::Softmax,
            threshold: None,
            length_normalized: false,
        }
    }
}

/// A hypothesis and its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The labels, and their frames on the best of the paths that were added up.
    pub hypothesis: Hypothesis,
    /// ln p of the labels: all paths the search kept for them, in nats.
    pub log_p: f64,
}

/// A label that leaves a level.
struct Longer {
    /// Whence, as a place in the level.
    from: usize,
    label: u32,
    log_p: f64,
    best: f64,
}

impl Beam {
    /// For every utterance of the model's batch, in parallel, 1 to `width` candidates, the best first; label sequences of the
    /// same rank are ordered by length, then by their ids. An utterance without frames has one candidate: no labels, ln p = 0.
    ///
    /// # Errors
    ///
    /// [`Error::Scores`] naming utterance and frame if a score is NaN or +∞, if all scores of a node are −∞, or if the blank of
    /// every hypothesis kept is, so that none leaves the frame; [`Error::Invalid`] for a width or a number of labels per frame of
    /// 0, a threshold that is negative or NaN, or a blank outside the vocabulary.
    pub fn decode<M: Stepwise>(&self, model: &M) -> Result<Vec<Vec<Candidate>>> {
        if self.width == 0 {
            return Err(Error::Invalid {
                what: "beam width",
                why: "expected at least 1, got 0".into(),
            });
        }
        if let Some(threshold) = self
            .threshold
            .filter(|threshold| threshold.is_nan() || *threshold < 0.0)
        {
            return Err(Error::Invalid {
                what: "beam threshold",
                why: format!("expected at least 0, got {threshold}"),
            });
        }
        each_utterance(model, self.emission, |utterance| {
            Search {
                options: self,
                model,
                utterance,
                prefixes: Prefixes::new(),
                emissions: Chain::new(),
                states: States::new(),
                rows: HashMap::new(),
            }
            .run()
        })
    }

    /// The `width` first by ln p and then by `order`, and of those the ones within the threshold of `highest`.
    fn keep<T>(
        &self,
        items: &mut Vec<T>,
        highest: f64,
        log_p: impl Fn(&T) -> f64,
        order: impl Fn(&T, &T) -> Ordering,
    ) {
        let order = |a: &T, b: &T| log_p(b).total_cmp(&log_p(a)).then_with(|| order(a, b));
        if let Some(threshold) = self.threshold {
            let highest = items.iter().map(&log_p).fold(highest, f64::max);
            items.retain(|item| log_p(item) >= highest - threshold);
        }
        if items.len() > self.width {
            items.select_nth_unstable_by(self.width - 1, order);
            items.truncate(self.width);
        }
        items.sort_unstable_by(order);
    }
}

/// The search through one utterance.
struct Search<'a, M: Stepwise> {
    options: &'a Beam,
    model: &'a M,
    utterance: usize,
    prefixes: Prefixes,
    /// The frames of the best paths' labels.
    emissions: Chain<usize>,
    states: States<M::State>,
    /// ln p of the arcs at the nodes of this frame, by prefix.
    rows: HashMap<usize, Vec<f64>>,
}

type Level<M> = Vec<Partial<<M as Stepwise>::State>>;

impl<M: Stepwise> Search<'_, M> {
    fn run(mut self) -> Result<Vec<Candidate>> {
        let mut beam = vec![Partial {
            prefix: 0,
            state: Rc::new(self.model.start()),
            log_p: 0.0,
            best: 0.0,
            emission: 0,
        }];
        for t in 0..self.model.frames().get(self.utterance) {
            self.states.next_frame(&beam);
            self.rows.clear();
            let ends = match self.options.emission {
                Emission::UpTo(most) => self.frame(t, beam, most)?,
                Emission::One => self.monotonic_frame(t, beam)?,
            };
            beam = ends.into_partials();
            let order = |a: &Partial<_>, b: &Partial<_>| self.prefixes.order(a.prefix, b.prefix);
            self.options
                .keep(&mut beam, f64::NEG_INFINITY, |partial| partial.log_p, order);
            if beam.is_empty() {
                return Err(Error::Scores {
                    utterance: self.utterance,
                    frame: t,
                    why: "the score of the blank is -inf after every hypothesis kept".into(),
                });
            }
        }
        Ok(self.ranked(beam))
    }

    /// A label keeps the frame: levels of hypotheses with 0, 1, .. labels emitted at it.
    fn frame(&mut self, t: usize, beam: Level<M>, most: usize) -> Result<Ends<M::State>> {
        let mut ends = Ends::new();
        let mut level = beam;
        for _ in 0..most {
            self.leave(t, &level, &mut ends)?;
            let longer = self.emit(t, &level)?;
            level = self.extend(t, &level, longer, ends.highest());
        }
        self.leave(t, &level, &mut ends)?;
        Ok(ends)
    }

    /// A label ends the frame, as does the blank.
    fn monotonic_frame(&mut self, t: usize, beam: Level<M>) -> Result<Ends<M::State>> {
        let mut ends = Ends::new();
        self.leave(t, &beam, &mut ends)?;
        // What meets a hypothesis that is there already may be worth keeping for their sum alone, so it is not counted among
        // the new ones, of which the best suffice.
        let (meets, new) = self.emit(t, &beam)?.into_iter().partition(|longer| {
            let prefix = self.prefixes.known(beam[longer.from].prefix, longer.label);
            prefix.is_some_and(|prefix| ends.contains(prefix))
        });
        for longer in self.grow(t, &beam, meets) {
            ends.add(longer);
        }
        for longer in self.extend(t, &beam, new, ends.highest()) {
            ends.add(longer);
        }
        Ok(ends)
    }

    /// The blank arcs out of a level.
    fn leave(&mut self, t: usize, level: &[Partial<M::State>], ends: &mut Ends<M::State>) -> Result<()> {
        let blank = self.model.blank() as usize;
        for partial in level {
            let log_p = self.row(t, partial)?[blank];
            ends.add(partial.after(log_p));
        }
        Ok(())
    }

    /// The label arcs out of a level.
    fn emit(&mut self, t: usize, level: &[Partial<M::State>]) -> Result<Vec<Longer>> {
        let blank = self.model.blank() as usize;
        let mut found = Vec::new();
        for (from, partial) in level.iter().enumerate() {
            let row = self.row(t, partial)?.iter().enumerate();
            let possible = row.filter(|&(id, &log_p)| id != blank && log_p > f64::NEG_INFINITY);
            found.extend(possible.map(|(id, log_p)| Longer {
                from,
                label: id as u32,
                log_p: partial.log_p + log_p,
                best: partial.best + log_p,
            }));
        }
        Ok(found)
    }

    /// The best of what a level emits, as hypotheses.
    fn extend(
        &mut self,
        t: usize,
        level: &[Partial<M::State>],
        mut longer: Vec<Longer>,
        highest: f64,
    ) -> Level<M> {
        let prefix = |longer: &Longer| level[longer.from].prefix;
        let order = |a: &Longer, b: &Longer| {
            let before = self.prefixes.order(prefix(a), prefix(b));
            before.then(a.label.cmp(&b.label))
        };
        self.options
            .keep(&mut longer, highest, |longer| longer.log_p, order);
        self.grow(t, level, longer)
    }

    /// Gives each its place among the prefixes, and its state.
    fn grow(&mut self, t: usize, level: &[Partial<M::State>], longer: Vec<Longer>) -> Level<M> {
        let mut grown = Vec::with_capacity(longer.len());
        for Longer {
            from,
            label,
            log_p,
            best,
        } in longer
        {
            let from = &level[from];
            let prefix = self.prefixes.longer(from.prefix, label);
            grown.push(Partial {
                prefix,
                state: self.states.after(self.model, &from.state, label, prefix),
                log_p,
                best,
                emission: self.emissions.push(from.emission, t),
            });
        }
        grown
    }

    /// ln p of all arcs at a node, computed the first time it is asked for.
    fn row(&mut self, t: usize, partial: &Partial<M::State>) -> Result<&[f64]> {
        match self.rows.entry(partial.prefix) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let mut row = vec![0.0; self.model.vocabulary()];
                read(self.model, (self.utterance, t), &partial.state, &mut row)?;
                normalize(&mut row, self.model.blank() as usize, self.options.normalize);
                Ok(entry.insert(row))
            }
        }
    }

    fn ranked(&self, mut beam: Level<M>) -> Vec<Candidate> {
        if self.options.length_normalized {
            let rank = |p: &Partial<_>| p.log_p / (self.prefixes.length(p.prefix) + 1) as f64;
            beam.sort_unstable_by(|a, b| {
                let order = || self.prefixes.order(a.prefix, b.prefix);
                rank(b).total_cmp(&rank(a)).then_with(order)
            });
        }
        let candidate = |partial: &Partial<_>| Candidate {
            hypothesis: Hypothesis {
                labels: self.prefixes.labels(partial.prefix),
                frames: self.emissions.sequence(partial.emission),
            },
            log_p: partial.log_p,
        };
        beam.iter().map(candidate).collect()
    }
}
