//! Reports on a region, for anyone who may read it: who held its seats, who is alive, what was committed.
#![forbid(unsafe_code)]

use core::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::channel::{Options, bytes, seqlock, spsc};
use crate::error::{CopySign, Corrupt, OpenError, Seat, TypeFingerprint};
use crate::layout::seat::RECEIVER;
use crate::layout::{Header, Kind};
use crate::liveness::Witness;
use crate::protocol::{Stop, cell, seat};
use crate::region::{Memory, Reading, Region, Settings, files, unused};

/// The state of a region in a file: in use, or left by processes that died. Making it writes nothing into the region.
/// For the messages themselves, see [`open_snapshot`](crate::Options::open_snapshot).
///
/// If the region is in use, its words are read one after the other, not at one moment.
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("jobs");
/// let jobs = ringway::spsc::Channel::<u64>::create(&path, 8)?;
/// jobs.sender()?.send(&7)?;
/// println!("{}", ringway::Report::open(&path)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The path, made absolute.
    pub place: String,
    /// What shows that the file is a copy of a region, if it is one. The seats of a copy name processes that use, or
    /// used, the original.
    pub copied: Option<CopySign>,
    /// The number of the region: see [`Region::id`](crate::Region::id).
    pub id: u128,
    /// `spsc`, `bytes` or `seqlock`.
    pub kind: &'static str,
    /// The type that it carries; bytes for a record ring.
    pub carries: TypeFingerprint,
    /// The capacity, in slots, bytes or cells.
    pub capacity: u64,
    /// The size of the file, in bytes.
    pub size: u64,
    /// What holds the memory.
    pub memory: Memory,
    /// Whether any process is attached; `None` if the file system cannot tell.
    pub in_use: Option<bool>,
    /// The sender's or writer's seat, then a ring's receiver's.
    pub seats: Vec<SeatReport>,
    /// What was committed.
    pub content: Content,
}

/// A seat, with its present or last holder.
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("ticks");
/// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
/// # use ringway::Report;
/// let tx = channel.sender()?;
/// for seat in Report::open(&path)?.seats {
///     println!("{seat}"); // the sender's (or writer's) seat is held by process ...
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeatReport {
    /// Which seat.
    pub seat: Seat,
    /// How often it has been taken.
    pub generation: u64,
    /// Who holds it.
    pub holder: Holder,
    /// The newest generation whose death was noticed; 0 if none.
    pub died: u64,
}

/// Who holds a seat.
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("ticks");
/// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
/// # use ringway::{Holder, Report};
/// let tx = channel.sender()?;
/// let report = Report::open(&path)?;
/// assert_eq!(report.seats[0].holder, Holder::Alive { pid: std::process::id() });
/// assert_eq!(report.seats[1].holder, Holder::Nobody); // the receiver's seat
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holder {
    /// Nobody: the seat was never taken, or its last holder left.
    Nobody,
    /// A process that is alive, as far as the kernel tells this process.
    Alive {
        /// Its id in its own PID namespace.
        pid: u32,
    },
    /// A process that ended without leaving. The next claimant gets the seat.
    Dead {
        /// The id it had.
        pid: u32,
    },
    /// In a copy: a process that held the original's seat when the copy was made. Whether it is alive is not checked.
    Copied {
        /// Its id.
        pid: u32,
    },
    /// The seat's words contradict each other.
    Corrupt {
        /// The value of its word.
        found: u64,
    },
}

/// What was committed to a region.
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("ticks");
/// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
/// # use ringway::{Content, Report};
/// channel.sender()?.send_slice(&[7, 8])?;
/// assert!(matches!(Report::open(&path)?.content, Content::Messages { head: 1, count: 2, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A ring's messages that are committed and not consumed.
    Messages {
        /// Position of the first such message. The first message ever sent has position 1. A record ring counts words
        /// of 8 bytes.
        head: u64,
        /// Position behind the last committed message.
        end: u64,
        /// How many messages there are.
        count: u64,
        /// Generation of the last sender whose end was reported to a receiver; 0 if none.
        reported: u64,
        /// Whether the first message was lent in place to a receiver that did not consume it.
        lent: bool,
    },
    /// A seqlock's latest value.
    Value {
        /// How often it has been written; 0 if never.
        version: u64,
    },
    /// A copy of a seqlock in which every value was being written when it was copied.
    NothingWhole,
    /// The region is corrupt.
    Corrupt(Corrupt),
}

