//! Every loss of this crate obeys the laws of a consistency.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::Tensor;
use common::{ALL, loss_of, pair};
use sandhi_align::{
    BestAlignment, FrameAverage, GivenAlignment, Moves, OptimalTransport, RandomAlignment, SoftAlignment,
    Stretched, Upsampled,
};
use sandhi_core::{Consistency, Distance, Error, Pair, Result};
use sandhi_testkit::{check_consistency, check_signed_consistency};

/// A given alignment is of one batch; the laws are about many. Here an utterance of so many frames and labels always has the same
/// one: neither monotone nor complete, and a cell of it counts twice.
struct GivenByExtent(Distance);

impl Consistency for GivenByExtent {
    fn name(&self) -> &'static str {
        "given-by-extent"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        let lengths = pair.speech.lengths().as_slice().iter();
        let extents = lengths.zip(pair.text.lengths().as_slice());
        let cells = extents.map(|(&frames, &labels)| {
            let cell = |i: usize| (3 * i % frames, i % labels);
            (0..frames + labels).map(cell).chain([(0, 0)]).collect()
        });
        GivenAlignment {
            distance: self.0,
            cells: cells.collect(),
        }
        .loss(pair)
    }
}

/// Every loss that is never negative.
fn losses(distance: Distance) -> Vec<Box<dyn Consistency>> {
    let mut losses: Vec<Box<dyn Consistency>> = vec![
        Box::new(Upsampled { distance, repeat: 2 }),
        Box::new(Stretched { distance }),
        Box::new(FrameAverage { distance }),
        Box::new(RandomAlignment { distance, seed: 7 }),
        Box::new(GivenByExtent(distance)),
        Box::new(OptimalTransport {
            distance,
            epsilon: 0.1,
            iterations: 5,
        }),
    ];
    losses.extend(ALL.map(|moves| Box::new(BestAlignment { distance, moves }) as Box<dyn Consistency>));
    losses
}

#[test]
fn consistencies_obey_the_laws() {
    let huber = Distance::Huber { delta: 0.5 };
    for distance in [
        Distance::L1,
        Distance::L2,
        Distance::SquaredL2,
        huber,
        Distance::Cosine,
    ] {
        for loss in losses(distance) {
            check_consistency(&*loss).unwrap();
        }
        for moves in ALL {
            let temperature = 0.3;
            check_signed_consistency(&SoftAlignment {
                distance,
                moves,
                temperature,
            })
            .unwrap();
        }
    }
}

#[test]
fn utterances_without_labels_are_free() {
    let distance = Distance::L1;
    let every_label = [Moves::EveryLabel, Moves::EveryLabelStrict];
    for extents in [[(4, 0), (2, 0)], [(0, 0), (0, 0)]] {
        let pair = pair(1, &extents);
        let mut found = vec![
            loss_of(Upsampled { distance, repeat: 2 }, &pair),
            loss_of(Stretched { distance }, &pair),
            loss_of(FrameAverage { distance }, &pair),
            loss_of(RandomAlignment { distance, seed: 7 }, &pair),
            loss_of(
                OptimalTransport {
                    distance,
                    epsilon: 0.1,
                    iterations: 5,
                },
                &pair,
            ),
        ];
        // The other readings cannot leave a frame without a label.
        let feasible = if extents[0].0 == 0 { &ALL[..] } else { &every_label };
        for &moves in feasible {
            found.push(loss_of(BestAlignment { distance, moves }, &pair));
            found.push(loss_of(
                SoftAlignment {
                    distance,
                    moves,
                    temperature: 1.0,
                },
                &pair,
            ));
        }
        assert!(found.iter().all(|losses| losses == &[0.0, 0.0]), "{found:?}");
    }
}

#[test]
fn labels_without_frames_are_named() {
    let pair = pair(2, &[(3, 2), (0, 2)]);
    let distance = Distance::L1;
    let losses: [Box<dyn Consistency>; 5] = [
        Box::new(FrameAverage { distance }),
        Box::new(RandomAlignment { distance, seed: 1 }),
        Box::new(OptimalTransport {
            distance,
            epsilon: 1.0,
            iterations: 3,
        }),
        Box::new(SoftAlignment {
            distance,
            moves: Moves::EveryLabel,
            temperature: 1.0,
        }),
        Box::new(BestAlignment {
            distance,
            moves: Moves::EveryLabel,
        }),
    ];
    for loss in losses {
        let error = loss
            .loss(Pair {
                speech: &pair.0,
                text: &pair.1,
                arcs: &pair.2,
            })
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::NoAlignment {
                    utterance: 1,
                    frames: 0,
                    labels: 2
                }
            ),
            "{}: {error}",
            loss.name()
        );
    }
    // These compare frame by frame, so there is nothing to compare.
    assert_eq!(loss_of(Stretched { distance }, &pair)[1], 0.0);
    assert_eq!(loss_of(Upsampled { distance, repeat: 2 }, &pair)[1], 0.0);
}

#[test]
fn losses_have_the_same_bits_for_any_number_of_threads() {
    let pair = pair(3, &[(40, 9), (17, 11), (30, 1), (25, 25), (12, 5)]);
    let distance = Distance::L2;
    let losses = || {
        let mut all = Vec::new();
        for moves in ALL {
            all.push(loss_of(BestAlignment { distance, moves }, &pair));
            let temperature = 0.2;
            let soft = SoftAlignment {
                distance,
                moves,
                temperature,
            };
            all.push(loss_of(soft, &pair));
        }
        let (epsilon, iterations) = (0.05, 8);
        all.push(loss_of(
            OptimalTransport {
                distance,
                epsilon,
                iterations,
            },
            &pair,
        ));
        all
    };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(losses)
    };
    let alone = with(1);
    assert!(alone.iter().flatten().all(|loss| loss.is_finite()));
    for threads in [2, 3, 7] {
        assert_eq!(with(threads), alone);
    }
}
