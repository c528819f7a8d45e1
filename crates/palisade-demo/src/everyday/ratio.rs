//! Exact fractions of 128-bit whole numbers: the calculator's numbers.
//!
//! Every operation either gives the exact answer or says that it does not fit; nothing is ever rounded here.

use crate::decimal::Decimal;

/// `top / bottom` in lowest terms, `bottom` above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio {
    top: i128,
    bottom: i128,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    DivisionByZero,
    Overflow,
    ExponentNotWhole,
    ExponentTooLarge,
}

/// A ratio in decimal text, and whether that text is the whole truth.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) exact: bool,
}

impl Ratio {
    const ONE: Self = Self { top: 1, bottom: 1 };

    fn new(top: i128, bottom: i128) -> Result<Self, Fault> {
        if bottom == 0 {
            return Err(Fault::DivisionByZero);
        }
        let common = i128::try_from(common_divisor(top.unsigned_abs(), bottom.unsigned_abs()));
        let common = common.map_err(|_| Fault::Overflow)? * bottom.signum();
        let (top, bottom) = (top.checked_div(common), bottom.checked_div(common));
        let (top, bottom) = (top.ok_or(Fault::Overflow)?, bottom.ok_or(Fault::Overflow)?);
        if top == i128::MIN || bottom > LARGEST_BOTTOM {
            return Err(Fault::Overflow);
        }
        Ok(Self { top, bottom })
    }

    pub(super) fn from_decimal(decimal: Decimal) -> Result<Self, Fault> {
        let (units, places) = decimal.parts();
        Self::new(units, 10_i128.checked_pow(places).ok_or(Fault::Overflow)?)
    }

    pub(super) fn negated(self) -> Self {
        // Cannot overflow: `new` keeps the one number without a counterpart out.
        Self { top: self.top.wrapping_neg(), bottom: self.bottom }
    }

    pub(super) fn plus(self, other: Self) -> Result<Self, Fault> {
        let common = i128::try_from(common_divisor(self.bottom.unsigned_abs(), other.bottom.unsigned_abs()))
            .map_err(|_| Fault::Overflow)?;
        let stretch = other.bottom / common;
        let left = self.top.checked_mul(stretch).ok_or(Fault::Overflow)?;
        let right = other.top.checked_mul(self.bottom / common).ok_or(Fault::Overflow)?;
        Self::new(
            left.checked_add(right).ok_or(Fault::Overflow)?,
            self.bottom.checked_mul(stretch).ok_or(Fault::Overflow)?,
        )
    }

    pub(super) fn minus(self, other: Self) -> Result<Self, Fault> {
        self.plus(other.negated())
    }

    pub(super) fn times(self, other: Self) -> Result<Self, Fault> {
        // Shortened crosswise first, so that only answers that truly do not fit overflow.
        let (left, right) = (Self::new(self.top, other.bottom)?, Self::new(other.top, self.bottom)?);
        Self::new(
            left.top.checked_mul(right.top).ok_or(Fault::Overflow)?,
            left.bottom.checked_mul(right.bottom).ok_or(Fault::Overflow)?,
        )
    }

    pub(super) fn over(self, other: Self) -> Result<Self, Fault> {
        self.times(Self::new(other.bottom, other.top)?)
    }

    /// What is left after taking `other` away as often as it fits; has the sign of `self`.
    pub(super) fn remainder(self, other: Self) -> Result<Self, Fault> {
        let fits = self.over(other)?;
        self.minus(other.times(Self { top: fits.top / fits.bottom, bottom: 1 })?)
    }

    pub(super) fn power(self, exponent: Self) -> Result<Self, Fault> {
        if exponent.bottom != 1 {
            return Err(Fault::ExponentNotWhole);
        }
        if exponent.top.unsigned_abs() > LARGEST_EXPONENT {
            return Err(Fault::ExponentTooLarge);
        }
        let base = if exponent.top < 0 { Self::ONE.over(self)? } else { self };
        // An answer that fits has few factors unless the base is 0, 1 or -1, and those never grow.
        (0..exponent.top.unsigned_abs()).try_fold(Self::ONE, |product, _| product.times(base))
    }

    /// The ratio as a fraction, `7/3`; `None` for whole numbers.
    pub(super) fn fraction(self) -> Option<String> {
        (self.bottom != 1).then(|| format!("{}/{}", self.top, self.bottom))
    }

