//! How far apart numbers lie.

use crate::line::Result;

/// The quartiles.
pub fn quartiles(values: impl IntoIterator<Item = f64>) -> Result<[f64; 3]> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1).ok_or("nothing was measured")?;
    Ok([1, 2, 3].map(|quarter| values[last * quarter / 4]))
}

/// What the upper quartile is of the lowest: how much slower a slow process is than the fastest.
pub fn slowest_to_fastest(values: &[f64]) -> f64 {
    let upper = quartiles(values.iter().copied()).map_or(f64::NAN, |[_, _, upper]| upper);
    upper / extremes(values)[0]
}

/// The lowest and the highest.
pub fn extremes(values: &[f64]) -> [f64; 2] {
    [values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(f64::NEG_INFINITY, f64::max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_process_in_forty_is_not_yet_a_quarter_of_them() {
        let mut sittings = [2.0; 40];
        (sittings[7], sittings[20]) = (1.6, 9.0);
        assert_eq!(extremes(&sittings), [1.6, 9.0]);
        assert_eq!(slowest_to_fastest(&sittings), 1.25);
        assert!(slowest_to_fastest(&[]).is_nan());
    }
}
