//! How far apart numbers lie.

use crate::line::Result;

/// The quartiles.
pub fn quartiles(values: impl IntoIterator<Item = f64>) -> Result<[f64; 3]> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1).ok_or("nothing was measured")?;
    Ok([1, 2, 3].map(|quarter| values[last * quarter / 4]))
}

/// The lowest and the highest.
pub fn extremes(values: &[f64]) -> [f64; 2] {
    [values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(f64::NEG_INFINITY, f64::max)]
}
