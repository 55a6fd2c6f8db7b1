//! Questions that a filter answers in the kernel's place, or that nobody answers: never a word about who lives.

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{self, c_long};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::Pid;
use ringway::{ClaimError, EvictError, FileState, Reason, RecvError, RecvTimeoutError, bytes, spsc};

use crate::common::alone::{alone, in_memory};
use crate::common::child::{Child, fork};
use crate::common::mounts::private_mounts;
use crate::common::say::skip;
use crate::filter::refuse;

type Spsc = spsc::Channel<u64>;
type Receiver = spsc::Receiver<u64>;

const ERRORS: [Errno; 6] = [Errno::EPERM, Errno::EACCES, Errno::ENOSYS, Errno::EINVAL, Errno::ESRCH, Errno::ENOMEM];

/// Long enough for a blocked call to ask twice.
const TWO_INQUIRIES: Duration = Duration::from_millis(27);

/// Questions that are refused together, and whether a claim and a death can do without their answers.
struct Refused {
    calls: &'static [c_long],
    claims: bool,
    told: bool,
}

const fn bearable(calls: &'static [c_long]) -> Refused {
    Refused { calls, claims: true, told: true }
}

const STAT: [c_long; 3] = [libc::SYS_statx, libc::SYS_newfstatat, libc::SYS_fstat];

const CASES: [Refused; 27] = [
    bearable(&[libc::SYS_pidfd_open]),
    bearable(&[libc::SYS_kill]),
    bearable(&[libc::SYS_tgkill]),
    bearable(&[libc::SYS_pidfd_open, libc::SYS_kill]),
    bearable(&[libc::SYS_pidfd_open, libc::SYS_kill, libc::SYS_tgkill]),
    bearable(&[libc::SYS_poll, libc::SYS_ppoll]),
    bearable(&[libc::SYS_fstatfs]),
    bearable(&[libc::SYS_fcntl]),
    bearable(&[libc::SYS_fcntl, libc::SYS_pidfd_open]),
    bearable(&[libc::SYS_openat, libc::SYS_open]),
    // Nobody can ask: a claim by a process id that is known still is one.
    Refused { told: false, ..bearable(&[libc::SYS_fcntl, libc::SYS_pidfd_open, libc::SYS_kill]) },
    Refused { told: false, ..bearable(&[libc::SYS_fcntl, libc::SYS_pidfd_open, libc::SYS_kill, libc::SYS_tgkill]) },
    // Nothing tells a descriptor from another, nor where this process is at home.
    Refused { claims: false, ..bearable(&STAT) },
    Refused {
        claims: false,
        told: false,
        calls: &[libc::SYS_statx, libc::SYS_newfstatat, libc::SYS_fstat, libc::SYS_kill],
    },
    Refused { claims: false, ..bearable(&[libc::SYS_madvise]) },
    bearable(&[libc::SYS_pidfd_send_signal]),
    bearable(&[libc::SYS_membarrier]),
    bearable(&[libc::SYS_futex]),
    bearable(&[libc::SYS_clock_nanosleep, libc::SYS_nanosleep]),
    bearable(&[libc::SYS_prlimit64, libc::SYS_getrlimit]),
    bearable(&[libc::SYS_readlink, libc::SYS_readlinkat]),
    bearable(&[libc::SYS_sysinfo]),
    bearable(&[libc::SYS_ioctl]),
    bearable(&[libc::SYS_memfd_create]),
    bearable(&[libc::SYS_sched_yield]),
    // Who does not know its own id names nobody in a seat.
    Refused { claims: false, ..bearable(&[libc::SYS_getpid]) },
    bearable(&[libc::SYS_gettid]),
];

/// Two channels in which a sender sits: of the one it lives, of the other it is dead.
struct Scene {
    living: Spsc,
    dead: Spsc,
    _holder: Child,
}

impl Scene {
    fn new(make: impl Fn() -> Spsc) -> Self {
        let (living, dead) = (make(), make());
        let holder = fork("holder", || {
            let _tx = living.sender().unwrap();
            loop {
                nix::unistd::pause();
            }
        });
        let rx = living.receiver().unwrap();
        while !rx.has_sender() {
            std::thread::yield_now();
        }
        drop(rx);
        Self { living, dead, _holder: holder }
    }

