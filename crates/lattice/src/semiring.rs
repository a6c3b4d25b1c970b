//! Semirings: what "add alternatives" and "multiply along a path" mean.

use std::fmt::Debug;

use crate::Float;

/// A weight that can be combined along a path (`times`) and across alternatives (`plus`).
///
/// The recursions are written once against this trait; the value's type chooses what they compute. `plus` must be
/// commutative and associative with neutral element `ZERO`, `times` associative with neutral element `ONE`, `times`
/// must distribute over `plus`, and `ZERO` must annihilate. Floating-point instances obey this up to rounding.
pub trait Semiring: Copy + Debug {
    /// The weight of having no path at all.
    const ZERO: Self;
    /// The weight of the empty path.
    const ONE: Self;
    /// Combines the weights of two alternatives.
    fn plus(self, rhs: Self) -> Self;
    /// Combines the weights of two consecutive pieces of a path, in this order.
    fn times(self, rhs: Self) -> Self;
}

/// Number of paths. Saturates at `u128::MAX` instead of wrapping.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(pub u128);

impl Semiring for Count {
    const ZERO: Self = Count(0);
    const ONE: Self = Count(1);
    fn plus(self, rhs: Self) -> Self {
        Count(self.0.saturating_add(rhs.0))
    }
    fn times(self, rhs: Self) -> Self {
        Count(self.0.saturating_mul(rhs.0))
    }
}

/// Natural logarithm of a sum of products: `plus` is log-add-exp, `times` is `+`.
#[derive(Copy, Clone, Debug, PartialEq, PartialOrd)]
pub struct Log<F>(pub F);

impl<F: Float> Semiring for Log<F> {
    const ZERO: Self = Log(F::NEG_INFINITY);
    const ONE: Self = Log(F::ZERO);
    #[inline]
    fn plus(self, rhs: Self) -> Self {
        // A NaN on either side ends in `high` or `low`, and comes out again: it is never hidden.
        let (high, low) = if self.0 >= rhs.0 {
            (self.0, rhs.0)
        } else {
            (rhs.0, self.0)
        };
        if low == F::NEG_INFINITY {
            return Log(high);
        }
        Log(high + (low - high).exp().ln_1p())
    }
    #[inline]
    fn times(self, rhs: Self) -> Self {
        Log(self.0 + rhs.0)
    }
}

/// The largest score of any path: `plus` is `max`, `times` is `+`.
#[derive(Copy, Clone, Debug, PartialEq, PartialOrd)]
pub struct MaxTropical<F>(pub F);

impl<F: Float> Semiring for MaxTropical<F> {
    const ZERO: Self = MaxTropical(F::NEG_INFINITY);
    const ONE: Self = MaxTropical(F::ZERO);
    #[inline]
    fn plus(self, rhs: Self) -> Self {
        match (self.0 >= rhs.0, rhs.0 > self.0) {
            (true, _) => self,
            (_, true) => rhs,
            // Not comparable: one of them is NaN, and so is their sum.
            _ => MaxTropical(self.0 + rhs.0),
        }
    }
    #[inline]
    fn times(self, rhs: Self) -> Self {
        MaxTropical(self.0 + rhs.0)
    }
}

/// The smallest cost of any path: `plus` is `min`, `times` is `+`.
#[derive(Copy, Clone, Debug, PartialEq, PartialOrd)]
pub struct MinTropical<F>(pub F);

impl<F: Float> Semiring for MinTropical<F> {
    const ZERO: Self = MinTropical(F::INFINITY);
    const ONE: Self = MinTropical(F::ZERO);
    #[inline]
    fn plus(self, rhs: Self) -> Self {
        match (self.0 <= rhs.0, rhs.0 < self.0) {
            (true, _) => self,
            (_, true) => rhs,
            _ => MinTropical(self.0 + rhs.0),
        }
    }
    #[inline]
    fn times(self, rhs: Self) -> Self {
        MinTropical(self.0 + rhs.0)
    }
}

