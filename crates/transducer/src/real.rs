//! The two float types: f32 to train, f64 to prove.

use candle_core::WithDType;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// f32 or f64: what logits may be made of. Sealed, as the proofs were made for these two.
///
/// What the kernels need of a number. The f32 functions are branch-free polynomials that the compiler vectorises inside
/// a [`pulp`] dispatch; `fused` says whether that has fused multiply-adds, which elsewhere would be library calls. The f64
/// functions are the standard library's.
pub trait Real: WithDType + Default + std::ops::Neg<Output = Self> + sealed::Sealed + 'static {
    /// Below every number.
    const NEG_INFINITY: Self;
    /// The distance from 1 to the next number.
    const EPSILON: f64;
    /// `e^x` for `x ≤ 0`, the only side the kernels use. In f32 within 2 ulp, and 0 below −87.
    fn exp(self, fused: bool) -> Self;
    /// Hyperbolic tangent; in f32 within 8 ulp, or 5e-7.
    fn tanh(self, fused: bool) -> Self;
}

impl Real for f64 {
    const NEG_INFINITY: Self = f64::NEG_INFINITY;
    const EPSILON: f64 = f64::EPSILON;
    #[inline(always)]
    fn exp(self, _fused: bool) -> Self {
        f64::exp(self)
    }
    #[inline(always)]
    fn tanh(self, _fused: bool) -> Self {
        f64::tanh(self)
    }
}

impl Real for f32 {
    const NEG_INFINITY: Self = f32::NEG_INFINITY;
    const EPSILON: f64 = f32::EPSILON as f64;

    #[inline(always)]
    fn exp(self, fused: bool) -> Self {
        // e^x = 2^n e^r with n = round(x / ln 2). Adding 1.5 · 2^23 leaves n in the low bits of the mantissa. ln 2 is
        // split in two (Cody and Waite): n · 0.693359375 is exact for |n| < 2^15. The polynomial is Cephes' expf.
        const MAGIC: f32 = 12_582_912.0;
        const LOWEST: f32 = -87.0;
        let flushed = self < LOWEST;
        // A comparison, not `max`: NaN stays NaN.
        let x = if flushed { LOWEST } else { self };
        let step = |a, b, c| mul_add(a, b, c, fused);
        let shifted = step(x, std::f32::consts::LOG2_E, MAGIC);
        let n = shifted - MAGIC;
        let r = step(n, 2.121_944_4e-4, step(n, -0.693_359_4, x));
        let mut p = 1.987_569_2e-4;
        p = step(p, r, 1.398_2e-3);
        p = step(p, r, 8.333_452e-3);
        p = step(p, r, 4.166_579_6e-2);
        p = step(p, r, 1.666_666_5e-1);
        p = step(p, r, 0.5);
        p = step(p, r * r, r) + 1.0;
        let exponent = (shifted.to_bits() as i32)
            .wrapping_sub(MAGIC.to_bits() as i32)
            .wrapping_add(127);
        let value = p * f32::from_bits((exponent << 23) as u32);
        if flushed { 0.0 } else { value }
    }

    #[inline(always)]
    fn tanh(self, fused: bool) -> Self {
        // Odd rational approximation of degree 13 over 6; beyond the clamp tanh is 1 but for the last bit.
        const LIMIT: f32 = 7.905_311;
        let x = if self > LIMIT { LIMIT } else { self };
        let x = if x < -LIMIT { -LIMIT } else { x };
        let x2 = x * x;
        let step = |a, b, c| mul_add(a, b, c, fused);
        let mut p = -2.760_768_5e-16;
        p = step(p, x2, 2.000_188e-13);
        p = step(p, x2, -8.604_672e-11);
        p = step(p, x2, 5.122_297e-8);
        p = step(p, x2, 1.485_722_4e-5);
        p = step(p, x2, 6.372_619e-4);
        p = step(p, x2, 4.893_525e-3);
        let mut q = 1.198_258_4e-6;
        q = step(q, x2, 1.185_347e-4);
        q = step(q, x2, 2.268_434_6e-3);
        q = step(q, x2, 4.893_525e-3);
        x * p / q
    }
}

/// `a b + c`, rounded once if the processor does that.
#[inline(always)]
fn mul_add(a: f32, b: f32, c: f32, fused: bool) -> f32 {
    if fused { a.mul_add(b, c) } else { a * b + c }
}

#[cfg(test)]
mod tests {
    use super::Real;

    /// Distance in units of the last place of the f32 nearest the true value.
    fn ulps(got: f32, exact: f64) -> f64 {
        let near = exact as f32;
        let ulp = f64::from(f32::from_bits(near.abs().to_bits() + 1)) - f64::from(near.abs());
        (f64::from(got) - exact).abs() / ulp
    }

    #[test]
    fn exp_is_within_two_ulp() {
        for fused in [false, true] {
            let worst = (0..870_000)
                .map(|i| -(i as f32) * 1e-4)
                .map(|x| ulps(Real::exp(x, fused), f64::from(x).exp()))
                .fold(0.0, f64::max);
            assert!(worst <= 2.0, "{worst} ulp");
            assert_eq!(Real::exp(0f32, fused), 1.0);
            assert_eq!(Real::exp(-88f32, fused), 0.0);
            assert_eq!(Real::exp(f32::NEG_INFINITY, fused), 0.0);
            assert!(Real::exp(f32::NAN, fused).is_nan());
        }
    }

    #[test]
    fn tanh_is_within_eight_ulp() {
        for fused in [false, true] {
            let grid = (-1_000_000..=1_000_000).map(|i| i as f32 * 1e-5);
            let tiny = (1..2000).map(|i| i as f32 * 1e-9);
            let worst = grid
                .chain(tiny)
                .map(|x| ulps(Real::tanh(x, fused), f64::from(x).tanh()))
                .fold(0.0, f64::max);
            assert!(worst <= 8.0, "{worst} ulp");
            assert_eq!(Real::tanh(0f32, fused), 0.0);
            for far in [8.0, 100.0, 1e30, f32::INFINITY] {
                let (up, down) = (Real::tanh(far, fused), Real::tanh(-far, fused));
                assert!(up <= 1.0 && 1.0 - up < 2e-7 && down == -up, "{up} at {far}");
            }
            assert!(Real::tanh(f32::NAN, fused).is_nan());
        }
    }
}
