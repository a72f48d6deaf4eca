//! Base-2 exponential buckets of integers: which bucket a number is in, and what a bucket stands for. Knows no counts.
//!
//! The layout is that of OpenTelemetry and of Prometheus' native histograms. Indexes come from the bits of an integer by table, without
//! a logarithm, so they are equal on all machines.

/// Scale of minutes and hours: 32 buckets for each power of two; a value read back is within 1.1 %.
pub const FINE: u8 = 5;
/// Scale of days: 16 buckets for each power of two; within 2.2 %.
pub const COARSE: u8 = 4;

/// `floor(2^63 * 2^(k / 32))`: the lower bounds of the 32 buckets of one power of two, as mantissas with the top bit set. And an end.
const MANTISSAS: [u64; 33] = [
    0x8000_0000_0000_0000,
    0x82cd_8698_ac2b_a1d7,
    0x85aa_c367_cc48_7b14,
    0x8898_0e80_92da_8527,
    0x8b95_c1e3_ea8b_d6e6,
    0x8ea4_398b_45cd_53c0,
    0x91c3_d373_ab11_c336,
    0x94f4_efa8_fef7_0961,
    0x9837_f051_8db8_a96f,
    0x9b8d_39b9_d54e_5538,
    0x9ef5_3260_91a1_11ad,
    0xa270_4303_0c49_6818,
    0xa5fe_d6a9_b151_38ea,
    0xa9a1_5ab4_ea7c_0ef8,
    0xad58_3eea_42a1_4ac6,
    0xb123_f581_d2ac_258f,
    0xb504_f333_f9de_6484,
    0xb8fb_af47_62fb_9ee9,
    0xbd08_a39f_580c_36be,
    0xc12c_4cca_6670_9456,
    0xc567_2a11_5506_dadd,
    0xc9b9_bd86_6e2f_27a2,
    0xce24_8c15_1f84_80e3,
    0xd2a8_1d91_f12a_e45a,
    0xd744_fcca_d69d_6af4,
    0xdbfb_b797_daf2_3755,
    0xe0cc_deec_2a94_e111,
    0xe5b9_06e7_7c83_48a8,
    0xeac0_c6e7_dd24_392e,
    0xefe4_b99b_dcda_f5cb,
    0xf525_7d15_2486_cc2c,
    0xfa83_b2db_722a_033a,
    u64::MAX, // no number is above it
];

/// How many bounds lie below each 64th of a power of two. A 64th is narrower than any bucket, so it has one more at most.
const BELOW: [u8; 64] = {
    let mut below = [0; 64];
    let (mut cell, mut bound) = (0, 0);
    while cell < 64 {
        while MANTISSAS[bound] < (64 + cell as u64) << 57 {
            bound += 1;
        }
        below[cell] = bound as u8;
        cell += 1;
    }
    below
};

/// The bucket at scale 5 of a number above 0: the i with `2^(i/32) < value <= 2^((i+1)/32)`. Some 2 ns.
///
/// # Panics
/// For 0, which is in no bucket.
#[inline]
pub fn bucket(value: u64) -> i32 {
    let power = value.ilog2() as i32;
    // No bound but the first is an integer, so comparing with the floors tells both sides apart exactly.
    let mantissa = value << (63 - power);
    let below = BELOW[(mantissa >> 57 & 63) as usize];
    32 * power + i32::from(below) + i32::from(MANTISSAS[usize::from(below)] < mantissa) - 1
}

/// `2^(index / 32)`, for indexes of buckets.
fn bound(index: i32) -> f64 {
    let mantissa = MANTISSAS[index.rem_euclid(32) as usize] as f64 / (1_u64 << 63) as f64;
    mantissa * f64::from_bits(((1023 + index.div_euclid(32)) as u64) << 52)
}

/// What the numbers of a bucket at a scale are read back as: the harmonic mean of its bounds, the number whose greatest relative error
/// in the bucket is least.
pub fn middle(index: i32, scale: u8) -> f64 {
    let width = 1 << (FINE - scale);
    let (low, high) = (bound(index * width), bound((index + 1) * width));
    2.0 * low * high / (low + high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A natural number as 32-bit digits, least first.
    fn power(base: u64, exponent: u32) -> Vec<u32> {
        (0..exponent).fold(vec![1], |number, _| {
            let mut product = vec![0_u32; number.len() + 2];
            for (shift, digit) in [base as u32, (base >> 32) as u32].into_iter().enumerate() {
                let mut carry = 0_u64;
                for at in 0..product.len() - shift {
                    let value = u64::from(number.get(at).copied().unwrap_or(0)) * u64::from(digit);
                    let value = value + u64::from(product[at + shift]) + carry;
                    product[at + shift] = value as u32;
                    carry = value >> 32;
                }
            }
            while product.last() == Some(&0) {
                product.pop();
            }
            product
        })
    }

    fn at_most(one: &[u32], other: &[u32]) -> bool {
        (one.len(), one.iter().rev().collect::<Vec<_>>()) <= (other.len(), other.iter().rev().collect::<Vec<_>>())
    }

    #[test]
    fn the_table_holds_the_integer_roots() {
        for (k, &mantissa) in MANTISSAS[..32].iter().enumerate() {
            let radicand = power(2, 63 * 32 + k as u32);
            assert!(at_most(&power(mantissa, 32), &radicand), "{k} too great");
            assert!(!at_most(&power(mantissa + 1, 32), &radicand), "{k} too small");
        }
    }

    #[test]
    fn powers_of_two_are_the_upper_bounds_of_their_buckets() {
        assert_eq!(bucket(1), -1);
        for power in 1..64 {
            assert_eq!(bucket(1 << power), 32 * power - 1);
            if power > 5 {
                assert_eq!(bucket((1 << power) + 1), 32 * power, "above 2^{power}");
                assert_eq!(bucket((1 << power) - 1), 32 * power - 1, "below 2^{power}");
            }
        }
        assert_eq!(bucket(u64::MAX), 64 * 32 - 1);
    }

    #[test]
    fn the_table_of_64ths_agrees_with_comparing_all_bounds() {
        let all = |mantissa: u64| MANTISSAS.partition_point(|bound| *bound < mantissa) as i32 - 1;
        let edges = MANTISSAS.iter().flat_map(|bound| [bound - 1, *bound, bound.saturating_add(1)]);
        for mantissa in edges.chain((0..64).flat_map(|cell| [(64 + cell) << 57, ((64 + cell) << 57) + 1])) {
            let mantissa = mantissa | 1 << 63;
            assert_eq!(bucket(mantissa), 32 * 63 + all(mantissa), "{mantissa:x}");
        }
    }

    #[test]
    fn a_middle_is_within_the_stated_error_of_both_bounds() {
        for index in -1..64 * 32 {
            for (scale, error) in [(FINE, 0.010_84), (COARSE, 0.021_67)] {
                let width = 1 << (FINE - scale);
                let (low, high) = (bound(index * width), bound((index + 1).min(2048 / width) * width));
                if index < 64 << scale {
                    let middle = middle(index, scale);
                    assert!((middle / low - 1.0).abs() <= error && (middle / high - 1.0).abs() <= error);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_number_lies_between_the_bounds_of_its_bucket(shift in 0_u32..64, number: u64) {
            let value = (number >> shift).max(1);
            let index = bucket(value);
            let slack = 1.0 + 1e-12;
            prop_assert!(bound(index) < value as f64 * slack && value as f64 <= bound(index + 1) * slack);
        }
    }
}