/// Probability together with the mean of an additive cost: Eisner's expectation semiring as `(ln p, E cost)`.
///
/// # Equation
///
/// ```text
/// (p, m) ⊗ (q, n) = (p q,     m + n)
/// (p, m) ⊕ (q, n) = (p + q,   (p m + q n) / (p + q))
/// ```
///
/// The usual form carries `(p, p m)`. Carrying `ln p` and the mean itself never underflows and lets costs be
/// negative. An impossible weight (`ln p = −∞`) has no mean: whatever cost it carried is dropped, so an infinite cost on
/// an impossible arc does no harm.
///
/// # Source
///
/// Eisner 2002, "Parameter estimation for probabilistic finite-state transducers".
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Expectation<F> {
    /// Natural logarithm of the probability.
    pub log_p: F,
    /// Mean cost, given that the event happens.
    pub mean: F,
}

impl<F: Float> Semiring for Expectation<F> {
    const ZERO: Self = Expectation {
        log_p: F::NEG_INFINITY,
        mean: F::ZERO,
    };
    const ONE: Self = Expectation {
        log_p: F::ZERO,
        mean: F::ZERO,
    };
    #[inline]
    fn plus(self, rhs: Self) -> Self {
        let (high, low) = if self.log_p >= rhs.log_p {
            (self, rhs)
        } else {
            (rhs, self)
        };
        if low.log_p == F::NEG_INFINITY {
            return high;
        }
        let ratio = (low.log_p - high.log_p).exp();
        // m + (n − m) r / (1 + r): the two-term weighted mean without forming a sum that could overflow.
        let share = ratio / (F::ONE + ratio);
        Expectation {
            log_p: high.log_p + ratio.ln_1p(),
            mean: high.mean + (low.mean - high.mean) * share,
        }
    }
    #[inline]
    fn times(self, rhs: Self) -> Self {
        let log_p = self.log_p + rhs.log_p;
        if log_p == F::NEG_INFINITY {
            Self::ZERO
        } else {
            Expectation {
                log_p,
                mean: self.mean + rhs.mean,
            }
        }
    }
}

/// Probability together with mean and variance of an additive cost: a second-order expectation semiring as
/// `(ln p, E cost, Var cost)`.
///
/// # Equation
///
/// ```text
/// (p, m, v) ⊗ (q, n, w) = (p q,     m + n,                   v + w)
/// (p, m, v) ⊕ (q, n, w) = (p + q,   (p m + q n) / (p + q),   (p v + q w) / (p + q) + p q (n − m)² / (p + q)²)
/// ```
///
/// Carrying the variance itself instead of the second moment leaves nothing to cancel.
///
/// # Source
///
/// Li and Eisner 2009, "First- and second-order expectation semirings"; here in central moments.
///
/// # Proved by
///
/// `moments_equal_brute_force`.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Moments<F> {
    /// Natural logarithm of the probability.
    pub log_p: F,
    /// Mean cost, given that the event happens.
    pub mean: F,
    /// Variance of the cost, given that the event happens.
    pub variance: F,
}

impl<F: Float> Moments<F> {
    /// A single arc.
    pub fn arc(log_p: F, cost: F) -> Self {
        Self {
            log_p,
            mean: cost,
            variance: F::ZERO,
        }
    }
}

impl<F: Float> Semiring for Moments<F> {
    const ZERO: Self = Moments {
        log_p: F::NEG_INFINITY,
        mean: F::ZERO,
        variance: F::ZERO,
    };
    const ONE: Self = Moments {
        log_p: F::ZERO,
        mean: F::ZERO,
        variance: F::ZERO,
    };
    #[inline]
    fn plus(self, rhs: Self) -> Self {
        let (high, low) = if self.log_p >= rhs.log_p {
            (self, rhs)
        } else {
            (rhs, self)
        };
        if low.log_p == F::NEG_INFINITY {
            return high;
        }
        let ratio = (low.log_p - high.log_p).exp();
        let share = ratio / (F::ONE + ratio);
        let apart = low.mean - high.mean;
        Moments {
            log_p: high.log_p + ratio.ln_1p(),
            mean: high.mean + apart * share,
            variance: high.variance
                + (low.variance - high.variance) * share
                + apart * apart * (share * (F::ONE - share)),
        }
    }
    #[inline]
    fn times(self, rhs: Self) -> Self {
        let log_p = self.log_p + rhs.log_p;
        if log_p == F::NEG_INFINITY {
            Self::ZERO
        } else {
            Moments {
                log_p,
                mean: self.mean + rhs.mean,
                variance: self.variance + rhs.variance,
            }
        }
    }
}