    /// A sender sits in the one channel and dies there; it must be the one that the last one did not live to see.
    fn bury_one(&self) {
        let child = fork("child", || {
            std::mem::forget(self.dead.sender().unwrap());
        });
        child.succeed();
    }

    /// The receivers of both, if they may be had.
    fn receivers(&self, may_fail: bool, what: &str) -> [Option<Receiver>; 2] {
        [&self.living, &self.dead].map(|channel| match channel.receiver() {
            Ok(rx) => Some(rx),
            Err(ClaimError::Os(_) | ClaimError::NoSignOfLife(_)) if may_fail => None,
            Err(error) => panic!("{what}: {error}"),
        })
    }

    fn observe(&self, case: &Refused, [rx, heir]: [Option<Receiver>; 2], what: &str) {
        if let Some(mut rx) = rx {
            let said = rx.recv_timeout(TWO_INQUIRIES);
            assert!(matches!(said, Err(RecvTimeoutError::Timeout)), "{what}: of a living sender: {said:?}");
            assert!(rx.has_sender(), "{what}");
        }
        match self.living.sender() {
            Err(ClaimError::Taken { .. } | ClaimError::Os(_) | ClaimError::NoSignOfLife(_)) => {}
            other => panic!("{what}: the seat of the living: {:?}", other.err()),
        }
        if let Some(mut heir) = heir {
            match heir.recv_timeout(TWO_INQUIRIES) {
                Err(RecvTimeoutError::Refused(RecvError::PeerDied { .. })) => {}
                Err(RecvTimeoutError::Timeout) if !case.told => {}
                other => panic!("{what}: of a dead sender: {other:?}"),
            }
        }
        match self.dead.sender() {
            Ok(_) => {}
            Err(ClaimError::Taken { .. } | ClaimError::Os(_) | ClaimError::NoSignOfLife(_))
                if !(case.told && case.claims) => {}
            Err(error) => panic!("{what}: the seat of the dead: {error}"),
        }
    }
}

#[test]
fn a_refused_question_is_no_answer() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let count = std::cell::Cell::new(0);
        let file = || {
            count.set(count.get() + 1);
            Spsc::create(dir.path().join(count.get().to_string()), 4).unwrap()
        };
        let scenes = [Scene::new(file), Scene::new(|| Spsc::options().capacity(4).memfd().unwrap())];
        for case in &CASES {
            for errno in ERRORS {
                for from_the_start in [true, false] {
                    scenes.iter().for_each(Scene::bury_one);
                    let child = fork("child", || {
                        let what = format!("{errno} for {:?}, from the start: {from_the_start}", case.calls);
                        let early =
                            (!from_the_start).then(|| scenes.each_ref().map(|scene| scene.receivers(false, &what)));
                        refuse(case.calls, errno);
                        let late = || scenes.each_ref().map(|scene| scene.receivers(!case.claims, &what));
                        let receivers = early.unwrap_or_else(late);
                        scenes.iter().zip(receivers).for_each(|(scene, both)| scene.observe(case, both, &what));
                    });
                    child.succeed();
                }
            }
        }
    });
}

/// Regions are made and opened under each filter, or refused with what was refused.
#[test]
fn a_region_is_made_or_the_refusal_is_told() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        drop(Spsc::create(&path, 4).unwrap());
        for case in &CASES {
            for errno in ERRORS {
                let new = dir.path().join("new");
                let child = fork("child", || {
                    refuse(case.calls, errno);
                    let made = [
                        Spsc::create(&new, 4),
                        Spsc::open(&path),
                        Spsc::options().capacity(4).memfd(),
                        Spsc::options().capacity(4).anonymous(),
                    ];
                    for error in made.into_iter().filter_map(Result::err) {
                        let permission =
                            matches!(error.reason(), Reason::Permission { .. } | Reason::DirectoryPermission { .. });
                        if errno == Errno::EACCES && permission {
                            continue;
                        }
                        let Reason::Os(os) = error.reason() else { panic!("{errno} for {:?}: {error}", case.calls) };
                        assert_eq!(os.source.raw_os_error(), Some(errno as i32), "{:?}: {error}", case.calls);
                    }
                });
                child.succeed();
                let _ = std::fs::remove_file(&new);
            }
        }
    });
}

