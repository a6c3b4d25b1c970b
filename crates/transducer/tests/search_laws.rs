//! What holds for a search of any width.
#![allow(missing_docs, clippy::unwrap_used)]

mod search_common;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use sandhi_core::{Lengths, Stepwise};
use sandhi_transducer::{Beam, Candidate, Emission, Greedy, Hypothesis, Normalize};
use search_common::{EMISSIONS, NORMALIZES, Toy, enumerate, random};

fn most(emission: Emission) -> usize {
    match emission {
        Emission::UpTo(most) => most,
        Emission::One => 1,
    }
}

/// ln p of the one path that a hypothesis describes.
fn path<F: Fn(usize, usize, &[u32], usize) -> f64 + Sync>(
    toy: &Toy<F>,
    hypothesis: &Hypothesis,
    emission: Emission,
    normalize: Normalize,
) -> f64 {
    let (mut log_p, mut u) = (0.0, 0);
    for t in 0..toy.frames.get(0) {
        let before = u;
        while hypothesis.frames.get(u) == Some(&t) {
            let p = toy.probabilities(0, t, &hypothesis.labels[..u], normalize);
            log_p += p[hypothesis.labels[u] as usize].ln();
            u += 1;
        }
        if emission != Emission::One || u == before {
            let p = toy.probabilities(0, t, &hypothesis.labels[..u], normalize);
            log_p += p[toy.blank as usize].ln();
        }
    }
    assert_eq!(u, hypothesis.labels.len());
    log_p
}

#[test]
fn greedy_takes_the_best_arc_at_every_node() {
    let mut emitted = 0;
    for seed in 0..20 {
        for (emission, normalize) in EMISSIONS.into_iter().flat_map(|e| NORMALIZES.map(|n| (e, n))) {
            let toy = Toy::new(&[9], 5, 2, random(seed));
            let found = Greedy { emission, normalize }.decode(&toy).unwrap().remove(0);
            let mut u = 0;
            for t in 0..9 {
                let before = u;
                loop {
                    let emits = found.frames.get(u) == Some(&t);
                    if u - before == most(emission) {
                        assert!(!emits, "more labels than a frame may emit");
                        break;
                    }
                    let p = toy.probabilities(0, t, &found.labels[..u], normalize);
                    let best = (0..5).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap() as u32;
                    if !emits {
                        assert_eq!(best, toy.blank);
                        break;
                    }
                    assert_eq!(found.labels[u], best);
                    u += 1;
                }
            }
            emitted += u;
            assert_eq!(u, found.labels.len());
        }
    }
    assert!(emitted > 500, "{emitted} labels in all");
}

#[test]
fn beam_scores_never_exceed_the_exact_ones() {
    let mut cut = 0;
    for seed in 0..6 {
        for (emission, normalize) in EMISSIONS.into_iter().flat_map(|e| NORMALIZES.map(|n| (e, n))) {
            let toy = Toy::new(&[3], 3, 0, random(seed));
            let exact = enumerate(&toy, 0, emission, normalize);
            for (width, threshold) in [(1, None), (2, None), (3, Some(1.0)), (5, None), (9, Some(0.1))] {
                let beam = Beam {
                    width,
                    emission,
                    normalize,
                    threshold,
                    ..Beam::default()
                };
                for candidate in &beam.decode(&toy).unwrap()[0] {
                    let bound = exact[&candidate.hypothesis.labels].p.ln();
                    assert!(candidate.log_p <= bound + 1e-12);
                    cut += usize::from(candidate.log_p < bound - 1e-6);
                    // The path it shows is one of those that were added up.
                    let shown = path(&toy, &candidate.hypothesis, emission, normalize);
                    assert!(shown <= candidate.log_p + 1e-12);
                }
            }
        }
    }
    assert!(cut > 50, "hardly ever was a path pruned: {cut}");
}

#[test]
fn beam_of_width_one_is_greedy_where_a_label_ends_its_frame() {
    for seed in 0..50 {
        for normalize in NORMALIZES {
            let toy = Toy::new(&[12], 4, 1, random(seed));
            let emission = Emission::One;
            let beam = Beam {
                width: 1,
                emission,
                normalize,
                ..Beam::default()
            };
            let found = &beam.decode(&toy).unwrap()[0][0];
            assert_eq!(
                found.hypothesis,
                Greedy { emission, normalize }.decode(&toy).unwrap()[0]
            );
            let shown = path(&toy, &found.hypothesis, emission, normalize);
            assert!((found.log_p - shown).abs() < 1e-10);
        }
    }
}

