//! Positive numbers that neither overflow nor underflow, written so that loops over them vectorise.

use std::f64::consts::LN_2;

/// `mantissa · 2^exponent`, with a mantissa not far from 1 and a whole exponent that may be as large as an f64 can be: sums and
/// products without a logarithm. Beyond 2^53, where not every whole number is an f64, it is as exact as a logarithm.
///
/// What is no number, or too large for its exponent, has the mantissa NaN, which no sum or product loses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scaled {
    pub(crate) mantissa: f64,
    pub(crate) exponent: f64,
}

/// The exponents of an f64 are counted from here.
const BIAS: f64 = 1023.0;
/// Bits of its fraction.
const FRACTION: u32 = 52;
/// 2^52: numbers that it is added to have their units in the lowest bit.
const UNITS: f64 = (1u64 << FRACTION) as f64;

impl Scaled {
    pub(crate) const ZERO: Self = Self {
        mantissa: 0.0,
        exponent: f64::MIN,
    };
    pub(crate) const ONE: Self = Self {
        mantissa: 1.0,
        exponent: 0.0,
    };

    /// `2^{a b}`; of −∞ by an exponent of −∞, which [`Self::times`] takes for zero, and of +∞ no number.
    #[inline(always)]
    pub(crate) fn power(a: f64, b: f64, fused: bool) -> Self {
        let step = |a: f64, b: f64, c: f64| if fused { a.mul_add(b, c) } else { a * b + c };
        let exponent = (a * b).round_ties_even();
        // With what rounding took from the product, if the machine can tell. Of the largest that is no part of the fraction.
        let rest = step(a, b, -exponent);
        let rest = if rest > 1.0 { 1.0 } else { rest };
        let rest = if rest < -1.0 { -1.0 } else { rest };
        // 2^rest as a polynomial that interpolates at Chebyshev's nodes of −½..½, to 5e-18.
        let mut p = 4.455_817_908_336_064_5e-10;
        p = step(p, rest, 7.074_194_297_288_521e-9);
        p = step(p, rest, 1.017_805_708_773_394_1e-7);
        p = step(p, rest, 1.321_543_253_591_237_5e-6);
        p = step(p, rest, 1.525_273_384_155_677_3e-5);
        p = step(p, rest, 1.540_353_046_372_435_3e-4);
        p = step(p, rest, 1.333_355_814_640_647e-3);
        p = step(p, rest, 9.618_129_107_587_256e-3);
        p = step(p, rest, 5.550_410_866_482_162_5e-2);
        p = step(p, rest, 0.240_226_506_959_101_58);
        p = step(p, rest, LN_2);
        p = step(p, rest, 1.0);
        Self {
            mantissa: p,
            exponent,
        }
    }

    /// The product; of zero zero, even with what is no number.
    #[inline(always)]
    pub(crate) fn times(self, weight: Self, fused: bool) -> Self {
        let step = |a: f64, b: f64, c: f64| if fused { a.mul_add(b, c) } else { a * b + c };
        let exponent = self.exponent + weight.exponent;
        if self.mantissa == 0.0 || exponent == f64::NEG_INFINITY {
            return Self::ZERO;
        }
        Self {
            // What the exponent adds is zero, but no number if the exponent is too large to be one.
            mantissa: step(0.0, exponent, self.mantissa * weight.mantissa),
            exponent,
        }
    }

    /// The sum, whose mantissa [`Self::normal`] brings back, and in `shares` the share of each term in it. Of nothing but zeros
    /// the sum is zero and the shares are no numbers.
    #[inline(always)]
    pub(crate) fn sum(terms: &[Self], shares: &mut [f64]) -> Self {
        let mut top = f64::MIN;
        for term in terms {
            top = if term.exponent > top { term.exponent } else { top };
        }
        let mut sum = 0.0;
        for (part, term) in shares.iter_mut().zip(terms) {
            *part = term.mantissa * below_one(term.exponent - top);
            sum += *part;
        }
        let inverse = 1.0 / sum;
        for part in shares {
            *part *= inverse;
        }
        Self {
            mantissa: sum,
            exponent: top,
        }
    }

