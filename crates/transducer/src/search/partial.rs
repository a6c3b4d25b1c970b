//! What a beam search holds between two frames.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;

use sandhi_core::Stepwise;
use sandhi_lattice::{Log, Semiring};

/// A label sequence that has reached a frame, with all the paths there that the search kept.
pub(super) struct Partial<S> {
    /// Its place in [`Prefixes`].
    pub(super) prefix: usize,
    pub(super) state: Rc<S>,
    /// ln of the summed probability of the paths.
    pub(super) log_p: f64,
    /// ln p of the best of them.
    pub(super) best: f64,
    /// The last emission of the best, a place in [`Chain`].
    pub(super) emission: usize,
}

impl<S> Partial<S> {
    /// The same label sequence after an arc that emits nothing.
    pub(super) fn after(&self, log_p: f64) -> Self {
        Self {
            prefix: self.prefix,
            state: self.state.clone(),
            log_p: self.log_p + log_p,
            best: self.best + log_p,
            emission: self.emission,
        }
    }
}

/// The label sequences at the end of a frame, each once: probabilities of those that meet are added.
pub(super) struct Ends<S> {
    partials: Vec<Partial<S>>,
    places: HashMap<usize, usize>,
}

impl<S> Ends<S> {
    pub(super) fn new() -> Self {
        Self {
            partials: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// Of two equally good paths the one that came first stays the best.
    pub(super) fn add(&mut self, new: Partial<S>) {
        if new.log_p == f64::NEG_INFINITY {
            return;
        }
        match self.places.get(&new.prefix) {
            Some(&place) => {
                let old = &mut self.partials[place];
                old.log_p = Log(old.log_p).plus(Log(new.log_p)).0;
                if new.best > old.best {
                    (old.best, old.emission) = (new.best, new.emission);
                }
            }
            None => {
                self.places.insert(new.prefix, self.partials.len());
                self.partials.push(new);
            }
        }
    }

    pub(super) fn contains(&self, prefix: usize) -> bool {
        self.places.contains_key(&prefix)
    }

    /// The highest ln p, −∞ if there is none.
    pub(super) fn highest(&self) -> f64 {
        let log_p = self.partials.iter().map(|partial| partial.log_p);
        log_p.fold(f64::NEG_INFINITY, f64::max)
    }

    pub(super) fn into_partials(self) -> Vec<Partial<S>> {
        self.partials
    }
}

/// Sequences that share their beginnings: an element is a value and the place of what stands before it. Place 0 is the empty
/// sequence.
pub(super) struct Chain<T> {
    links: Vec<(usize, T)>,
}

impl<T: Copy> Chain<T> {
    pub(super) fn new() -> Self {
        Self { links: Vec::new() }
    }

    pub(super) fn push(&mut self, before: usize, value: T) -> usize {
        self.links.push((before, value));
        self.links.len()
    }

    /// The sequence that ends at a place.
    pub(super) fn sequence(&self, mut place: usize) -> Vec<T> {
        let mut values = Vec::new();
        while place > 0 {
            let (before, value) = self.links[place - 1];
            values.push(value);
            place = before;
        }
        values.reverse();
        values
    }
}

/// The label sequences of an utterance: the same sequence is always at the same place.
pub(super) struct Prefixes {
    labels: Chain<u32>,
    lengths: Vec<usize>,
    children: HashMap<(usize, u32), usize>,
}

impl Prefixes {
    pub(super) fn new() -> Self {
        Self {
            labels: Chain::new(),
            lengths: vec![0],
            children: HashMap::new(),
        }
    }

    /// The place of a prefix and one more label, if the search has been there.
    pub(super) fn known(&self, prefix: usize, label: u32) -> Option<usize> {
        self.children.get(&(prefix, label)).copied()
    }

    /// The place of a prefix and one more label.
    pub(super) fn longer(&mut self, prefix: usize, label: u32) -> usize {
        let (labels, lengths) = (&mut self.labels, &mut self.lengths);
        *self.children.entry((prefix, label)).or_insert_with(|| {
            lengths.push(lengths[prefix] + 1);
            labels.push(prefix, label)
        })
    }

    pub(super) fn labels(&self, prefix: usize) -> Vec<u32> {
        self.labels.sequence(prefix)
    }

    pub(super) fn length(&self, prefix: usize) -> usize {
        self.lengths[prefix]
    }

    /// Shorter first, then by label ids from the front.
    pub(super) fn order(&self, a: usize, b: usize) -> Ordering {
        if a == b {
            return Ordering::Equal;
        }
        let lengths = self.length(a).cmp(&self.length(b));
        lengths.then_with(|| self.labels(a).cmp(&self.labels(b)))
    }
}

/// The model's states of prefixes in use. A label sequence comes up again frame after frame, so states are kept for as long
/// as they are asked for at every frame, and then forgotten: memory does not grow with the utterance.
pub(super) struct States<S> {
    current: HashMap<usize, Rc<S>>,
    before: HashMap<usize, Rc<S>>,
}

impl<S> States<S> {
    pub(super) fn new() -> Self {
        Self {
            current: HashMap::new(),
            before: HashMap::new(),
        }
    }

    /// The state of `prefix`, which is that of `from` and one more label.
    pub(super) fn after<M: Stepwise<State = S>>(
        &mut self,
        model: &M,
        from: &S,
        label: u32,
        prefix: usize,
    ) -> Rc<S> {
        let before = &mut self.before;
        let made = || {
            before
                .remove(&prefix)
                .unwrap_or_else(|| Rc::new(model.advance(from, label)))
        };
        self.current.entry(prefix).or_insert_with(made).clone()
    }

    /// A frame begins from these partial hypotheses: what was not asked for at the last one is forgotten.
    pub(super) fn next_frame(&mut self, beam: &[Partial<S>]) {
        self.before = std::mem::take(&mut self.current);
        let held = beam.iter().map(|partial| (partial.prefix, partial.state.clone()));
        self.current.extend(held);
    }
}
