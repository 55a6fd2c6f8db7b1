//! An axis with ticks of one's own choice, linear or logarithmic.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// An axis.
#[derive(Clone)]
pub struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<(f64, String)>,
}

impl Scale {
    /// From the lowest to the highest of `ticks`, and `around` on both sides.
    pub fn linear(ticks: Vec<(f64, String)>, around: f64) -> Self {
        let low = ticks.iter().map(|tick| tick.0).fold(f64::INFINITY, f64::min) - around;
        let high = ticks.iter().map(|tick| tick.0).fold(f64::NEG_INFINITY, f64::max) + around;
        Self { low, high, logarithmic: false, ticks }
    }

    /// From nothing to beyond all `values`.
    pub fn from_nothing(values: impl Iterator<Item = f64>, label: fn(f64) -> String) -> Self {
        let highest = values.fold(f64::MIN_POSITIVE, f64::max);
        let step = round(highest / 5.0);
        let last = (highest / step).ceil() as u32;
        Self::linear((0..=last).map(|tick| f64::from(tick) * step).map(|at| (at, label(at))).collect(), 0.0)
    }

    /// Logarithmic, around all `values`, with ticks at 1, 2 and 5 of every power of ten, or at the powers alone where
    /// those are many.
    pub fn logarithmic(values: impl Iterator<Item = f64>, label: fn(f64) -> String) -> Self {
        let positive = values.filter(|&value| value > 0.0);
        let (low, high) = positive.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), v| (low.min(v), high.max(v)));
        let (low, high) = if low > high { (1.0, 10.0) } else { (low / 1.15, high * 1.15) };
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let digits: &[f64] = if high / low > 2e4 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let ticks = decades.flat_map(|decade| digits.iter().map(move |digit| digit * 10f64.powi(decade)));
        let ticks = ticks.filter(|tick| (low..=high).contains(tick)).map(|at| (at, label(at))).collect();
        Self { low, high, logarithmic: true, ticks }
    }
}

/// The next of 1, 2 and 5 times a power of ten.
fn round(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|digit| digit * power).find(|&round| round >= step).unwrap_or(10.0 * power)
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let on = |value: f64| if self.logarithmic { value.max(self.low / 2.0).ln() } else { value };
        let share = (on(*value) - on(self.low)) / (on(self.high) - on(self.low));
        from + (f64::from(to - from) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.iter().map(|tick| tick.0).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Scale {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|tick| tick.0 == *value);
        tick.map_or_else(String::new, |tick| tick.1.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let label = |at: f64| at.to_string();
        let ticks = |scale: Scale| scale.ticks.into_iter().map(|tick| tick.1).collect::<Vec<_>>();
        assert_eq!(ticks(Scale::logarithmic([90.0, 400.0].into_iter(), label)), ["100", "200"]);
        assert_eq!(ticks(Scale::from_nothing([9.0].into_iter(), label)), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(ticks(Scale::from_nothing([0.0].into_iter(), label)).len(), 6);
    }
}