    /// The same number with a mantissa in 1..2.
    #[inline(always)]
    pub(crate) fn normal(self) -> Self {
        let bits = self.mantissa.to_bits() >> FRACTION;
        let exponent = self.exponent + (f64::from_bits(bits | UNITS.to_bits()) - (UNITS + BIAS));
        let scale = f64::from_bits((2 * BIAS as u64).wrapping_sub(bits) << FRACTION);
        Self {
            mantissa: self.mantissa * scale,
            exponent,
        }
    }

    /// The logarithm to base `2^rate`: −∞ of zero.
    pub(crate) fn log(self, rate: f64) -> f64 {
        (self.exponent + self.mantissa.log2()) / rate
    }
}

/// `2^d` for whole `d ≤ 0`, or 0 if that is too little to count: from −1023 on.
#[inline(always)]
fn below_one(d: f64) -> f64 {
    let d = if d > -BIAS { d } else { -BIAS };
    // The sum has d + 1023 in its lowest bits, which the shift makes the exponent; that of zero is 0.
    f64::from_bits((d + (1.5 * UNITS + BIAS)).to_bits() << FRACTION)
}

#[cfg(test)]
mod tests {
    use super::Scaled;

    #[test]
    fn powers_of_two_are_within_two_ulp() {
        for fused in [false, true] {
            for i in -200_000..200_000 {
                let x = f64::from(i) * 4.937e-3;
                let power = Scaled::power(x, 1.0, fused);
                let expected = (x - power.exponent).exp2();
                assert!(
                    (power.mantissa - expected).abs() <= 2.0 * f64::EPSILON * expected,
                    "2^{x}"
                );
                assert!((0.7..1.42).contains(&power.mantissa));
            }
            assert_eq!(Scaled::power(0.0, 7.0, fused).log(1.0), 0.0);
            assert_eq!(Scaled::power(-1e300, 2.0, fused).log(2.0), -1e300);
            let none = Scaled::ONE.times(Scaled::power(f64::NEG_INFINITY, 1.0, fused), fused);
            assert_eq!(none.mantissa, 0.0);
            for none in [f64::NAN, f64::INFINITY] {
                let none = Scaled::power(none, 1.0, fused);
                assert!(Scaled::ONE.times(none, fused).mantissa.is_nan());
            }
        }
    }

    #[test]
    fn sums_keep_what_counts_and_show_what_is_no_number() {
        let power = |x| Scaled::power(x, 1.0, false);
        let sum = |terms: &[Scaled]| {
            let mut shares = [0.0; 3];
            let sum = Scaled::sum(terms, &mut shares[..terms.len()]).normal();
            (sum, shares)
        };
        for offset in [0.0, -1e6, 1e9, -1e15] {
            let (total, shares) = sum(&[power(offset), power(offset + 1.0), power(offset + 3.0)]);
            assert_eq!(total.log(1.0), offset + 11f64.log2());
            assert!(
                shares
                    .iter()
                    .zip([1.0, 2.0, 8.0])
                    .all(|(share, part)| (share - part / 11.0).abs() < 1e-16)
            );
        }
        // What is too little, and zero.
        assert_eq!(sum(&[power(0.0), power(-2000.0)]).1[..2], [1.0, 0.0]);
        assert_eq!(sum(&[Scaled::ZERO, power(-1e300)]).0.log(1.0), -1e300);
        assert_eq!(sum(&[Scaled::ZERO; 3]).0.log(1.0), f64::NEG_INFINITY);
        // Zero times anything is zero; anything else carries on what is no number, or too large.
        let none = power(f64::NAN);
        assert_eq!(Scaled::ZERO.times(none, false).mantissa, 0.0);
        assert!(
            sum(&[power(0.0), Scaled::ONE.times(none, false)])
                .0
                .mantissa
                .is_nan()
        );
        let large = power(1e308).times(power(1e308), false);
        assert!(sum(&[Scaled::ONE, large]).0.mantissa.is_nan());
    }
}
