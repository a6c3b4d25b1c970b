//! Beam search of a width that holds everything: against the enumeration of all paths, and against the losses.
#![allow(missing_docs, clippy::unwrap_used)]

mod search_common;

use candle_core::{Device, Tensor};
use sandhi_core::{ArcScores, Lengths};
use sandhi_lattice::{Extent, Log, Monotonic, Step, total};
use sandhi_transducer::{Beam, Candidate, Emission, Normalize, transducer_loss, viterbi};
use search_common::{EMISSIONS, Exact, NORMALIZES, Toy, enumerate, random};

const EVERYTHING: usize = 1_000_000;

fn close(got: f64, expected: f64) {
    assert!(
        (got - expected).abs() <= 1e-10 * expected.abs(),
        "expected {expected}, got {got}"
    );
}

/// The candidates must be the label sequences in their order, with their scores and the frames of their best paths.
fn check(
    found: &[Candidate],
    expected: impl IntoIterator<Item = (Vec<u32>, Exact)>,
    rank: fn(&[u32], f64) -> f64,
) {
    let mut expected: Vec<_> = expected.into_iter().collect();
    let key = |(labels, exact): &(Vec<u32>, Exact)| rank(labels, exact.p.ln());
    expected.sort_by(|a, b| key(b).total_cmp(&key(a)));
    assert_eq!(found.len(), expected.len());
    for (candidate, (labels, exact)) in found.iter().zip(expected) {
        assert_eq!(candidate.hypothesis.labels, labels);
        assert_eq!(candidate.hypothesis.frames, exact.frames, "{labels:?}");
        close(candidate.log_p, exact.p.ln());
    }
}

#[test]
fn beam_of_full_width_equals_enumeration() {
    // Up to 4 frames, a vocabulary of 2 to 4, and no more paths than can be walked.
    for (frames, vocabulary, most) in [
        (&[4, 1, 3][..], 2, 3),
        (&[3, 4], 3, 2),
        (&[2, 3], 3, 3),
        (&[3], 4, 2),
        (&[4], 4, 1),
    ] {
        let fits = |emission: &Emission| match emission {
            Emission::UpTo(n) => *n <= most,
            Emission::One => true,
        };
        for emission in EMISSIONS.into_iter().filter(fits) {
            for normalize in NORMALIZES {
                for blank in [0, vocabulary as u32 - 1] {
                    let toy = Toy::new(frames, vocabulary, blank, random(vocabulary as u64));
                    let beam = Beam {
                        width: EVERYTHING,
                        emission,
                        normalize,
                        ..Beam::default()
                    };
                    for (b, found) in beam.decode(&toy).unwrap().iter().enumerate() {
                        let exact = enumerate(&toy, b, emission, normalize);
                        check(found, exact, |_, log_p| log_p);
                    }
                }
            }
        }
    }
}

#[test]
fn beam_ranks_by_length_where_asked_and_leaves_scores_alone() {
    let mut others = 0;
    for seed in 0..10 {
        let toy = Toy::new(&[3], 3, 0, random(seed));
        let beam = Beam {
            width: EVERYTHING,
            emission: Emission::UpTo(2),
            length_normalized: true,
            ..Beam::default()
        };
        let exact = enumerate(&toy, 0, beam.emission, beam.normalize);
        let found = beam.decode(&toy).unwrap().remove(0);
        check(&found, exact, |labels, log_p| log_p / (labels.len() + 1) as f64);
        let plain = Beam {
            length_normalized: false,
            ..beam
        };
        others += usize::from(plain.decode(&toy).unwrap()[0][0] != found[0]);
    }
    assert!(others > 0, "the two ranks always agree: the test says nothing");
}

/// ln p of blank and label along a label sequence, `[T][U+1]` and `[T][U]`.
fn scores<F: Fn(usize, usize, &[u32], usize) -> f64 + Sync>(
    toy: &Toy<F>,
    labels: &[u32],
) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let at = |t: usize, u: usize| toy.probabilities(0, t, &labels[..u], Normalize::Softmax);
    let frames = 0..toy.frames.get(0);
    let blank = |t| {
        (0..=labels.len())
            .map(|u| at(t, u)[toy.blank as usize].ln())
            .collect()
    };
    let label = |t| {
        (0..labels.len())
            .map(|u| at(t, u)[labels[u] as usize].ln())
            .collect()
    };
    (frames.clone().map(blank).collect(), frames.map(label).collect())
}

#[test]
fn beam_of_full_width_equals_the_transducer_loss() {
    let toy = Toy::new(&[3], 3, 1, random(11));
    let most = 4;
    let beam = Beam {
        width: EVERYTHING,
        emission: Emission::UpTo(most),
        ..Beam::default()
    };
    let found = beam.decode(&toy).unwrap().remove(0);
    // More labels than a frame may emit: the loss knows paths that the search is denied.
    let (free, bounded): (Vec<_>, Vec<_>) = found
        .iter()
        .partition(|candidate| candidate.hypothesis.labels.len() <= most);
    assert_eq!(free.len(), 31);
    let loss = |candidate: &Candidate| {
        let labels = &candidate.hypothesis.labels;
        let (blank, label) = scores(&toy, labels);
        let (u, device) = (labels.len(), &Device::Cpu);
        let blank = Tensor::from_vec(blank.concat(), (1, 3, u + 1), device).unwrap();
        let label = Tensor::from_vec(label.concat(), (1, 3, u), device).unwrap();
        let arcs = ArcScores::new(blank, label, Lengths::new(vec![3]), Lengths::new(vec![u])).unwrap();
        let loss = transducer_loss(&arcs).unwrap().to_vec1::<f64>().unwrap()[0];
        (loss, viterbi(&arcs).unwrap().remove(0).frames)
    };
    for candidate in free {
        let (loss, frames) = loss(candidate);
        close(candidate.log_p, -loss);
        assert_eq!(candidate.hypothesis.frames, frames);
    }
    for candidate in bounded {
        assert!(candidate.log_p < -loss(candidate).0);
    }
}

#[test]
fn beam_of_full_width_equals_the_monotonic_lattice() {
    let toy = Toy::new(&[4], 3, 0, random(13));
    let beam = Beam {
        width: EVERYTHING,
        emission: Emission::One,
        ..Beam::default()
    };
    let found = beam.decode(&toy).unwrap().remove(0);
    assert_eq!(found.len(), 31);
    for candidate in found {
        let labels = &candidate.hypothesis.labels;
        let (blank, label) = scores(&toy, labels);
        let extent = Extent {
            frames: 4,
            labels: labels.len(),
        };
        let log_p = total(Monotonic, extent, |arc| match arc.step {
            Step::Blank => Log(blank[arc.t][arc.u]),
            Step::Label => Log(label[arc.t][arc.u]),
        });
        close(candidate.log_p, log_p.0);
    }
}
