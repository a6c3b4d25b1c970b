//! Exponential, logarithm and log-add-exp in f64, written so that loops over them vectorise.
//!
//! None has a branch; `fused` says whether this machine has fused multiply-adds, which elsewhere would be library calls.

use std::f64::consts::{LN_2, LOG2_E};

/// `e^x` for `x ≤ 0`; within 2 ulp, and 0 below −708. NaN stays NaN.
#[inline(always)]
pub(crate) fn exp(x: f64, fused: bool) -> f64 {
    let step = |a, b, c| mul_add(a, b, c, fused);
    // e^x = 2^n e^r with n = round(x / ln 2). Adding 1.5 · 2^52 leaves n in the low bits of the mantissa. ln 2 is split in
    // two (Cody and Waite): the upper part has 32 bits, so that n times it is exact. The rest is Taylor's.
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    const UPPER: f64 = 6.931_471_803_691_238e-1;
    const LOWER: f64 = 1.908_214_929_270_587_7e-10;
    const LOWEST: f64 = -708.0;
    let flushed = x < LOWEST;
    let x = if flushed { LOWEST } else { x };
    let shifted = step(x, LOG2_E, MAGIC);
    let n = shifted - MAGIC;
    let r = step(n, -LOWER, step(n, -UPPER, x));
    let mut p = 1.605_904_383_682_161_3e-10;
    p = step(p, r, 2.087_675_698_786_81e-9);
    p = step(p, r, 2.505_210_838_544_172e-8);
    p = step(p, r, 2.755_731_922_398_589e-7);
    p = step(p, r, 2.755_731_922_398_589_3e-6);
    p = step(p, r, 2.480_158_730_158_73e-5);
    p = step(p, r, 1.984_126_984_126_984e-4);
    p = step(p, r, 1.388_888_888_888_889e-3);
    p = step(p, r, 8.333_333_333_333_333e-3);
    p = step(p, r, 4.166_666_666_666_666_4e-2);
    p = step(p, r, 1.666_666_666_666_666_6e-1);
    p = step(p, r, 0.5);
    p = step(p, r * r, r) + 1.0;
    let exponent = (shifted.to_bits() as i64)
        .wrapping_sub(MAGIC.to_bits() as i64)
        .wrapping_add(1023);
    let value = p * f64::from_bits((exponent << 52) as u64);
    if flushed { 0.0 } else { value }
}

/// `atanh(s)` for `|s| ≤ 1/3`.
#[inline(always)]
fn atanh(s: f64, fused: bool) -> f64 {
    let step = |a, b, c| mul_add(a, b, c, fused);
    let z = s * s;
    // (atanh(s) / s − 1) / s² as a polynomial in s² that interpolates at Chebyshev's nodes, to 1e-17.
    let mut p = 0.078_152_889_004_614_26;
    p = step(p, z, 0.037_460_718_977_753_83);
    p = step(p, z, 0.054_225_891_974_400_07);
    p = step(p, z, 0.058_671_395_306_515_99);
    p = step(p, z, 0.066_675_893_157_246_29);
    p = step(p, z, 0.076_922_719_824_302_75);
    p = step(p, z, 0.090_909_099_489_813_57);
    p = step(p, z, 0.111_111_110_991_183_86);
    p = step(p, z, 0.142_857_142_858_000_5);
    p = step(p, z, 0.199_999_999_999_997_62);
    p = step(p, z, 0.333_333_333_333_333_3);
    step(s, z * p, s)
}

/// `ln x` for normal positive `x`, within 2 ulp or 2e-16 near 1; −∞ at 0, and NaN or ∞ as they come.
#[inline(always)]
pub(crate) fn ln(x: f64, fused: bool) -> f64 {
    // x = 2^n m with m in √½..√2: subtracting the bits of √½ counts n from there.
    const ROOT: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();
    const MANTISSA: u64 = (1 << 52) - 1;
    let shifted = x.to_bits().wrapping_sub(ROOT);
    let n = (shifted as i64) >> 52;
    let m = f64::from_bits((shifted & MANTISSA).wrapping_add(ROOT));
    // ln m = 2 atanh(s) with s = (m − 1) / (m + 1), |s| < 0.172.
    let log = mul_add(n as f64, LN_2, 2.0 * atanh((m - 1.0) / (m + 1.0), fused), fused);
    let log = if x == 0.0 { f64::NEG_INFINITY } else { log };
    if x < f64::INFINITY { log } else { x }
}

