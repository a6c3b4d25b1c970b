//! Searches over models that mean no good, and over nothing at all.
#![allow(missing_docs, clippy::unwrap_used)]

mod search_common;

use sandhi_core::{Error, Stepwise};
use sandhi_transducer::{Beam, Candidate, Emission, Greedy, Hypothesis, Normalize};
use search_common::{EMISSIONS, NORMALIZES, Toy, random};

fn greedy(emission: Emission, normalize: Normalize) -> Greedy {
    Greedy { emission, normalize }
}

fn beam(emission: Emission, normalize: Normalize) -> Beam {
    Beam {
        emission,
        normalize,
        ..Beam::default()
    }
}

#[test]
fn searches_of_nothing_find_nothing() {
    let nothing = Candidate {
        hypothesis: Hypothesis::default(),
        log_p: 0.0,
    };
    for emission in EMISSIONS {
        let empty = Toy::new(&[], 3, 0, random(1));
        assert!(Beam::default().decode(&empty).unwrap().is_empty());
        assert!(Greedy::default().decode(&empty).unwrap().is_empty());
        let (greedy, beam) = (
            greedy(emission, Normalize::Softmax),
            beam(emission, Normalize::Softmax),
        );
        let no_frames = Toy::new(&[0], 3, 0, random(1));
        let blank_alone = Toy::new(&[5], 1, 0, random(1));
        assert_eq!(greedy.decode(&no_frames).unwrap(), [Hypothesis::default()]);
        assert_eq!(greedy.decode(&blank_alone).unwrap(), [Hypothesis::default()]);
        assert_eq!(beam.decode(&no_frames).unwrap(), [vec![nothing.clone()]]);
        assert_eq!(beam.decode(&blank_alone).unwrap(), [vec![nothing.clone()]]);
    }
}

#[test]
fn searches_end_where_labels_always_beat_the_blank() {
    for (emission, most) in [(Emission::UpTo(1), 1), (Emission::UpTo(3), 3), (Emission::One, 1)] {
        for normalize in NORMALIZES {
            for blank in [-30.0, -1e30, -1e300] {
                let toy = Toy::new(&[6], 4, 0, move |_, _, _: &[u32], id| match id {
                    0 => blank,
                    id => id as f64,
                });
                let found = greedy(emission, normalize).decode(&toy).unwrap().remove(0);
                assert_eq!(found.labels, vec![3; 6 * most]);
                let found = beam(emission, normalize).decode(&toy).unwrap().remove(0);
                assert!(found.len() <= 4 && found[0].log_p <= 0.0);
                assert!(found.iter().all(|c| c.hypothesis.labels.len() <= 6 * most));
            }
        }
    }
}

/// Every arc has probability 1/V, so a sequence of U labels has C(T, U) paths of T arcs where a label ends its frame; with up
/// to one label on a frame it has C(T, U) paths of T + U arcs.
#[test]
fn beam_of_equal_scores_counts_paths() {
    let (frames, vocabulary) = (5, 3);
    let toy = Toy::new(&[frames], vocabulary, 0, |_, _, _: &[u32], _| 0.7);
    let choose = |u: usize| [1.0, 5.0, 10.0, 10.0, 5.0, 1.0f64][u];
    for (emission, arcs) in [
        (Emission::One, &(|_| frames) as &dyn Fn(usize) -> usize),
        (Emission::UpTo(1), &|u| frames + u),
    ] {
        let wide = Beam {
            width: 1000,
            ..beam(emission, Normalize::Softmax)
        };
        let found = wide.decode(&toy).unwrap().remove(0);
        assert_eq!(found.len(), 1 + 2 + 4 + 8 + 16 + 32);
        for candidate in found {
            let u = candidate.hypothesis.labels.len();
            let expected = choose(u).ln() - arcs(u) as f64 * (vocabulary as f64).ln();
            assert!((candidate.log_p - expected).abs() < 1e-12);
        }
    }
}

#[test]
fn beam_orders_ties_by_length_then_labels() {
    let toy = Toy::new(&[1], 4, 1, |_, _, _: &[u32], _| 0.0);
    let found = |width| {
        let beam = Beam {
            width,
            ..beam(Emission::One, Normalize::Softmax)
        };
        let found = beam.decode(&toy).unwrap().remove(0);
        let labels = found.into_iter().map(|c| c.hypothesis.labels);
        labels.collect::<Vec<_>>()
    };
    assert_eq!(found(9), [vec![], vec![0], vec![2], vec![3]]);
    for width in 1..4 {
        assert_eq!(found(width), found(9)[..width], "a narrow beam keeps the first");
    }
}

#[test]
fn greedy_ties_go_to_the_lower_id() {
    let decode = |blank| {
        let toy = Toy::new(&[2], 3, blank, |_, _, _: &[u32], _| 0.0);
        greedy(Emission::UpTo(2), Normalize::Softmax)
            .decode(&toy)
            .unwrap()
            .remove(0)
            .labels
    };
    assert_eq!(decode(0), Vec::<u32>::new());
    assert_eq!(decode(1), [0; 4]);
}

