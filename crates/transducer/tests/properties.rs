//! Properties of random lattices far beyond enumeration: against the recursions over semirings, which share no code with
//! these, and the laws of conservation.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{Device, Tensor};
use common::values;
use proptest::prelude::*;
use sandhi_core::{ArcScores, Labels, Lengths, Topology};
use sandhi_lattice::{Arc, Extent, Moments, Monotonic, Step, Transducer, posteriors, total};
use sandhi_transducer::{
    HostLoss, Infeasible, LossOptions, alignment_entropy, cost_variance, emission_times, expected_cost,
    label_posteriors, transducer_loss_with,
};

/// A lattice with scores, some of them impossible, and costs.
#[derive(Debug)]
struct Case {
    extent: Extent,
    monotonic: bool,
    blank: Vec<f64>,
    label: Vec<f64>,
    cost: Vec<f64>,
}

fn case() -> impl Strategy<Value = Case> {
    (1usize..40, 0usize..20, any::<bool>(), 0.0f64..60.0).prop_flat_map(
        |(frames, labels, monotonic, spread)| {
            let score = prop_oneof![30 => -spread..=0.0, 1 => Just(f64::NEG_INFINITY)];
            let blank = prop::collection::vec(score.clone(), frames * (labels + 1));
            let label = prop::collection::vec(score, frames * labels);
            let cost = prop::collection::vec(-5.0..50.0, frames * labels);
            (blank, label, cost).prop_map(move |(blank, label, cost)| Case {
                extent: Extent { frames, labels },
                monotonic,
                blank,
                label,
                cost,
            })
        },
    )
}

impl Case {
    fn score(&self, arc: Arc) -> f64 {
        match arc.step {
            Step::Blank => self.blank[arc.t * (self.extent.labels + 1) + arc.u],
            Step::Label => self.label[arc.t * self.extent.labels + arc.u],
        }
    }

    fn price(&self, arc: Arc) -> f64 {
        match arc.step {
            Step::Blank => 0.0,
            Step::Label => self.cost[arc.t * self.extent.labels + arc.u],
        }
    }

    fn arcs(&self) -> ArcScores {
        let Extent { frames, labels } = self.extent;
        let tensor = |values: &[f64], columns: usize| {
            Tensor::from_slice(values, (1, frames, columns), &Device::Cpu).unwrap()
        };
        let (blank, label) = (tensor(&self.blank, labels + 1), tensor(&self.label, labels));
        let arcs = ArcScores::new(
            blank,
            label,
            Lengths::new(vec![frames]),
            Lengths::new(vec![labels]),
        )
        .unwrap();
        arcs.on(if self.monotonic {
            Topology::Monotonic
        } else {
            Topology::Standard
        })
    }

    fn cost(&self) -> Tensor {
        let Extent { frames, labels } = self.extent;
        Tensor::from_slice(&self.cost, (1, frames, labels), &Device::Cpu).unwrap()
    }
}

