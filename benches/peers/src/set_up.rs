//! What comes before the first message: memory, and the time to create, open and claim.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::{env, process};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::unistd::ftruncate;
use ringway::{bytes, seqlock, spsc};
use serde::Serialize;

use crate::clock::{clock, nanoseconds, stamp};
use crate::line::Result;
use crate::spread::quartiles;
use crate::text::{columns, time};

type Spsc = spsc::Channel<[u64; 8]>;
type Latest = seqlock::Channel<[u64; 8]>;

/// How often each time is taken, and how many endpoints are weighed.
const TIMES: usize = 400;
const ENDPOINTS: usize = 200;

#[derive(Serialize)]
pub struct SetUp {
    regions: Vec<RegionSize>,
    endpoints: Vec<EndpointSize>,
    times: Vec<Time>,
}

#[derive(Serialize)]
struct RegionSize {
    name: String,
    payload: u64,
    region: u64,
}

/// What one more of it costs a process.
#[derive(Serialize)]
struct EndpointSize {
    name: &'static str,
    size_of: usize,
    /// Anonymous memory, by the kernel's books, in bytes.
    private: f64,
    descriptors: f64,
}

/// Quartiles, in nanoseconds.
#[derive(Serialize)]
struct Time {
    name: &'static str,
    reference: &'static str,
    time: [f64; 3],
    ratio: f64,
}

pub fn measure() -> Result<SetUp> {
    let dir = Directory::new()?;
    Ok(SetUp { regions: regions()?, endpoints: endpoints()?, times: times(&dir.0)? })
}

fn regions() -> Result<Vec<RegionSize>> {
    let of = |name: &str, payload, region: &ringway::Region| RegionSize {
        name: name.to_owned(),
        payload,
        region: region.size(),
    };
    let small = spsc::Channel::<u64>::options().capacity(1024).memfd()?;
    let large = Spsc::options().capacity(1024).memfd()?;
    let one = Spsc::options().capacity(1).memfd()?;
    let records = bytes::Channel::options().capacity_bytes(1 << 16).memfd()?;
    let latest = Latest::options().memfd()?;
    Ok(vec![
        of("spsc of 1024 x 8 B", 8 << 10, small.region()),
        of("spsc of 1024 x 64 B", 64 << 10, large.region()),
        of("spsc of 1 x 64 B", 64, one.region()),
        of("bytes of 64 KiB", 64 << 10, records.region()),
        of("seqlock of 64 B", 64, latest.region()),
    ])
}

/// Weighs things by making many of them.
fn weigh<T>(name: &'static str, mut make: impl FnMut(usize) -> Result<T>) -> Result<EndpointSize> {
    let mut all = Vec::with_capacity(ENDPOINTS + 1);
    // The first brings what all have in common.
    all.push(make(0)?);
    let (private, descriptors) = (anonymous_bytes()?, open_descriptors()?);
    for index in 1..=ENDPOINTS {
        all.push(make(index)?);
    }
    let each = |after: u64, before: u64| (after as f64 - before as f64) / ENDPOINTS as f64;
    let private = each(anonymous_bytes()?, private);
    let descriptors = each(open_descriptors()?, descriptors);
    Ok(EndpointSize { name, size_of: size_of::<T>(), private, descriptors })
}

fn endpoints() -> Result<Vec<EndpointSize>> {
    let make = |_| Ok(Spsc::options().capacity(64).memfd()?);
    let rings = (0..=ENDPOINTS).map(make).collect::<Result<Vec<_>>>()?;
    let make = |_| Ok(Latest::options().memfd()?);
    let values = (0..=ENDPOINTS).map(make).collect::<Result<Vec<_>>>()?;
    Ok(vec![
        weigh("spsc::Channel, mapped", |_| Ok(Spsc::options().capacity(64).memfd()?))?,
        weigh("spsc::Sender", |index| Ok(rings[index].sender()?))?,
        weigh("spsc::Receiver", |index| Ok(rings[index].receiver()?))?,
        weigh("seqlock::Writer", |index| Ok(values[index].writer()?))?,
        weigh("seqlock::Reader", |index| Ok(values[index].reader()))?,
    ])
}

/// Private memory of this process: what it shares is not anonymous.
fn anonymous_bytes() -> Result<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let field = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")?.trim().strip_suffix(" kB"));
    Ok(field.ok_or("the kernel does not say how much memory is anonymous")?.trim().parse::<u64>()? * 1024)
}

fn open_descriptors() -> Result<u64> {
    Ok(fs::read_dir("/proc/self/fd")?.count() as u64)
}

