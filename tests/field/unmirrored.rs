//! A kernel that does not map anonymous memory twice, as an emulator of another processor does not. The ring of records
//! needs that.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::resource::{Resource, setrlimit};
use ringway::{Memory, Reason, Report, bytes, page_faults};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::footprint::Footprint;
use crate::copies::cp;
use crate::filter::refuse;

const ERRORS: [Errno; 4] = [Errno::ENOMEM, Errno::ENOSYS, Errno::EINVAL, Errno::EPERM];

/// Runs `work` where `mremap` fails.
fn without_mremap(work: impl Fn(Errno)) {
    for errno in ERRORS {
        let child = fork("child", || {
            refuse(&[libc::SYS_mremap], errno);
            work(errno);
        });
        child.succeed();
    }
}

/// Many of them lie across the end of a page.
fn record(number: usize) -> Vec<u8> {
    vec![number as u8; 1 + number * 37 % 1000]
}

fn make() -> bytes::Channel {
    bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap()
}

/// The links to the open files that stand for anonymous memory.
fn memfds() -> Vec<PathBuf> {
    let links = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let names =
        |link: &PathBuf| fs::read_link(link).is_ok_and(|file| file.starts_with("/memfd:ringway-anonymous (deleted)"));
    links.filter(names).collect()
}

fn closes_on_exec(link: &Path) -> bool {
    let number: i32 = link.file_name().unwrap().to_str().unwrap().parse().unwrap();
    // SAFETY: it is open, and borrowed for this question alone.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD).unwrap()).contains(FdFlag::FD_CLOEXEC)
}

/// A parent and the child that it forks.
fn exchange() {
    let jobs = make();
    let region = jobs.region();
    assert!(region.fd().is_none());
    let [memfd] = &memfds()[..] else { panic!("{:?}", memfds()) };
    assert!(closes_on_exec(memfd));
    assert_eq!(fs::metadata(memfd).unwrap().blocks() * 512, region.size(), "its memory is reserved");
    let child = fork("receiver", || {
        let mut rx = jobs.receiver().unwrap();
        (0..200).for_each(|number| assert_eq!(rx.recv().unwrap(), record(number)));
    });
    let mut tx = jobs.sender().unwrap();
    (0..200).for_each(|number| tx.send(&record(number)).unwrap());
    child.succeed();
    let report = Report::open(memfd).unwrap();
    assert_eq!(report.memory, Memory::AnonymousMemfd);
    assert!(report.to_string().contains("anonymous memory cannot be mapped twice"), "{report}");
}

#[test]
fn a_parent_and_its_child_exchange_records_through_a_memfd_and_leave_nothing() {
    alone(|| {
        assert!(make().region().fd().is_none() && memfds().is_empty(), "anonymous memory is what it was");
        without_mremap(|errno| {
            exchange();
            let before = Footprint::now(None);
            exchange();
            assert_eq!(Footprint::now(None), before, "{errno}");
        });
    });
}

/// The page faults of two rounds through a ring of a megabyte that was faulted in.
fn faults() -> u64 {
    let channel = bytes::Channel::options().capacity_bytes(1 << 20).prefault(true).anonymous().unwrap();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    let mut place = [0; 1000];
    let mut pass_on = |number: u64| {
        tx.try_send(&[number as u8; 1000]).unwrap();
        assert_eq!(rx.try_recv_into(&mut place), Ok(1000));
    };
    pass_on(0);
    let before = page_faults().unwrap().minor;
    (1..2000).for_each(pass_on);
    page_faults().unwrap().minor - before
}

#[test]
fn what_was_faulted_in_causes_no_page_fault() {
    alone(|| {
        // One of three attempts must do, since the kernel may have reasons of its own.
        without_mremap(|errno| assert!((0..3).any(|_| faults() == 0), "{errno}"));
    });
}

#[test]
fn a_private_copy_keeps_no_descriptor() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("region"), dir.path().join("copy"));
        let channel = bytes::Channel::create(&path, 4096).unwrap();
        let mut tx = channel.sender().unwrap();
        (0..4).for_each(|number| tx.send(&record(number)).unwrap());
        cp(&path, &copy);
        without_mremap(|errno| {
            let before = Footprint::now(None);
            for made in [channel.snapshot(), bytes::Channel::options().open_snapshot(&copy)] {
                let made = made.unwrap();
                assert!(memfds().is_empty(), "{errno}");
                let mut rx = made.receiver().unwrap();
                (0..4).for_each(|number| assert_eq!(rx.try_recv().unwrap(), record(number)));
            }
            assert_eq!(Footprint::now(None), before, "{errno}");
        });
    });
}

/// What a file may not hold is refused: to write it would be a signal.
#[test]
fn the_limit_of_file_size_is_that_of_the_memfd() {
    alone(|| {
        without_mremap(|errno| {
            setrlimit(Resource::RLIMIT_FSIZE, 4096, 4096).unwrap();
            let error = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap_err();
            assert!(matches!(error.reason(), Reason::FileSizeLimit { limit: 4096, .. }), "{errno}: {error}");
            assert!(memfds().is_empty());
        });
    });
}