/// The blank has half of it all, each of three labels a sixth: as a plain softmax of these logits any label beats the blank.
#[test]
fn greedy_of_hat_compares_probabilities_and_not_logits() {
    let logits = |_: usize, _: usize, _: &[u32], id| if id == 0 { 0.0 } else { 1.0 };
    let toy = Toy::new(&[3], 4, 0, logits);
    let decode = |normalize| greedy(Emission::One, normalize).decode(&toy).unwrap().remove(0);
    assert_eq!(decode(Normalize::Hat), Hypothesis::default());
    assert_eq!(decode(Normalize::Softmax).labels, [1, 1, 1]);
}

#[test]
fn searches_never_take_an_impossible_arc() {
    let of = random(4);
    let toy = Toy::new(&[8], 4, 0, move |b, t, labels: &[u32], id| match id {
        2 => f64::NEG_INFINITY,
        0 if t == 3 && labels.is_empty() => f64::NEG_INFINITY,
        _ => of(b, t, labels, id),
    });
    for emission in EMISSIONS {
        for normalize in NORMALIZES {
            let mut found = greedy(emission, normalize).decode(&toy).unwrap();
            let candidates = beam(emission, normalize).decode(&toy).unwrap().remove(0);
            assert!(candidates.iter().all(|c| c.log_p.is_finite()));
            found.extend(candidates.into_iter().map(|c| c.hypothesis));
            for hypothesis in found {
                assert!(!hypothesis.labels.contains(&2));
                assert!(hypothesis.frames[0] <= 3, "no path is without a label then");
            }
        }
    }
}

fn errors<M: Stepwise>(model: &M) -> Vec<Error> {
    let mut errors = Vec::new();
    for emission in EMISSIONS {
        for normalize in NORMALIZES {
            errors.push(greedy(emission, normalize).decode(model).unwrap_err());
            errors.push(beam(emission, normalize).decode(model).unwrap_err());
        }
    }
    errors
}

#[test]
fn searches_name_the_utterance_and_frame_of_what_is_no_distribution() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let of = random(2);
        // One NaN or infinity is enough; −∞ is wrong only where it is everywhere.
        let toy = Toy::new(&[4, 4, 4], 3, 0, move |b, t, labels: &[u32], id| {
            if b == 1 && t == 2 && (bad < 0.0 || id == 1) {
                bad
            } else {
                of(b, t, labels, id)
            }
        });
        for error in errors(&toy) {
            assert!(
                matches!(
                    error,
                    Error::Scores {
                        utterance: 1,
                        frame: 2,
                        ..
                    }
                ),
                "{bad}: {error}"
            );
        }
        let message = errors(&toy)[0].to_string();
        let expected = match bad {
            f64::NEG_INFINITY => "utterance 1, frame 2: all 3 scores are -inf".to_owned(),
            bad => format!("utterance 1, frame 2: the score of id 1 is {bad}"),
        };
        assert_eq!(message, expected);
    }
}

#[test]
fn beam_that_nothing_can_leave_is_an_error_and_greedy_ends() {
    let toy = Toy::new(&[3], 3, 0, |_, t, _: &[u32], id| match (t, id) {
        (1, 0) => f64::NEG_INFINITY,
        _ => 0.0,
    });
    let error = Beam::default().decode(&toy).unwrap_err().to_string();
    assert_eq!(
        error,
        "utterance 0, frame 1: the score of the blank is -inf after every hypothesis kept"
    );
    let found = Greedy::default().decode(&toy).unwrap().remove(0);
    assert_eq!(found.frames, [1; 4]);
    // A label that ends its frame needs no blank.
    assert!(beam(Emission::One, Normalize::Softmax).decode(&toy).is_ok());
}

#[test]
fn searches_refuse_options_that_cannot_be_honoured() {
    let toy = Toy::new(&[2], 3, 0, random(1));
    let message = |beam: Beam| beam.decode(&toy).unwrap_err().to_string();
    let plain = Beam::default();
    assert_eq!(
        message(Beam { width: 0, ..plain }),
        "beam width: expected at least 1, got 0"
    );
    for threshold in [-1.0, f64::NAN] {
        let expected = format!("beam threshold: expected at least 0, got {threshold}");
        let threshold = Some(threshold);
        assert_eq!(message(Beam { threshold, ..plain }), expected);
    }
    let emission = Emission::UpTo(0);
    let none = "labels per frame: expected at least 1, got 0";
    assert_eq!(message(Beam { emission, ..plain }), none);
    let error = greedy(emission, Normalize::Softmax).decode(&toy).unwrap_err();
    assert_eq!(error.to_string(), none);
    let outside = Toy::new(&[2], 3, 3, random(1));
    for error in errors(&outside) {
        assert_eq!(
            error.to_string(),
            "blank: expected an id below the vocabulary size 3, got 3"
        );
    }
}