impl Report {
    /// Reports on the region in the file `path`, of any kind and any owner. The path may be a link of
    /// `/proc` to a memfd (`/proc/PID/fd/N`). Any thread of any process may call it.
    ///
    /// # Errors
    ///
    /// Those of [`open`](crate::Options::open), but the file need only be readable, and may be a copy or belong to
    /// anyone.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// # use ringway::Report;
    /// let report = Report::open(&path)?;
    /// assert_eq!((report.kind, report.capacity, report.in_use), ("spsc", 4, Some(true)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().open(path)
    }

    /// Options for a report. Only [`owner`](Options::owner) matters. They can also check whether a region is in use,
    /// and remove an unused one: see [`in_use`](Options::in_use) and [`remove_unused`](Options::remove_unused).
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// # use ringway::Report;
    /// # let uid_of_the_service = nix::unistd::getuid().as_raw();
    /// let report = Report::options().owner(uid_of_the_service).open(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn options() -> Options<Self> {
        Options::new()
    }
}

impl Options<Report> {
    /// [`Report::open`] with these options. A file of a user that [`owner`](Self::owner) does not name is read instead
    /// of mapped, which takes as long as reading all of it.
    ///
    /// # Errors
    ///
    /// Those of [`Report::open`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// # use ringway::Report;
    /// println!("{}", Report::options().owner(0).open(&path)?); // another's file is read, not mapped
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Report, OpenError> {
        let path = files::absolute(path.as_ref())?;
        let mut report = read_report(&path, self.settings())?;
        for _ in 1..MAX_READS {
            match report {
                (Report { content: Content::Corrupt(_), .. }, true) => report = read_report(&path, self.settings())?,
                _ => break,
            }
        }
        Ok(report.0)
    }
}

/// How often to read a region in use whose content contradicts itself.
const MAX_READS: u32 = 5;

/// Reads a report, and tells whether the region may have changed meanwhile.
fn read_report(path: &Path, settings: &Settings) -> Result<(Report, bool), OpenError> {
    // This comes first: once the region is open, this process is attached itself.
    let in_use = unused::is_in_use(path, settings.owner_to_read()).ok();
    let reading = Region::inspect(path, settings)?;
    let may_have_changed = reading.may_have_changed();
    let Reading { region, kind, copied, .. } = reading;
    let region = Arc::new(region);
    let header = region.header();
    let content = match copied {
        // The report on a copy shows what `open_snapshot` and `adopt` would give.
        Some(_) => salvage(&region, kind, header).and_then(|()| report_content(&region, kind, header)),
        None => report_content(&region, kind, header),
    };
    let witness = copied.is_none().then(|| Witness::new(&region));
    let report = Report {
        place: path.display().to_string(),
        copied,
        id: region.id(),
        kind: kind.info().name,
        carries: region.carries(),
        capacity: header.capacity * kind.info().unit,
        size: header.region_len,
        memory: region.memory(),
        in_use,
        seats: region.seats().map(|seat| report_seat(&region, witness.as_ref(), seat)).collect(),
        content: content.unwrap_or_else(|stop| match stop {
            Stop::Corrupt(corrupt) => Content::Corrupt(corrupt),
            _ => Content::NothingWhole,
        }),
    };
    Ok((report, may_have_changed))
}

/// Reduces the image of a copy to what is whole in it.
fn salvage(region: &Region, kind: Kind, header: &Header) -> Result<(), Stop> {
    let Some(parts) = region.writable() else { return Ok(()) };
    match kind {
        Kind::Spsc => spsc::raw::ring(parts, header).salvage(),
        Kind::Bytes => bytes::ring(parts, header.capacity).salvage(),
        Kind::Seqlock => seqlock::raw::cells(parts, header).salvage(),
    }
}