/// `a b + c`, rounded once if the processor does that.
#[inline(always)]
fn mul_add(a: f64, b: f64, c: f64, fused: bool) -> f64 {
    if fused { a.mul_add(b, c) } else { a * b + c }
}

/// `ln(e^a + e^b)` and the shares of `e^a` and `e^b` in the sum, each with its full relative precision.
///
/// Of two times −∞ it makes −∞ and halves; NaN comes out as NaN.
#[inline(always)]
pub(crate) fn merge(a: f64, b: f64, fused: bool) -> (f64, f64, f64) {
    let a_wins = a >= b;
    let (high, low) = if a_wins { (a, b) } else { (b, a) };
    // Not two times −∞, whose difference is no number.
    let gap = if low == high { 0.0 } else { low - high };
    let x = exp(gap, fused);
    // One division for both 1 / (1 + x) and 1 / (2 + x).
    let r = 1.0 / ((1.0 + x) * (2.0 + x));
    let major = (2.0 + x) * r;
    let minor = x * major;
    // ln(1 + x) = 2 atanh(s) with s = x / (2 + x) ≤ 1/3.
    let log_1p = 2.0 * atanh(x * ((1.0 + x) * r), fused);
    let sum = high + log_1p;
    if a_wins {
        (sum, major, minor)
    } else {
        (sum, minor, major)
    }
}

#[cfg(test)]
mod tests {
    use super::{exp, ln, merge};

    #[test]
    fn exp_of_f64_is_within_two_ulp() {
        for i in 0..2_000_000u32 {
            let x = -f64::from(i) * 3.53e-4;
            let (got, expected) = (exp(x, i % 2 == 0), x.exp());
            let ulp = f64::from_bits(expected.to_bits() + 1) - expected;
            assert!(
                (got - expected).abs() <= 2.0 * ulp,
                "exp({x}): {got} for {expected}"
            );
        }
        assert_eq!(exp(0.0, true), 1.0);
        assert_eq!(exp(-709.0, true), 0.0);
        assert_eq!(exp(f64::NEG_INFINITY, true), 0.0);
        assert!(exp(f64::NAN, true).is_nan());
    }

    #[test]
    fn ln_equals_the_definition() {
        for i in 1..2_000_000u32 {
            let x = f64::from(i) * 1.37e-3;
            let (got, expected) = (ln(x, i % 2 == 0), x.ln());
            assert!(
                (got - expected).abs() <= 5e-16 * (expected.abs() + 0.4),
                "ln({x}): {got} for {expected}"
            );
        }
        assert_eq!(ln(1.0, true), 0.0);
        assert_eq!(ln(0.0, true), f64::NEG_INFINITY);
        assert_eq!(ln(f64::INFINITY, true), f64::INFINITY);
        assert!(ln(f64::NAN, true).is_nan());
    }

    #[test]
    fn merge_equals_the_definition() {
        let inf = f64::NEG_INFINITY;
        for i in -40_000..40_000 {
            let b = f64::from(i) * 1e-3;
            let (sum, p, q) = merge(0.0, b, i % 2 == 0);
            let high = b.max(0.0);
            let expected = high + (-b.abs()).exp().ln_1p();
            assert!(
                (sum - expected).abs() <= 8e-16 * (1.0 + expected.abs()),
                "{b}: {sum} for {expected}"
            );
            let share = 1.0 / (1.0 + (-b).exp());
            assert!((q - share).abs() <= 2e-15 * share, "{b}: {q} for {share}");
            assert!((p + q - 1.0).abs() <= 4e-16);
        }
        assert_eq!(merge(-3.0, inf, true), (-3.0, 1.0, 0.0));
        assert_eq!(merge(inf, -3.0, true), (-3.0, 0.0, 1.0));
        assert_eq!(merge(inf, inf, true).0, inf);
        for other in [1.0, inf] {
            assert!(merge(f64::NAN, other, true).0.is_nan() && merge(other, f64::NAN, true).0.is_nan());
        }
    }
}
