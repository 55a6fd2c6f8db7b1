//! What `/proc` and the kernel say of this process: its mappings, memory and time.

use std::fs;
use std::time::Duration;

/// A line of `/proc/self/maps`.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    pub start: usize,
    pub end: usize,
    pub perms: String,
    pub what: String,
}

impl Map {
    pub fn len(&self) -> u64 {
        (self.end - self.start) as u64
    }
}

pub fn maps() -> Vec<Map> {
    parse_maps(&fs::read_to_string("/proc/self/maps").unwrap())
}

pub fn parse_maps(text: &str) -> Vec<Map> {
    let parse = |line: &str| {
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next().unwrap().split_once('-').unwrap();
        let perms = words.next().unwrap().to_owned();
        let what = words.nth(3).unwrap_or("").trim().to_owned();
        let number = |text| usize::from_str_radix(text, 16).unwrap();
        Map { start: number(start), end: number(end), perms, what }
    };
    text.lines().map(parse).collect()
}

/// Runs `make`. Returns what it made, and the shared mappings it added, by address.
pub fn mapped_by<T>(make: impl FnOnce() -> T) -> (T, Vec<Map>) {
    let before = maps();
    let made = make();
    let new = maps().into_iter().filter(|map| map.perms.ends_with('s') && !before.contains(map)).collect();
    (made, new)
}

/// A number of `/proc/self/status`, in its own unit.
pub fn status_number(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The addresses where this process maps the first byte of the file with this inode number. Each attachment has one.
pub fn attachments_of(inode: u64) -> Vec<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let start = |line: &str| {
        // Range, permissions, offset, device, inode, name.
        let fields: Vec<&str> = line.split_whitespace().collect();
        // A page that cannot be read is the sign of life of a seat, and no attachment.
        let is_first = fields[1].starts_with('r')
            && fields[2].bytes().all(|digit| digit == b'0')
            && fields[4] == inode.to_string();
        is_first.then(|| usize::from_str_radix(fields[0].split('-').next().unwrap(), 16).unwrap())
    };
    maps.lines().filter_map(start).collect()
}

/// The processor time this process has used so far, and how often it went to sleep.
pub fn cpu_time_and_sleeps() -> (Duration, u64) {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    (Duration::from_micros(micros as u64), usage.voluntary_context_switches() as u64)
}