fn near(got: f64, expected: f64, scale: f64) -> bool {
    got == expected || (got - expected).abs() <= 1e-10 * scale.max(1.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn chain_equals_the_recursion_over_semirings(case in case()) {
        let extent = case.extent;
        let weight = |arc| Moments::arc(case.score(arc), case.price(arc));
        let all = match case.monotonic {
            true => total(Monotonic, extent, weight),
            false => total(Transducer, extent, weight),
        };
        let tolerant = LossOptions { infeasible: Infeasible::Infinite, ..LossOptions::default() };
        let loss = values(&transducer_loss_with(&case.arcs(), &tolerant).unwrap())[0];
        prop_assert!(near(loss, -all.log_p, all.log_p.abs()), "{loss} for {}", -all.log_p);
        if all.log_p == f64::NEG_INFINITY {
            prop_assert!(label_posteriors(&case.arcs()).is_err());
            return Ok(());
        }
        let mean = values(&expected_cost(&case.arcs(), &case.cost()).unwrap())[0];
        let variance = values(&cost_variance(&case.arcs(), &case.cost()).unwrap())[0];
        prop_assert!(near(mean, all.mean, 1e3), "{mean} for {}", all.mean);
        prop_assert!(near(variance, all.variance, 1e5), "{variance} for {}", all.variance);
        let gamma = match case.monotonic {
            true => posteriors(Monotonic, extent, |arc| case.score(arc)),
            false => posteriors(Transducer, extent, |arc| case.score(arc)),
        };
        let got = values(&label_posteriors(&case.arcs()).unwrap());
        for (i, got) in got.into_iter().enumerate() {
            let expected = gamma.label(i / extent.labels, i % extent.labels);
            prop_assert!(near(got, expected, 1.0), "{got} for {expected}");
        }
    }

    #[test]
    fn alignments_obey_their_laws(case in case()) {
        let Ok(gamma) = label_posteriors(&case.arcs()) else { return Ok(()) };
        let Extent { frames, labels } = case.extent;
        let gamma = values(&gamma);
        for u in 0..labels {
            let sum: f64 = (0..frames).map(|t| gamma[t * labels + u]).sum();
            prop_assert!((sum - 1.0).abs() < 1e-12, "label {u}: {sum}");
        }
        let entropy = values(&alignment_entropy(&case.arcs()).unwrap())[0];
        // No more than if all C(T + U − 1, U) paths were equal.
        let most: f64 = (1..=labels).map(|k| ((frames + k - 1) as f64 / k as f64).ln()).sum();
        prop_assert!((-1e-12..=most + 1e-9).contains(&entropy), "{entropy} of {most}");
        prop_assert!(values(&cost_variance(&case.arcs(), &case.cost()).unwrap())[0] >= 0.0);
        let times = emission_times(&case.arcs()).unwrap().remove(0);
        prop_assert!(times.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9));
    }

    /// Arbitrary shapes, lengths and logits, among them infinite ones and NaN: an error or a result, and padding never counts.
    #[test]
    fn host_loss_takes_whatever_comes(
        (batch, frames, columns, vocabulary) in (1usize..4, 0usize..6, 1usize..5, 1usize..20),
        seed in any::<u64>(),
        odd in prop_oneof![Just(0.0f32), Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(1e30)],
    ) {
        let mut state = seed | 1;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as usize % below.max(1)
        };
        let lengths = Lengths::new((0..batch).map(|_| random(frames + 1)).collect());
        let most = if vocabulary < 2 { 1 } else { columns };
        let rows = (0..batch).map(|_| (0..random(most)).map(|_| 1 + random(vocabulary - 1) as u32).collect());
        let labels = Labels::new(rows.collect(), 0).unwrap();
        let mut logits: Vec<f32> = (0..batch * frames * columns * vocabulary).map(|_| random(80) as f32 * 0.1 - 4.0).collect();
        let options = LossOptions { infeasible: Infeasible::Infinite, ..LossOptions::default() };
        let host = HostLoss::new([batch, frames, columns, vocabulary], &labels, &lengths).unwrap().options(options).unwrap();
        let mut gradient = vec![f32::NAN; logits.len()];
        let losses = host.with_gradient(&logits, &mut gradient).unwrap();
        prop_assert!(gradient.iter().all(|g| g.is_finite()));
        // Odd values in the padding change nothing.
        let node = |i: usize| (i / vocabulary % columns, i / (vocabulary * columns) % frames, i / (vocabulary * columns * frames));
        for (i, x) in logits.iter_mut().enumerate() {
            let (u, t, b) = node(i);
            if t >= lengths.get(b) || u > labels.rows()[b].len() {
                *x = odd;
            }
        }
        let mut again = vec![f32::NAN; logits.len()];
        prop_assert_eq!(&host.with_gradient(&logits, &mut again).unwrap(), &losses);
        prop_assert_eq!(&again, &gradient);
        // Anywhere else they make a result or an error, never a panic.
        if !logits.is_empty() {
            let at = random(logits.len());
            logits[at] = odd;
            let _ = host.in_place(&mut logits);
        }
    }
}