    /// The ratio in decimal: in full when it ends within 36 places, else rounded to the nearest at 20.
    pub(super) fn written(self) -> Written {
        let (top, bottom) = (self.top.unsigned_abs(), self.bottom.unsigned_abs());
        let sign = if self.top < 0 { "-" } else { "" };
        let (whole, rest) = (top / bottom, top % bottom);
        let (digits, left) = long_division(rest, bottom, 36);
        if left == 0 {
            let text = if digits.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{digits}") };
            return Written { text, exact: true };
        }
        let (digits, left) = long_division(rest, bottom, 20);
        let mut fraction: u128 = digits.parse().unwrap_or_default();
        fraction += u128::from(left * 2 >= bottom);
        // 0.999… rounds into the next whole number.
        let (whole, fraction) = if fraction == 10_u128.pow(20) { (whole + 1, 0) } else { (whole, fraction) };
        let text = format!("{sign}{whole}.{fraction:020}");
        Written { text: text.trim_end_matches('0').trim_end_matches('.').to_owned(), exact: false }
    }
}

fn common_divisor(mut left: u128, mut right: u128) -> u128 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

/// The digits of `rest / bottom` after the point, at most `places` of them, and what is left over.
fn long_division(mut rest: u128, bottom: u128, places: usize) -> (String, u128) {
    let mut digits = String::new();
    while rest != 0 && digits.len() < places {
        rest *= 10;
        digits.push_str(&(rest / bottom).to_string());
        rest %= bottom;
    }
    (digits, rest)
}

/// Leaves room to write a digit: ten times a remainder must fit.
const LARGEST_BOTTOM: i128 = 10_i128.pow(37);
const LARGEST_EXPONENT: u128 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(text: &str) -> Ratio {
        Ratio::from_decimal(Decimal::parse(text).unwrap()).unwrap()
    }

    /// K1: decimals add up as on paper.
    #[test]
    fn tenths_are_exact() {
        assert_eq!(ratio("0.1").plus(ratio("0.2")).unwrap(), ratio("0.3"));
        assert_eq!(ratio("0.3").minus(ratio("0.1")).unwrap(), ratio("0.2"));
    }

    /// K1: an endless decimal is rounded to nearest and says so; a fraction that ends is written in full.
    #[test]
    fn endless_decimals_are_marked() {
        let third = ratio("1").over(ratio("3")).unwrap();
        assert_eq!(third.written(), Written { text: "0.33333333333333333333".into(), exact: false });
        let two_thirds = ratio("-2").over(ratio("3")).unwrap();
        assert_eq!(two_thirds.written(), Written { text: "-0.66666666666666666667".into(), exact: false });
        let nearly = ratio("1").minus(ratio("3").over(ratio("10000000000000000000000007")).unwrap()).unwrap();
        assert_eq!(nearly.written(), Written { text: "1".into(), exact: false });
        let eighth = ratio("1").over(ratio("8")).unwrap();
        assert_eq!(eighth.written(), Written { text: "0.125".into(), exact: true });
        assert_eq!(third.fraction().unwrap(), "1/3");
        assert_eq!(third.times(ratio("3")).unwrap(), ratio("1"));
    }

    /// K1: what does not fit is refused, and 0, 1 and -1 may be raised to any allowed power.
    #[test]
    fn overflow_is_refused() {
        assert_eq!(ratio("10").power(ratio("39")), Err(Fault::Overflow));
        assert_eq!(ratio("10").power(ratio("-38")), Err(Fault::Overflow));
        assert_eq!(ratio("-1").power(ratio("999")), Ok(ratio("-1")));
        assert_eq!(ratio("0").power(ratio("-1")), Err(Fault::DivisionByZero));
        assert_eq!(ratio("2").power(ratio("0.5")), Err(Fault::ExponentNotWhole));
        assert_eq!(ratio("1").power(ratio("1001")), Err(Fault::ExponentTooLarge));
        let largest = ratio("99999999999999999999999999999999999999");
        assert_eq!(largest.times(ratio("2")), Err(Fault::Overflow));
        assert_eq!(largest.negated().minus(largest), Err(Fault::Overflow));
    }

    /// K1: the remainder has the sign of what was divided.
    #[test]
    fn remainders() {
        assert_eq!(ratio("7").remainder(ratio("3")), Ok(ratio("1")));
        assert_eq!(ratio("-7").remainder(ratio("3")), Ok(ratio("-1")));
        assert_eq!(ratio("5.5").remainder(ratio("2")), Ok(ratio("1.5")));
        assert_eq!(ratio("5").remainder(ratio("0")), Err(Fault::DivisionByZero));
    }
}
