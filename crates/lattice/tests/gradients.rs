//! Closed-form gradients equal central differences.
#![allow(missing_docs)]

mod common;

use common::{every_extent, on_labels, uniform, within};
use sandhi_lattice::{Arc, Expectation, Log, Topology, Transducer, backward, forward, posteriors, total};

const STEP: f64 = 1e-5;

fn difference(f: impl Fn(f64) -> f64) -> f64 {
    (f(STEP) - f(-STEP)) / (2.0 * STEP)
}

fn nudged(weight: impl Fn(Arc) -> f64, at: Arc, by: f64) -> impl Fn(Arc) -> f64 {
    move |arc| weight(arc) + if arc == at { by } else { 0.0 }
}

#[test]
fn transducer_gradient_equals_posterior() {
    every_extent(|extent| {
        let weight = uniform(5);
        let gamma = posteriors(Transducer, extent, weight);
        for arc in extent.arcs(Transducer) {
            let log_total = |by| {
                let weight = nudged(weight, arc, by);
                total(Transducer, extent, |arc| Log(weight(arc))).0
            };
            within(difference(log_total), gamma.arc(arc), 1e-8);
        }
    });
}

#[test]
fn expected_cost_gradient_equals_posterior_times_excess() {
    every_extent(|extent| {
        let (weight, cost) = (uniform(31), on_labels(uniform(37)));
        let pair = |arc: Arc| Expectation {
            log_p: weight(arc),
            mean: cost(arc),
        };
        let (alpha, beta) = (
            forward(Transducer, extent, pair),
            backward(Transducer, extent, pair),
        );
        let gamma = posteriors(Transducer, extent, weight);
        let mean = beta.at(0, 0).mean;
        for arc in extent.arcs(Transducer).filter(|&arc| gamma.arc(arc) > 0.0) {
            let (dt, du) = Transducer.advance(arc.step);
            // E[D | arc] = mean(α) + d + mean(β).
            let given = alpha.at(arc.t, arc.u).mean + cost(arc) + beta.at(arc.t + dt, arc.u + du).mean;
            let by_weight = |by| {
                let weight = nudged(weight, arc, by);
                total(Transducer, extent, |arc| Expectation {
                    log_p: weight(arc),
                    mean: cost(arc),
                })
                .mean
            };
            let by_cost = |by| {
                let cost = nudged(cost, arc, by);
                total(Transducer, extent, |arc| Expectation {
                    log_p: weight(arc),
                    mean: cost(arc),
                })
                .mean
            };
            within(difference(by_weight), gamma.arc(arc) * (given - mean), 1e-8);
            within(difference(by_cost), gamma.arc(arc), 1e-8);
        }
    });
}
