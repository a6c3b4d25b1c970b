//! The two float types every layer is written for: f32 to train, f64 to prove.

use candle_core::WithDType;

/// A float with the elementary functions the layers need, written so that loops over it vectorise in f32.
pub(crate) trait Real: WithDType + std::ops::Neg<Output = Self> + std::iter::Sum {
    fn of(x: f64) -> Self;
    fn exp(self) -> Self;
    fn sqrt(self) -> Self;
    fn fma(self, a: Self, b: Self) -> Self;
    fn larger(self, other: Self) -> Self;
    const ZERO: Self;
    const ONE: Self;
    const LOWEST: Self;

    /// 1 / (1 + e^−x).
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::ONE / (Self::ONE + (-self).exp())
    }

    /// tanh x = 2 σ(2x) − 1.
    #[inline(always)]
    fn tanh(self) -> Self {
        let s = (self + self).sigmoid();
        s + s - Self::ONE
    }
}

impl Real for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    const LOWEST: f32 = f32::NEG_INFINITY;

    #[inline(always)]
    fn of(x: f64) -> f32 {
        x as f32
    }

    /// Cephes' expf: 2^n · p(r) with n = round(x / ln 2) and |r| ≤ ln 2 / 2. Relative error below 2e-7; the argument is
    /// clamped to the range of normal results. Branch-free, so that loops over it vectorise.
    #[inline(always)]
    fn exp(self) -> f32 {
        const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer in the low bits.
        let x = self.clamp(-87.0, 88.0);
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let exponent = (shifted.to_bits() as i32).wrapping_sub(0x4B40_0000);
        let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
        let p = 1.987_569_1e-4f32;
        let p = p * r + 1.398_2e-3;
        let p = p * r + 8.333_452e-3;
        let p = p * r + 4.166_579_6e-2;
        let p = p * r + 1.666_666_5e-1;
        let p = p * r + 0.5;
        let p = p * (r * r) + r + 1.0;
        p * f32::from_bits(((exponent + 127) << 23) as u32)
    }

    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }

    #[inline(always)]
    fn fma(self, a: f32, b: f32) -> f32 {
        // A fused instruction only where the crate is compiled for one: elsewhere it would be a library call.
        if cfg!(target_feature = "fma") {
            self.mul_add(a, b)
        } else {
            self * a + b
        }
    }

    #[inline(always)]
    fn larger(self, other: f32) -> f32 {
        if self > other { self } else { other }
    }
}

impl Real for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    const LOWEST: f64 = f64::NEG_INFINITY;

    #[inline(always)]
    fn of(x: f64) -> f64 {
        x
    }

    #[inline(always)]
    fn exp(self) -> f64 {
        f64::exp(self)
    }

    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn fma(self, a: f64, b: f64) -> f64 {
        self * a + b
    }

    #[inline(always)]
    fn larger(self, other: f64) -> f64 {
        if self > other { self } else { other }
    }
}

/// Runs a loop compiled for the widest vectors this processor has.
///
/// The closure must be `#[inline(always)]` all the way down for the compiler to vectorise it.
#[inline(always)]
pub(crate) fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// A sum in sixteen lanes, in a fixed order.
#[inline(always)]
pub(crate) fn sum<T: Real>(x: &[T]) -> T {
    let mut lanes = [T::ZERO; 16];
    let chunks = x.chunks_exact(16);
    let rest = chunks.remainder().iter().copied().sum::<T>();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += v;
        }
    }
    lanes.into_iter().sum::<T>() + rest
}

/// A dot product in sixteen lanes, in a fixed order.
#[inline(always)]
pub(crate) fn dot<T: Real>(x: &[T], y: &[T]) -> T {
    let mut lanes = [T::ZERO; 16];
    let (xs, ys) = (x.chunks_exact(16), y.chunks_exact(16));
    let rest = xs
        .remainder()
        .iter()
        .zip(ys.remainder())
        .map(|(&a, &b)| a * b)
        .sum::<T>();
    for (a, b) in xs.zip(ys) {
        for i in 0..16 {
            lanes[i] = a[i].fma(b[i], lanes[i]);
        }
    }
    lanes.into_iter().sum::<T>() + rest
}

/// y ← y + a·x.
#[inline(always)]
pub(crate) fn axpy<T: Real>(a: T, x: &[T], y: &mut [T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = a.fma(x, *y);
    }
}

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn exp_of_f32_is_within_two_parts_in_ten_million() {
        for i in -86_000..88_000 {
            let x = i as f32 * 1e-3;
            let (got, expected) = (f64::from(Real::exp(x)), f64::from(x).exp());
            assert!(
                (got - expected).abs() <= 2.5e-7 * expected,
                "exp({x}): expected {expected}, got {got}"
            );
        }
        assert_eq!(Real::exp(0f32), 1.0);
    }

    #[test]
    fn tanh_of_f32_stays_close_and_saturates() {
        for i in -20_000..20_000 {
            let x = i as f32 * 1e-3;
            assert!((f64::from(Real::tanh(x)) - f64::from(x).tanh()).abs() <= 3e-7);
        }
        assert_eq!(Real::tanh(200f32), 1.0);
        assert_eq!(Real::tanh(-200f32), -1.0);
    }
}
