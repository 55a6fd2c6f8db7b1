//! The times of one turn, in HDR histograms where each message's is taken.

use hdrhistogram::Histogram;
use quanta::Clock;
use serde::{Deserialize, Serialize};

use crate::clock::{clock, nanoseconds, stamp};
use crate::line::Result;

/// The most samples of a turn: there is room for them from the start, for to make room would take time.
const MOST: usize = 1 << 15;

/// What a sample is.
#[derive(Clone, Copy)]
pub enum Sample {
    /// The time of one message.
    One,
    /// The time of so many messages in a row.
    Stretch(u64),
}

/// Taken by the clock, in its unit.
pub struct Samples {
    clock: Clock,
    times: Vec<u64>,
    last: u64,
}

impl Samples {
    pub fn new() -> Self {
        let mut times = vec![0; MOST];
        times.clear();
        Self { clock: clock(), times, last: 0 }
    }

    pub fn clear(&mut self) {
        self.times.clear();
    }

    /// Drops the first samples, which were for warming up.
    pub fn forget(&mut self, first: u64) {
        self.times.drain(..(first as usize).min(self.times.len()));
    }

    /// From here on.
    #[inline(always)]
    pub fn start(&mut self) {
        self.last = stamp(&self.clock);
    }

    /// Up to here, and from here on.
    #[inline(always)]
    pub fn lap(&mut self) {
        let now = stamp(&self.clock);
        self.times.push(now.saturating_sub(self.last));
        self.last = now;
    }

    /// Since a stamp, which may be another process's.
    #[inline(always)]
    pub fn since(&mut self, stamp_then: u64) {
        self.times.push(stamp(&self.clock).saturating_sub(stamp_then));
    }

    /// What the turn comes to, for a histogram of it.
    pub fn figures(&mut self, sample: Sample, turn: &mut Histogram<u64>) -> Result<Figures> {
        let unit = nanoseconds(&self.clock);
        if self.times.is_empty() {
            return Err("a turn without a sample".into());
        }
        turn.reset();
        match sample {
            Sample::One => {
                self.times.iter().for_each(|&time| turn.saturating_record(time));
                let at = |rank| quantile(turn, rank) * unit;
                Ok(Figures { typical: at(0.5), tail: at(0.999) })
            }
            Sample::Stretch(messages) => {
                let middle = self.times.len() / 2;
                let (_, median, _) = self.times.select_nth_unstable(middle);
                let typical = *median as f64 * unit / messages as f64;
                Ok(Figures { typical, tail: typical })
            }
        }
    }
}

/// A turn in two numbers, in nanoseconds.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Figures {
    /// The median of the messages, or of the stretches.
    pub typical: f64,
    /// The time that one message in a thousand exceeds; the median again, where messages are not timed singly.
    pub tail: f64,
}

/// The time that a share of all messages does not exceed, in the clock's unit.
///
/// A clock that advances in grains shows only multiples of them. What it shows stands for all times up to half-way
/// to what it shows before and after, or the grain would be in every ratio.
pub fn quantile(times: &Histogram<u64>, share: f64) -> f64 {
    let rank = share * times.len() as f64;
    let mut below = 0.0;
    let mut before = None;
    let mut buckets = times.iter_recorded().peekable();
    while let Some(bucket) = buckets.next() {
        let (value, count) = (bucket.value_iterated_to() as f64, bucket.count_at_value() as f64);
        if rank <= below + count {
            let from = before.map_or(value, |before: f64| (before + value) / 2.0);
            let to = buckets.peek().map_or(value, |after| (value + after.value_iterated_to() as f64) / 2.0);
            return from + (to - from) * (rank - below) / count;
        }
        below += count;
        before = Some(value);
    }
    times.max() as f64
}

/// A histogram of all times there may be.
pub fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 1 << 40, 3)?)
}

/// A histogram as what it holds.
pub mod buckets {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    use super::*;

    pub fn serialize<S: Serializer>(times: &Option<Histogram<u64>>, to: S) -> Result<S::Ok, S::Error> {
        let pairs = |times: &Histogram<u64>| -> Vec<_> {
            times.iter_recorded().map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value())).collect()
        };
        times.as_ref().map(pairs).serialize(to)
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Histogram<u64>>, D::Error> {
        let Some(pairs) = Option::<Vec<(u64, u64)>>::deserialize(from)? else { return Ok(None) };
        let mut times = histogram().map_err(D::Error::custom)?;
        pairs.into_iter().for_each(|(time, count)| times.saturating_record_n(time, count));
        Ok(Some(times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarse_clock_does_not_make_coarse_quantiles() {
        let mut times = histogram().unwrap();
        assert_eq!(quantile(&times, 0.5), 0.0);
        (0..100).for_each(|number| times.record(if number < 50 { 260 } else { 286 }).unwrap());
        assert_eq!(quantile(&times, 0.5), 273.0);
        assert_eq!(quantile(&times, 0.25), 266.5);
        (0..900).for_each(|_| times.record(260).unwrap());
        assert!(quantile(&times, 0.5) < 268.0);
    }
}