/// A holder that could not be told by a pidfd is told by its start time, and by its lock.
#[test]
fn a_holder_without_a_pidfd_of_its_own_lives_and_dies_as_others_do() {
    alone(|| {
        for errno in ERRORS {
            let channel = Spsc::options().capacity(4).memfd().unwrap();
            let holder = fork("holder", || {
                refuse(&[libc::SYS_pidfd_open], errno);
                let _tx = channel.sender().unwrap();
                loop {
                    nix::unistd::pause();
                }
            });
            let mut rx = channel.receiver().unwrap();
            while !rx.has_sender() {
                std::thread::yield_now();
            }
            assert!(matches!(rx.recv_timeout(TWO_INQUIRIES), Err(RecvTimeoutError::Timeout)));
            holder.kill();
            assert!(matches!(rx.recv(), Err(RecvError::PeerDied { .. })));
        }
    });
}

#[test]
fn an_eviction_that_is_refused_says_what_was_refused() {
    alone(|| {
        let asked: [(&[c_long], &str); 4] = [
            (&[libc::SYS_pidfd_open], "pidfd_open"),
            (&[libc::SYS_fstatfs], "fstatfs"),
            (&[libc::SYS_poll], "poll"),
            (&[libc::SYS_pidfd_send_signal], "pidfd_send_signal"),
        ];
        let scene = Scene::new(|| Spsc::options().capacity(4).memfd().unwrap());
        for (calls, name) in asked {
            for errno in ERRORS {
                let child = fork("child", || {
                    refuse(calls, errno);
                    let error = scene.living.evict_sender(Duration::ZERO).err().unwrap();
                    let text = error.to_string();
                    assert!(text.contains(name) && !text.contains("namespace"), "{errno} for {name}: {text}");
                });
                child.succeed();
            }
        }
        assert!(scene.living.receiver().unwrap().has_sender());
    });
}

/// Mounts a `/proc` that shows processes and nothing else, for this process alone.
fn bare_proc() -> Result<(), Errno> {
    private_mounts()?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), Some("subset=pid"))?;
    assert!(!Path::new("/proc/meminfo").exists());
    Ok(())
}

