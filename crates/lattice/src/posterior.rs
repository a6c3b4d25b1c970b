//! Arc posteriors and their marginals.

use crate::{Arc, Extent, Float, Log, Step, Table, Topology, backward, forward};

/// The probability that a path, drawn in proportion to its weight, uses an arc.
#[derive(Clone, Debug)]
pub struct Posteriors<F> {
    extent: Extent,
    log_total: F,
    /// `[T, U+1, 2]`: blank and label posterior of each node.
    values: Vec<F>,
}

impl<F: Float> Posteriors<F> {
    /// The posterior of one arc.
    ///
    /// # Panics
    ///
    /// If the arc's node is not in the lattice.
    #[inline]
    pub fn arc(&self, arc: Arc) -> F {
        assert!(
            arc.u <= self.extent.labels,
            "label count {} of {}",
            arc.u,
            self.extent.labels
        );
        self.values[2 * (arc.t * (self.extent.labels + 1) + arc.u) + arc.step as usize]
    }

    /// γ of emitting label `u` at frame `t`. Over all frames it sums to 1 for each label.
    #[inline]
    pub fn label(&self, t: usize, u: usize) -> F {
        self.arc(Arc {
            t,
            u,
            step: Step::Label,
        })
    }

    /// γ of the blank that leaves frame `t` after `u` labels.
    #[inline]
    pub fn blank(&self, t: usize, u: usize) -> F {
        self.arc(Arc {
            t,
            u,
            step: Step::Blank,
        })
    }

    /// Natural logarithm of the total weight; −∞ if there is no path, and then every posterior is 0.
    pub fn log_total(&self) -> F {
        self.log_total
    }

    /// The lattice these posteriors belong to.
    pub fn extent(&self) -> Extent {
        self.extent
    }
}

/// Posteriors of all arcs.
///
/// # Equation
///
/// ```text
/// γ(arc m → n) = exp(α(m) + ln w(arc) + β(n) − α(T, U))
/// ```
///
/// This is also the gradient of the log total with respect to `ln w(arc)`.
///
/// # Proved by
///
/// `transducer_every_label_is_emitted_once`, `transducer_every_frame_is_consumed_once`,
/// `transducer_every_antidiagonal_is_crossed_once`, `transducer_gradient_equals_posterior`.
pub fn posteriors<F: Float, T: Topology>(
    topology: T,
    extent: Extent,
    log_weight: impl Fn(Arc) -> F,
) -> Posteriors<F> {
    let alpha = forward(topology, extent, |arc| Log(log_weight(arc)));
    let beta = backward(topology, extent, |arc| Log(log_weight(arc)));
    posteriors_from(topology, &alpha, &beta, log_weight)
}

/// [`posteriors`] of two tables that are already there.
///
/// `alpha` and `beta` must come from [`forward`] and [`backward`] with the same topology, extent and weights.
pub fn posteriors_from<F: Float, T: Topology>(
    topology: T,
    alpha: &Table<Log<F>>,
    beta: &Table<Log<F>>,
    log_weight: impl Fn(Arc) -> F,
) -> Posteriors<F> {
    let extent = alpha.extent();
    let log_total = alpha.at(extent.frames, extent.labels).0;
    let mut values = vec![F::ZERO; 2 * extent.frames * (extent.labels + 1)];
    // Without a path there is nothing to normalise by, and −∞ − −∞ would be NaN.
    if log_total == F::NEG_INFINITY {
        return Posteriors {
            extent,
            log_total,
            values,
        };
    }
    for t in 0..extent.frames {
        for u in 0..=extent.labels {
            for (arc, (to_t, to_u)) in extent.arcs_from(topology, t, u) {
                let through = alpha.at(t, u).0 + beta.at(to_t, to_u).0;
                values[2 * (t * (extent.labels + 1) + u) + arc.step as usize] =
                    (through + log_weight(arc) - log_total).exp();
            }
        }
    }
    Posteriors {
        extent,
        log_total,
        values,
    }
}
