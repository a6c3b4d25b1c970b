//! The natural logarithm, written so that loops over it vectorise.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2};

/// `ln x` of a normal positive number, rounded from a value good to 1e-10: within 1 ulp. There is no branch and no fused
/// operation, so that every machine gives the same bits.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    // x = 2^n m with m in √½..√2: subtracting the bits of √½ counts n from there.
    const ROOT: i32 = (FRAC_1_SQRT_2 as f32).to_bits() as i32;
    const MANTISSA: i32 = (1 << 23) - 1;
    let shifted = x.to_bits() as i32 - ROOT;
    let n = f64::from(shifted >> 23);
    let m = f64::from(f32::from_bits(((shifted & MANTISSA) + ROOT) as u32));
    // ln m = 2 atanh(s) = 2 s (1 + s²/3 + s⁴/5 + …) with |s| < 0.172.
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = 1.0 + z * (1.0 / 3.0 + z * (0.2 + z * (1.0 / 7.0 + z * (1.0 / 9.0 + z * (1.0 / 11.0)))));
    (n * LN_2 + 2.0 * s * series) as f32
}

#[cfg(test)]
mod tests {
    use super::ln;

    #[test]
    fn ln_is_within_one_ulp() {
        // Every binade of the normal numbers, and closely around 1, where the value is small.
        let everywhere = (0x0080_0000..0x7f80_0000u32).step_by(997).map(f32::from_bits);
        let near_one = (0x3f70_0000..0x3f90_0000u32).step_by(7).map(f32::from_bits);
        for x in everywhere.chain(near_one) {
            let exact = f64::from(x).ln();
            let ulp = f64::from((exact.abs() as f32).next_up()) - f64::from(exact.abs() as f32);
            assert!(
                (f64::from(ln(x)) - exact).abs() <= ulp,
                "ln {x}: {} for {exact}",
                ln(x)
            );
        }
        assert_eq!(ln(1.0), 0.0);
    }
}