#[test]
fn where_proc_shows_only_processes_the_living_live_and_memory_is_known() {
    alone(|| {
        // In memory: of a disk nobody could say whether its files are of this boot.
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = dir.path().join("region");
        // Made by another, so that this process knows nothing of its boot from before.
        let holder = fork("holder", || {
            let channel = Spsc::create(&path, 4).unwrap();
            let _tx = channel.sender().unwrap();
            loop {
                nix::unistd::pause();
            }
        });
        while !path.exists() {
            std::thread::yield_now();
        }
        if let Err(error) = bare_proc() {
            return skip(&format!("a /proc of processes only: {error}"));
        }
        let needed = 100 << 30;
        let options = bytes::Channel::options().capacity_bytes(needed);
        for made in [options.memfd(), options.anonymous()] {
            let error = made.unwrap_err();
            assert!(matches!(error.reason(), Reason::NoSpace { needed: n } if *n > needed), "{error}");
        }
        match bytes::Channel::options().capacity_bytes(needed).huge_pages(true).memfd().unwrap_err().reason() {
            Reason::NoHugePages { .. } | Reason::HugePagesUnsupported => {}
            other => panic!("{other}"),
        }
        let channel = Spsc::open(&path).unwrap();
        let mut rx = channel.receiver().unwrap();
        while !rx.has_sender() {
            std::thread::yield_now();
        }
        assert!(matches!(rx.recv_timeout(TWO_INQUIRIES), Err(RecvTimeoutError::Timeout)));
        assert!(matches!(channel.sender(), Err(ClaimError::Taken { .. })));
        let error = channel.evict_sender(Duration::ZERO).err().unwrap();
        assert!(matches!(error, EvictError::Refused { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("boot_id") && !text.contains("namespace"), "{text}");
        assert!(rx.has_sender());
        holder.kill();
        assert!(matches!(rx.recv(), Err(RecvError::PeerDied { .. })));
        drop(channel.sender().unwrap());
    });
}

/// `struct clone_args` of `linux/sched.h`.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks a child that has one id in this PID namespace and in the one around it.
fn fork_with_equal_ids(work: impl FnOnce()) -> Result<Child, Errno> {
    for id in 20_000..30_000 {
        let ids: [libc::pid_t; 2] = [id; 2];
        let exit_signal = libc::SIGCHLD as u64;
        let args = CloneArgs { exit_signal, set_tid: ids.as_ptr() as u64, set_tid_size: 2, ..Default::default() };
        // SAFETY: the arguments and ids live across the call, which copies this process as `fork` does.
        match Errno::result(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) }) {
            Ok(0) => {
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                // SAFETY: ends this process without its parent's exit handlers.
                unsafe { libc::_exit(i32::from(done.is_err())) }
            }
            Ok(child) => return Ok(Child::new(Pid::from_raw(child as i32))),
            Err(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EEXIST)
}

/// A holder is process 1 of its namespace, and `/proc` shows another's process 1 to who has one id in both.
#[test]
fn an_id_that_two_namespaces_give_shows_nobody_the_other_ones_processes() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID) {
            return skip(&format!("a PID namespace: {error}"));
        }
        let holder = fork("holder", || {
            let channel = Spsc::create(&path, 4).unwrap();
            refuse(&[libc::SYS_pidfd_open], Errno::EPERM);
            let _tx = channel.sender().unwrap();
            let asker = fork_with_equal_ids(|| {
                let own = std::fs::read_link("/proc/self").unwrap();
                assert_eq!(own.to_str(), Some(std::process::id().to_string().as_str()));
                let channel = Spsc::open(&path).unwrap();
                let mut rx = channel.receiver().unwrap();
                assert!(matches!(rx.recv_timeout(TWO_INQUIRIES), Err(RecvTimeoutError::Timeout)));
                assert!(matches!(channel.sender(), Err(ClaimError::Taken { .. })));
            });
            match asker {
                Ok(asker) => asker.succeed(),
                Err(error) => skip(&format!("a child whose id is chosen: {error}")),
            }
        });
        holder.succeed();
    });
}

/// A filter may say of anything that it is not there.
#[test]
fn a_file_is_missing_only_if_two_questions_say_so() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        let channel = Spsc::create(&path, 4).unwrap();
        for errno in [Errno::ENOENT, Errno::ENOTDIR, Errno::EACCES, Errno::EPERM, Errno::ENOSYS] {
            for call in [libc::SYS_statx, libc::SYS_newfstatat] {
                let child = fork("child", || {
                    refuse(&[call], errno);
                    assert_eq!(channel.region().file_state(), FileState::Named, "{errno} for {call}");
                });
                child.succeed();
            }
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(channel.region().file_state(), FileState::Removed);
    });
}

#[test]
fn a_refused_munmap_only_leaves_memory_behind() {
    alone(|| {
        let child = fork("child", || {
            refuse(&[libc::SYS_munmap], Errno::EPERM);
            let channel = Spsc::options().capacity(4).memfd().unwrap();
            drop((channel.sender().unwrap(), channel.receiver().unwrap()));
            drop(channel);
        });
        child.succeed();
    });
}

#[test]
fn a_file_is_made_without_proc_or_the_error_names_it() {
    alone(|| {
        // In memory; on a disk a file's boot must be known.
        let (dir, disk) = (in_memory(), tempfile::tempdir().unwrap());
        let path = dir.path().join("region");
        let child = fork("child", || {
            let unmounted = private_mounts().and_then(|()| umount2("/proc", MntFlags::MNT_DETACH));
            if let Err(error) = unmounted {
                return skip(&format!("no /proc: {error}"));
            }
            drop(Spsc::create(&path, 4).unwrap());
            let missing = Spsc::create(dir.path().join("missing/region"), 4).unwrap_err();
            assert!(matches!(missing.reason(), Reason::NoDirectory), "{missing}");
            drop(Spsc::open(&path).unwrap());
            if let Err(error) = Spsc::create(disk.path().join("region"), 4) {
                assert!(error.to_string().contains("mount /proc"), "{error}");
            }
        });
        child.succeed();
    });
}