#[test]
fn beam_without_bounds_that_bind_is_the_beam_without_bounds() {
    let toy = Toy::new(&[6, 3], 4, 0, random(5));
    let plain = Beam::default();
    let infinite = Beam {
        threshold: Some(f64::INFINITY),
        ..plain
    };
    assert_eq!(infinite.decode(&toy).unwrap(), plain.decode(&toy).unwrap());
    let none = Beam {
        threshold: Some(0.0),
        ..plain
    };
    let found = none.decode(&toy).unwrap();
    assert!(found.iter().all(|candidates| candidates.len() == 1));
}

/// The utterances of `order` out of a batch of six.
fn batch(order: &[usize]) -> Toy<impl Fn(usize, usize, &[u32], usize) -> f64 + Sync> {
    let frames = [7, 0, 3, 12, 1, 5];
    let (of, order) = (random(3), order.to_vec());
    let chosen: Vec<usize> = order.iter().map(|&b| frames[b]).collect();
    Toy::new(&chosen, 5, 3, move |b, t, labels, id| of(order[b], t, labels, id))
}

fn both<M: Stepwise>(model: &M) -> (Vec<Hypothesis>, Vec<Vec<Candidate>>) {
    (
        Greedy::default().decode(model).unwrap(),
        Beam::default().decode(model).unwrap(),
    )
}

#[test]
fn greedy_and_beam_of_a_batch_equal_their_singles() {
    let (greedy, beam) = both(&batch(&[0, 1, 2, 3, 4, 5]));
    for b in 0..6 {
        let (one, candidates) = both(&batch(&[b]));
        assert_eq!((&one[0], &candidates[0]), (&greedy[b], &beam[b]), "utterance {b}");
    }
}

#[test]
fn greedy_and_beam_do_not_depend_on_the_order_of_a_batch() {
    let (greedy, beam) = both(&batch(&[0, 1, 2, 3, 4, 5]));
    let order = [4, 2, 5, 0, 3, 1];
    let (other, candidates) = both(&batch(&order));
    for (place, &b) in order.iter().enumerate() {
        assert_eq!((&other[place], &candidates[place]), (&greedy[b], &beam[b]));
    }
}

#[test]
fn beam_gives_the_same_bits_for_any_thread_count() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| both(&batch(&[0, 1, 2, 3, 4, 5, 3, 0, 0])))
    };
    let one = run(1);
    for threads in [2, 3, 4] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
}

/// Utterance, frame, labels so far.
type Node = (usize, usize, Vec<u32>);

/// A model that counts what it is asked.
struct Counted<M> {
    model: M,
    nodes: Mutex<HashMap<Node, usize>>,
    advances: AtomicUsize,
}

impl<M: Stepwise<State = Vec<u32>>> Stepwise for Counted<M> {
    type State = Vec<u32>;

    fn frames(&self) -> &Lengths {
        self.model.frames()
    }

    fn vocabulary(&self) -> usize {
        self.model.vocabulary()
    }

    fn blank(&self) -> u32 {
        self.model.blank()
    }

    fn start(&self) -> Vec<u32> {
        self.model.start()
    }

    fn advance(&self, state: &Vec<u32>, label: u32) -> Vec<u32> {
        self.advances.fetch_add(1, Ordering::Relaxed);
        self.model.advance(state, label)
    }

    fn scores(&self, utterance: usize, frame: usize, state: &Vec<u32>, scores: &mut [f64]) {
        let node = (utterance, frame, state.clone());
        *self.nodes.lock().unwrap().entry(node).or_default() += 1;
        self.model.scores(utterance, frame, state, scores);
    }
}

#[test]
fn beam_scores_each_node_once_and_keeps_its_bound() {
    for emission in EMISSIONS {
        for width in [1, 2, 5] {
            // The blank is rare: the levels are as full as they may be.
            let rare = |of: f64, id: usize| if id == 0 { of - 6.0 } else { of };
            let of = random(8);
            let toy = Toy::new(&[10], 4, 0, move |b, t, labels: &[u32], id| {
                rare(of(b, t, labels, id), id)
            });
            let model = Counted {
                model: toy,
                nodes: Mutex::default(),
                advances: AtomicUsize::new(0),
            };
            let beam = Beam {
                width,
                emission,
                ..Beam::default()
            };
            beam.decode(&model).unwrap();
            let nodes = model.nodes.into_inner().unwrap();
            assert!(nodes.values().all(|&times| times == 1));
            assert!(
                nodes.len() <= 10 * (most(emission) + 1) * width,
                "{}",
                nodes.len()
            );
            // A hypothesis that only meets another is advanced beyond the width, and only with one label a frame.
            assert!(model.advances.into_inner() <= 2 * 10 * most(emission) * width);
        }
    }
}

