//! A length of time in 16 bits. Knows no task and no clock.

/// A length of time, or none. Exact below 2,048 µs; above that cut by less than one part in 2,048;
/// beyond 50 days it stays there.
///
/// The upper five bits are an exponent, the lower eleven a mantissa without its leading one, in
/// microseconds; 0 is none, so the shortest length there is is 1 µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span(u16);

const MANTISSA_BITS: u32 = 11;
const ONE: u64 = 1 << MANTISSA_BITS;

impl Span {
    /// No length.
    pub const NONE: Self = Self(0);

    /// Returns the span of a number of microseconds.
    pub const fn of_us(us: u64) -> Self {
        if us == 0 {
            return Self(1);
        }
        if us < ONE {
            return Self(us as u16);
        }
        let shift = us.ilog2() - MANTISSA_BITS;
        if shift > 30 {
            return Self(u16::MAX);
        }
        Self(((shift as u16 + 1) << MANTISSA_BITS) | ((us >> shift) & (ONE - 1)) as u16)
    }

    /// Returns it in microseconds.
    pub const fn us(self) -> Option<u64> {
        let mantissa = self.0 as u64 & (ONE - 1);
        match self.0 >> MANTISSA_BITS {
            0 if mantissa == 0 => None,
            0 => Some(mantissa),
            exponent => Some((ONE | mantissa) << (exponent - 1)),
        }
    }

    /// Returns the form on the disk.
    pub const fn raw(self) -> u16 {
        self.0
    }

    /// Reads the form on the disk; every number is one.
    pub const fn from_raw(raw: u16) -> Self {
        Self(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_as_exact_as_they_say() {
        assert_eq!(Span::NONE.us(), None);
        assert_eq!(Span::of_us(0).us(), Some(1));
        for us in [1, 87, 2_047, 2_048, 2_049, 4_097, 10_000_000, 86_400_000_000, 4_000_000_000_000]
        {
            let kept = Span::of_us(us).us().unwrap();
            assert!(kept <= us && us - kept <= us / 2_048, "{us} is kept as {kept}");
        }
        assert_eq!(Span::of_us(u64::MAX), Span::of_us(1 << 42));
    }

    #[test]
    fn longer_spans_are_not_shorter() {
        let kept = |us| Span::of_us(us).us().unwrap();
        assert!((0..200_000).all(|us| kept(us) <= kept(us + 1)));
        assert!(
            (0..=u16::MAX).all(|raw| {
                Span::from_raw(raw).us().is_none_or(|us| Span::of_us(us).raw() == raw)
            })
        );
    }
}
