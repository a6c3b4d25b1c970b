//! The two float types every layer is written for: f32 to train, f64 to prove.

use candle_core::WithDType;
use pulp::{Simd, WithSimd};

/// A float with the elementary functions the layers need, written so that loops over it vectorise in f32.
pub(crate) trait Real: WithDType + std::ops::Neg<Output = Self> + std::iter::Sum {
    fn of(x: f64) -> Self;
    fn exp(self, fused: bool) -> Self;
    fn sqrt(self) -> Self;
    /// `self · a + b`, rounded once if `fused`: elsewhere that would be a library call.
    fn fma(self, a: Self, b: Self, fused: bool) -> Self;
    fn larger(self, other: Self) -> Self;
    const ZERO: Self;
    const ONE: Self;
    const LOWEST: Self;

    /// A register of this type on a processor.
    type Vector<S: Simd>: Copy;
    /// Values in a register.
    fn lanes<S: Simd>() -> usize;
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;
    fn times<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a · b + c.
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// Whole registers of a slice; what is left over is not returned.
    fn as_simd<S: Simd>(x: &[Self]) -> &[Self::Vector<S>];
    fn as_mut_simd<S: Simd>(x: &mut [Self]) -> &mut [Self::Vector<S>];
    /// The values of registers.
    fn from_simd<S: Simd>(x: &[Self::Vector<S>]) -> &[Self];

    /// 1 / (1 + e^−x).
    #[inline(always)]
    fn sigmoid(self, fused: bool) -> Self {
        Self::ONE / (Self::ONE + (-self).exp(fused))
    }

    /// tanh x = 2 σ(2x) − 1.
    #[inline(always)]
    fn tanh(self, fused: bool) -> Self {
        let s = (self + self).sigmoid(fused);
        s + s - Self::ONE
    }
}

macro_rules! registers {
    ($vector:ident, $lanes:ident, $splat:ident, $mul:ident, $mul_add:ident, $as_simd:ident, $as_mut_simd:ident) => {
        type Vector<S: Simd> = S::$vector;

        #[inline(always)]
        fn lanes<S: Simd>() -> usize {
            S::$lanes
        }

        #[inline(always)]
        fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S> {
            simd.$splat(x)
        }

        #[inline(always)]
        fn times<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S> {
            simd.$mul(a, b)
        }

        #[inline(always)]
        fn mul_add<S: Simd>(
            simd: S,
            a: Self::Vector<S>,
            b: Self::Vector<S>,
            c: Self::Vector<S>,
        ) -> Self::Vector<S> {
            simd.$mul_add(a, b, c)
        }

        #[inline(always)]
        fn as_simd<S: Simd>(x: &[Self]) -> &[Self::Vector<S>] {
            S::$as_simd(x).0
        }

        #[inline(always)]
        fn as_mut_simd<S: Simd>(x: &mut [Self]) -> &mut [Self::Vector<S>] {
            S::$as_mut_simd(x).0
        }

        #[inline(always)]
        fn from_simd<S: Simd>(x: &[Self::Vector<S>]) -> &[Self] {
            pulp::bytemuck::cast_slice(x)
        }
    };
}

impl Real for f32 {
    registers!(
        f32s,
        F32_LANES,
        splat_f32s,
        mul_f32s,
        mul_add_f32s,
        as_simd_f32s,
        as_mut_simd_f32s
    );

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
    fn exp(self, fused: bool) -> f32 {
        const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer in the low bits.
        let x = self.clamp(-87.0, 88.0);
        let step = |a: f32, b: f32, c: f32| a.fma(b, c, fused);
        let shifted = step(x, std::f32::consts::LOG2_E, ROUND);
        let n = shifted - ROUND;
        let exponent = (shifted.to_bits() as i32).wrapping_sub(0x4B40_0000);
        let r = step(n, 2.121_944_4e-4, step(n, -0.693_359_4, x));
        let p = 1.987_569_1e-4f32;
        let p = step(p, r, 1.398_2e-3);
        let p = step(p, r, 8.333_452e-3);
        let p = step(p, r, 4.166_579_6e-2);
        let p = step(p, r, 1.666_666_5e-1);
        let p = step(p, r, 0.5);
        let p = step(p, r * r, r) + 1.0;
        p * f32::from_bits(((exponent + 127) << 23) as u32)
    }

    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }

    #[inline(always)]
    fn fma(self, a: f32, b: f32, fused: bool) -> f32 {
        if fused { self.mul_add(a, b) } else { self * a + b }
    }

    #[inline(always)]
    fn larger(self, other: f32) -> f32 {
        if self > other { self } else { other }
    }
}

impl Real for f64 {
    registers!(
        f64s,
        F64_LANES,
        splat_f64s,
        mul_f64s,
        mul_add_f64s,
        as_simd_f64s,
        as_mut_simd_f64s
    );

    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    const LOWEST: f64 = f64::NEG_INFINITY;

    #[inline(always)]
    fn of(x: f64) -> f64 {
        x
    }

    #[inline(always)]
    fn exp(self, _fused: bool) -> f64 {
        f64::exp(self)
    }

    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn fma(self, a: f64, b: f64, _fused: bool) -> f64 {
        self * a + b
    }

    #[inline(always)]
    fn larger(self, other: f64) -> f64 {
        if self > other { self } else { other }
    }
}

/// Runs a loop compiled for the widest vectors this processor has, and tells it whether they have fused multiply-adds.
///
/// The closure must be `#[inline(always)]` all the way down for the compiler to vectorise it.
#[inline(always)]
pub(crate) fn vectorized<R>(f: impl FnOnce(bool) -> R) -> R {
    struct Loop<F>(F);

    impl<R, F: FnOnce(bool) -> R> WithSimd for Loop<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> R {
            (self.0)(!S::IS_SCALAR)
        }
    }

    pulp::Arch::new().dispatch(Loop(f))
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
pub(crate) fn dot<T: Real>(x: &[T], y: &[T], fused: bool) -> T {
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
            lanes[i] = a[i].fma(b[i], lanes[i], fused);
        }
    }
    lanes.into_iter().sum::<T>() + rest
}

/// y ← y + a·x.
#[inline(always)]
pub(crate) fn axpy<T: Real>(a: T, x: &[T], y: &mut [T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn exp_of_f32_is_within_two_parts_in_ten_million() {
        for i in -86_000..88_000 {
            let x = i as f32 * 1e-3;
            let (got, expected) = (f64::from(Real::exp(x, i % 2 == 0)), f64::from(x).exp());
            assert!(
                (got - expected).abs() <= 2.5e-7 * expected,
                "exp({x}): expected {expected}, got {got}"
            );
        }
        assert_eq!(Real::exp(0f32, true), 1.0);
    }

    #[test]
    fn tanh_of_f32_stays_close_and_saturates() {
        for i in -20_000..20_000 {
            let x = i as f32 * 1e-3;
            assert!((f64::from(Real::tanh(x, i % 2 == 0)) - f64::from(x).tanh()).abs() <= 3e-7);
        }
        assert_eq!(Real::tanh(200f32, true), 1.0);
        assert_eq!(Real::tanh(-200f32, true), -1.0);
    }
}