/// A model that prefers the blank and the same few labels: what a trained one is like between words.
#[test]
fn beam_advances_a_label_sequence_once_while_it_is_in_use() {
    let toy = Toy::new(&[50], 6, 0, |_, _, labels: &[u32], id| match id {
        0 => 4.0,
        id => -(id as f64) - labels.len() as f64,
    });
    let model = Counted {
        model: toy,
        nodes: Mutex::default(),
        advances: AtomicUsize::new(0),
    };
    let beam = Beam {
        width: 3,
        emission: Emission::UpTo(1),
        ..Beam::default()
    };
    beam.decode(&model).unwrap();
    let advances = model.advances.into_inner();
    assert!(advances < 20, "{advances} advances for 50 frames");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn beam_equals_enumeration_on_random_models(
        frames in 0usize..4,
        vocabulary in 1usize..4,
        blank in 0u32..4,
        emission in prop::sample::select(EMISSIONS.to_vec()),
        hat in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let toy = Toy::new(&[frames], vocabulary, blank % vocabulary as u32, random(seed));
        // A vocabulary of the blank alone has no labels for HAT to share anything among.
        let normalize = if hat && vocabulary > 1 { Normalize::Hat } else { Normalize::Softmax };
        let beam = Beam { width: 100_000, emission, normalize, ..Beam::default() };
        let found = beam.decode(&toy).unwrap().remove(0);
        let exact = enumerate(&toy, 0, emission, normalize);
        prop_assert_eq!(found.len(), exact.len());
        for candidate in &found {
            let log_p = exact[&candidate.hypothesis.labels].p.ln();
            prop_assert!((candidate.log_p - log_p).abs() <= 1e-10 * log_p.abs().max(1e-3));
        }
    }

    #[test]
    fn candidates_of_random_models_obey_their_laws(
        frames in 0usize..30,
        vocabulary in 1usize..12,
        width in 1usize..8,
        threshold in prop::option::of(0.0f64..10.0),
        length_normalized in any::<bool>(),
        emission in prop::sample::select(EMISSIONS.to_vec()),
        seed in any::<u64>(),
    ) {
        let toy = Toy::new(&[frames], vocabulary, 0, random(seed));
        let beam = Beam { width, emission, threshold, length_normalized, ..Beam::default() };
        let found = beam.decode(&toy).unwrap().remove(0);
        prop_assert!((1..=width).contains(&found.len()));
        let rank = |c: &Candidate| match length_normalized {
            true => c.log_p / (c.hypothesis.labels.len() + 1) as f64,
            false => c.log_p,
        };
        prop_assert!(found.windows(2).all(|w| rank(&w[0]) >= rank(&w[1])));
        let p: f64 = found.iter().map(|c| c.log_p.exp()).sum();
        prop_assert!(p <= 1.0 + 1e-9, "{p}");
        for (i, candidate) in found.iter().enumerate() {
            let Hypothesis { labels, frames: emitted } = &candidate.hypothesis;
            prop_assert!(found[..i].iter().all(|other| other.hypothesis.labels != *labels));
            prop_assert_eq!(labels.len(), emitted.len());
            prop_assert!(labels.iter().all(|&label| label != 0 && (label as usize) < vocabulary));
            prop_assert!(emitted.windows(2).all(|w| w[0] <= w[1]));
            for t in 0..frames {
                prop_assert!(emitted.iter().filter(|&&frame| frame == t).count() <= most(emission));
            }
            prop_assert!(emitted.iter().all(|&frame| frame < frames));
        }
    }
}

#[test]
fn greedy_stream_equals_the_whole_utterance() {
    for seed in 0..10 {
        for (emission, normalize) in EMISSIONS.into_iter().flat_map(|e| NORMALIZES.map(|n| (e, n))) {
            let greedy = Greedy { emission, normalize };
            let whole = greedy
                .decode(&Toy::new(&[11], 5, 2, random(seed)))
                .unwrap()
                .remove(0);
            // Pieces of several lengths, one of them without frames.
            for pieces in [&[11][..], &[4, 0, 6, 1], &[1; 11]] {
                let mut stream = greedy.stream();
                let (mut heard, mut last) = (0, Hypothesis::default());
                for &frames in pieces {
                    let logit = |b: usize, t: usize, labels: &[u32], id: usize| {
                        random(seed)(b, heard + t, labels, id)
                    };
                    let now = stream.push(&Toy::new(&[frames], 5, 2, logit)).unwrap().clone();
                    assert!(now.labels.starts_with(&last.labels), "what was written changed");
                    (last, heard) = (now, heard + frames);
                }
                assert_eq!(last, whole, "{emission:?} {normalize:?} in pieces of {pieces:?}");
            }
        }
    }
    let two = Toy::new(&[3, 3], 5, 2, random(0));
    let error = Greedy::default().stream().push(&two).unwrap_err().to_string();
    assert!(error.contains("expected 1"), "{error}");
}