fn report_seat(region: &Region, witness: Option<&Witness>, index: usize) -> SeatReport {
    let words = region.seat(index);
    // This comes before the status: only a claim changes the seat of a dead holder.
    let dead = witness.and_then(|witness| witness.check_holder(index));
    let (holder, generation) = match seat::status(&words) {
        Err(found) => (Holder::Corrupt { found }, 0),
        Ok(status) => {
            let holder = match status.holder {
                None => Holder::Nobody,
                Some(process) if witness.is_none() => Holder::Copied { pid: process.pid },
                Some(process) if dead == Some(status.generation) => Holder::Dead { pid: process.pid },
                Some(process) => Holder::Alive { pid: process.pid },
            };
            (holder, status.generation)
        }
    };
    SeatReport {
        seat: if index == RECEIVER { Seat::Receiver } else { Seat::Sender },
        generation,
        holder,
        died: seat::died(&words),
    }
}

fn report_content(region: &Region, kind: Kind, header: &Header) -> Result<Content, Stop> {
    let parts = region.parts();
    let lane = parts.lane.clone();
    let (head, end, count) = match kind {
        Kind::Seqlock => {
            return Ok(Content::Value { version: cell::version(&lane)? });
        }
        Kind::Spsc => {
            let ring = spsc::raw::ring(parts, header);
            let head = ring.ends.head()?;
            let end = ring.end(head);
            (head, end, end - head)
        }
        Kind::Bytes => {
            let (head, end) = bytes::ring(parts, header.capacity).extent()?;
            (head.position, end.position, end.since(head))
        }
    };
    let line = &lane.receiver_line;
    let (reported, lent) = (line.reported.acquire(), (head..end).contains(&line.lent.acquire()));
    Ok(Content::Messages { head, end, count, reported, lent })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { place, copied, kind, carries, capacity, size, memory, in_use, seats, content, id: _ } = self;
        writeln!(f, "{place}: {kind} channel of {carries}, capacity {capacity}, {size} bytes")?;
        if let Some(schema) = carries.schema() {
            writeln!(f, "  a message is {schema}")?;
        }
        if let Some(sign) = copied {
            writeln!(f, "  a copy: {sign}")?;
        }
        match memory {
            Memory::File => {}
            Memory::Memfd => writeln!(f, "  in a memfd")?,
            Memory::AnonymousMemfd => {
                writeln!(f, "  in a memfd, because anonymous memory cannot be mapped twice there")?
            }
        }
        match in_use {
            Some(true) => writeln!(f, "  in use")?,
            Some(false) => writeln!(f, "  nobody is attached")?,
            None => writeln!(f, "  the file system cannot tell whether a process is attached")?,
        }
        for seat in seats {
            writeln!(f, "  {seat}")?;
        }
        write!(f, "  {content}")
    }
}

impl fmt::Display for SeatReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seat, generation, holder, .. } = self;
        match holder {
            Holder::Nobody if *generation == 0 => write!(f, "the {seat} seat was never taken"),
            Holder::Nobody => write!(f, "the {seat} seat is free; generation {generation} left"),
            Holder::Alive { pid } => write!(f, "the {seat} seat is held by process {pid}, generation {generation}"),
            Holder::Dead { pid } => {
                write!(f, "the {seat} seat is free to take: process {pid}, generation {generation}, died in it")
            }
            Holder::Copied { pid } => {
                write!(f, "the {seat} seat was held by process {pid}, generation {generation}, when the copy was made")
            }
            Holder::Corrupt { found } => write!(f, "the {seat} seat is corrupt: it holds {found:#x}"),
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Messages { head, end, count, lent, .. } => {
                let wait = if *count == 1 { "message waits" } else { "messages wait" };
                write!(f, "{count} {wait}, positions {head} up to {end}")?;
                if *lent { f.write_str("; the first was lent but not consumed") } else { Ok(()) }
            }
            Content::Value { version: 0 } => f.write_str("no value was ever written"),
            Content::Value { version } => write!(f, "the latest value is whole: version {version}"),
            Content::NothingWhole => f.write_str("no value in the copy is whole"),
            Content::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}
