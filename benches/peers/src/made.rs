//! When a run was made, and of what.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The versions and the profile that this program was built with stand there and nowhere else.
const MANIFEST: &str = include_str!("../Cargo.toml");

#[derive(Serialize, Deserialize)]
pub struct Made {
    pub date: String,
    pub build: String,
    /// The others' names and versions.
    pub peers: Vec<String>,
}

impl Made {
    pub fn now() -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { date: date(seconds), build: build(), peers: peers() }
    }
}

fn build() -> String {
    if cfg!(debug_assertions) {
        return "not optimized: the times mean nothing".to_owned();
    }
    let (_, profile) = MANIFEST.split_once("[profile.release]\n").unwrap_or_default();
    let lines: Vec<_> = profile.lines().take_while(|line| line.contains(" = ")).collect();
    format!("release, {}", lines.join(", "))
}

fn peers() -> Vec<String> {
    let peer = |line: &str| {
        let (name, rest) = line.split_once(" = { version = \"=")?;
        Some(format!("{name} {}", rest.split_once('"')?.0))
    };
    if cfg!(feature = "peers") { MANIFEST.lines().filter_map(peer).collect() } else { Vec::new() }
}

/// The day and the minute, in UTC, of so many seconds after 1970 began.
fn date(seconds: u64) -> String {
    let leaps = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let (mut year, mut month, mut day) = (1970, 0, seconds / 86_400);
    while day >= 365 + u64::from(leaps(year)) {
        day -= 365 + u64::from(leaps(year));
        year += 1;
    }
    let days = [31, 28 + u64::from(leaps(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while day >= days[month] {
        day -= days[month];
        month += 1;
    }
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{year}-{:02}-{:02} {hour:02}:{minute:02} UTC", month + 1, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_with_leap_days() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_735_689_599), "2024-12-31 23:59 UTC");
    }

    #[test]
    fn the_manifest_says_what_this_is_built_of() {
        assert_eq!(peers().is_empty(), !cfg!(feature = "peers"));
        assert!(MANIFEST.contains("[profile.release]\ndebug = "));
    }
}