/// A directory in memory that is removed with this.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
        let path = parent.join(format!("ringway-laboratory-{}", process::id()));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn map_and_unmap(fd: impl AsFd, len: NonZeroUsize) -> Result {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
    let memory = unsafe { mmap(None, len, access, MapFlags::MAP_SHARED, fd, 0) }?;
    // SAFETY: nothing refers to what was just mapped.
    Ok(unsafe { munmap(memory, len.get()) }?)
}

/// Makes something and drops it.
fn dropped<T, E: Error + 'static>(made: Result<T, E>) -> Result {
    made?;
    Ok(())
}

const BARE_MEMFD: &str = "bare memfd_create, ftruncate, mmap, munmap, close";
const BARE_FILE: &str = "bare open, mmap, munmap, close";

/// Takes all times in turn, again and again.
fn times(dir: &Path) -> Result<Vec<Time>> {
    let options = Spsc::options().capacity(1024);
    let (path, made) = (dir.join("region"), dir.join("made"));
    let channel = options.create(&path)?;
    let len = usize::try_from(channel.region().size()).ok().and_then(NonZeroUsize::new).ok_or("a region of no size")?;

    let bare_memfd = || {
        let fd: OwnedFd = memfd_create(c"bare", MFdFlags::MFD_CLOEXEC)?;
        ftruncate(&fd, len.get() as i64)?;
        map_and_unmap(&fd, len)
    };
    let bare_file = || {
        let file: File = OpenOptions::new().read(true).write(true).open(&path)?;
        map_and_unmap(&file, len)
    };
    let create = || {
        options.create(&made)?;
        Ok(fs::remove_file(&made)?)
    };
    type Work<'a> = &'a dyn Fn() -> Result;
    let works: [(&str, &str, Work); 8] = [
        (BARE_MEMFD, BARE_MEMFD, &bare_memfd),
        ("create in a memfd, and drop", BARE_MEMFD, &|| dropped(options.memfd())),
        ("create anonymous, and drop", BARE_MEMFD, &|| dropped(options.anonymous())),
        ("create a file, drop and remove", BARE_MEMFD, &create),
        (BARE_FILE, BARE_FILE, &bare_file),
        ("open a file, and drop", BARE_FILE, &|| dropped(options.open(&path))),
        ("claim a sender's seat, and drop", BARE_FILE, &|| dropped(channel.sender())),
        ("claim a receiver's seat, and drop", BARE_FILE, &|| dropped(channel.receiver())),
    ];

    let clock = clock();
    let mut taken = works.map(|_| Vec::with_capacity(TIMES));
    for _ in 0..TIMES {
        for ((_, _, work), taken) in works.iter().zip(&mut taken) {
            let start = stamp(&clock);
            work()?;
            taken.push((stamp(&clock) - start) as f64 * nanoseconds(&clock));
        }
    }
    let at = |wanted: &str| works.iter().position(|(name, ..)| *name == wanted);
    let mut times = Vec::new();
    for ((name, reference, _), mine) in works.iter().zip(&taken) {
        let its = &taken[at(reference).ok_or("there is no such reference")?];
        let [_, ratio, _] = quartiles(mine.iter().zip(its).map(|(mine, its)| mine / its))?;
        times.push(Time { name, reference, time: quartiles(mine.iter().copied())?, ratio });
    }
    Ok(times)
}

impl SetUp {
    pub fn text(&self) -> String {
        let regions = self.regions.iter().map(|RegionSize { name, payload, region }| {
            vec![name.clone(), payload.to_string(), region.to_string(), (region - payload).to_string()]
        });
        let endpoints = self.endpoints.iter().map(|EndpointSize { name, size_of, private, descriptors }| {
            vec![name.to_string(), size_of.to_string(), format!("{private:.0}"), format!("{descriptors:.2}")]
        });
        let times = self.times.iter().map(|Time { name, reference, time: [low, median, high], ratio }| {
            let quartiles = format!("{} - {}", time(*low), time(*high));
            vec![name.to_string(), time(*median), quartiles, reference.to_string(), format!("{ratio:.2}")]
        });
        [
            columns(&["region", "payload, bytes", "region, bytes", "more"], regions.collect()),
            columns(&["one more", "size_of, bytes", "private memory, bytes", "descriptors"], endpoints.collect()),
            columns(&["before the first message", "median", "quartiles", "reference", "ratio"], times.collect()),
        ]
        .map(|table| format!("\n{table}"))
        .concat()
    }
}
