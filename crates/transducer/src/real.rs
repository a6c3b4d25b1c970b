//! The two float types: f32 to train, f64 to prove.

use candle_core::WithDType;

/// What the kernels need of a number. The f32 functions are branch-free polynomials that the compiler vectorises inside
/// a [`pulp`] dispatch; they use no fused multiply-add, so that every machine computes the same bits. The f64 functions
/// are the standard library's.
pub(crate) trait Real: WithDType + Default + std::ops::Neg<Output = Self> + 'static {
    const NEG_INFINITY: Self;
    /// The distance from 1 to the next number.
    const EPSILON: f64;
    /// `e^x` for `x ≤ 0`, the only side the kernels use. In f32 within 2 ulp, and 0 below −87.
    fn exp(self) -> Self;
    /// Hyperbolic tangent; in f32 within 8 ulp, or 5e-7.
    fn tanh(self) -> Self;
}

impl Real for f64 {
    const NEG_INFINITY: Self = f64::NEG_INFINITY;
    const EPSILON: f64 = f64::EPSILON;
    #[inline(always)]
    fn exp(self) -> Self {
        f64::exp(self)
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        f64::tanh(self)
    }
}

impl Real for f32 {
    const NEG_INFINITY: Self = f32::NEG_INFINITY;
    const EPSILON: f64 = f32::EPSILON as f64;

    #[inline(always)]
    fn exp(self) -> Self {
        // e^x = 2^n e^r with n = round(x / ln 2). Adding 1.5 · 2^23 leaves n in the low bits of the mantissa. ln 2 is
        // split in two (Cody and Waite): n · 0.693359375 is exact for |n| < 2^15. The polynomial is Cephes' expf.
        const MAGIC: f32 = 12_582_912.0;
        const LOWEST: f32 = -87.0;
        let flushed = self < LOWEST;
        // A comparison, not `max`: NaN stays NaN.
        let x = if flushed { LOWEST } else { self };
        let shifted = x * std::f32::consts::LOG2_E + MAGIC;
        let n = shifted - MAGIC;
        let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
        let mut p = 1.987_569_2e-4;
        p = p * r + 1.398_2e-3;
        p = p * r + 8.333_452e-3;
        p = p * r + 4.166_579_6e-2;
        p = p * r + 1.666_666_5e-1;
        p = p * r + 0.5;
        p = p * (r * r) + r + 1.0;
        let exponent = (shifted.to_bits() as i32)
            .wrapping_sub(MAGIC.to_bits() as i32)
            .wrapping_add(127);
        let value = p * f32::from_bits((exponent << 23) as u32);
        if flushed { 0.0 } else { value }
    }

    #[inline(always)]
    fn tanh(self) -> Self {
        // Odd rational approximation of degree 13 over 6; beyond the clamp tanh is 1 but for the last bit.
        const LIMIT: f32 = 7.905_311;
        let x = if self > LIMIT { LIMIT } else { self };
        let x = if x < -LIMIT { -LIMIT } else { x };
        let x2 = x * x;
        let mut p = -2.760_768_5e-16;
        p = p * x2 + 2.000_188e-13;
        p = p * x2 - 8.604_672e-11;
        p = p * x2 + 5.122_297e-8;
        p = p * x2 + 1.485_722_4e-5;
        p = p * x2 + 6.372_619e-4;
        p = p * x2 + 4.893_525e-3;
        let mut q = 1.198_258_4e-6;
        q = q * x2 + 1.185_347e-4;
        q = q * x2 + 2.268_434_6e-3;
        q = q * x2 + 4.893_525e-3;
        x * p / q
    }
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
        let worst = (0..870_000)
            .map(|i| -(i as f32) * 1e-4)
            .map(|x| ulps(Real::exp(x), f64::from(x).exp()))
            .fold(0.0, f64::max);
        assert!(worst <= 2.0, "{worst} ulp");
        assert_eq!(Real::exp(0f32), 1.0);
        assert_eq!(Real::exp(-88f32), 0.0);
        assert_eq!(Real::exp(f32::NEG_INFINITY), 0.0);
        assert!(Real::exp(f32::NAN).is_nan());
    }

    #[test]
    fn tanh_is_within_eight_ulp() {
        let grid = (-1_000_000..=1_000_000).map(|i| i as f32 * 1e-5);
        let tiny = (1..2000).map(|i| i as f32 * 1e-9);
        let worst = grid
            .chain(tiny)
            .map(|x| ulps(Real::tanh(x), f64::from(x).tanh()))
            .fold(0.0, f64::max);
        assert!(worst <= 8.0, "{worst} ulp");
        assert_eq!(Real::tanh(0f32), 0.0);
        for far in [8.0, 100.0, 1e30, f32::INFINITY] {
            let (up, down) = (Real::tanh(far), Real::tanh(-far));
            assert!(up <= 1.0 && 1.0 - up < 1e-7 && down == -up, "{up} at {far}");
        }
        assert!(Real::tanh(f32::NAN).is_nan());
    }
}
