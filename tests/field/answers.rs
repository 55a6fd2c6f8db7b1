//! The kernel refuses to answer a question. A refused question is no answer.

use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{self, c_long};
use ringway::{ClaimError, FileState, Reason, RecvError, RecvTimeoutError, spsc};

use crate::common::alone::alone;
use crate::common::child::{Child, fork};
use crate::filter::refuse;

pub type Spsc = spsc::Channel<u64>;

type Receiver = spsc::Receiver<u64>;

const ERRORS: [Errno; 6] = [Errno::EPERM, Errno::EACCES, Errno::ENOSYS, Errno::EINVAL, Errno::ESRCH, Errno::ENOMEM];

/// Long enough for a blocked call to ask twice.
pub const TWO_CHECKS: Duration = Duration::from_millis(27);

/// Questions that are refused together. A claim, and the news of a death, may do without the answers or not.
struct Refused {
    calls: &'static [c_long],
    claims: bool,
    reported: bool,
}

const fn bearable(calls: &'static [c_long]) -> Refused {
    Refused { calls, claims: true, reported: true }
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
    // Nobody can ask these questions. A claim by a known process id is still one.
    Refused { reported: false, ..bearable(&[libc::SYS_fcntl, libc::SYS_pidfd_open, libc::SYS_kill]) },
    Refused { reported: false, ..bearable(&[libc::SYS_fcntl, libc::SYS_pidfd_open, libc::SYS_kill, libc::SYS_tgkill]) },
    // Nothing tells one descriptor from another, nor where this process is at home.
    Refused { claims: false, ..bearable(&STAT) },
    Refused {
        claims: false,
        reported: false,
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
    // A process that does not know its own id puts no id in a seat.
    Refused { claims: false, ..bearable(&[libc::SYS_getpid]) },
    bearable(&[libc::SYS_gettid]),
];

/// Two channels with a sender. In one it lives, in the other it is dead.
struct Scene {
    living: Spsc,
    dead: Spsc,
    _holder: Child,
}

impl Scene {
    pub fn new(make: impl Fn() -> Spsc) -> Self {
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

    /// A sender takes a seat and dies there. It must find that its predecessor died.
    fn die_in_the_seat(&self) {
        let child = fork("child", || {
            std::mem::forget(self.dead.sender().unwrap());
        });
        child.succeed();
    }

    /// The receivers of both, if they can be had.
    fn receivers(&self, may_fail: bool, what: &str) -> [Option<Receiver>; 2] {
        [&self.living, &self.dead].map(|channel| match channel.receiver() {
            Ok(rx) => Some(rx),
            Err(ClaimError::Os(_) | ClaimError::NoSignOfLife(_)) if may_fail => None,
            Err(error) => panic!("{what}: {error}"),
        })
    }

    fn observe(&self, case: &Refused, [rx, heir]: [Option<Receiver>; 2], what: &str) {
        if let Some(mut rx) = rx {
            let said = rx.recv_timeout(TWO_CHECKS);
            assert!(matches!(said, Err(RecvTimeoutError::Timeout)), "{what}: of a living sender: {said:?}");
            assert!(rx.has_sender(), "{what}");
        }
        match self.living.sender() {
            Err(ClaimError::Taken { .. } | ClaimError::Os(_) | ClaimError::NoSignOfLife(_)) => {}
            other => panic!("{what}: the seat of the living: {:?}", other.err()),
        }
        if let Some(mut heir) = heir {
            match heir.recv_timeout(TWO_CHECKS) {
                Err(RecvTimeoutError::Refused(RecvError::PeerDied { .. })) => {}
                Err(RecvTimeoutError::Timeout) if !case.reported => {}
                other => panic!("{what}: of a dead sender: {other:?}"),
            }
        }
        match self.dead.sender() {
            Ok(_) => {}
            Err(ClaimError::Taken { .. } | ClaimError::Os(_) | ClaimError::NoSignOfLife(_))
                if !(case.reported && case.claims) => {}
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
                    scenes.iter().for_each(Scene::die_in_the_seat);
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

/// Regions are made and opened under each filter, or refused with the name of what was refused.
#[test]
fn a_region_is_made_or_the_refusal_is_reported() {
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

/// If a pidfd cannot tell a holder, its start time and its lock do.
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
            assert!(matches!(rx.recv_timeout(TWO_CHECKS), Err(RecvTimeoutError::Timeout)));
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
                    let error = scene.living.kill_and_take_sender(Duration::ZERO).err().unwrap();
                    let text = error.to_string();
                    assert!(text.contains(name) && !text.contains("namespace"), "{errno} for {name}: {text}");
                });
                child.succeed();
            }
        }
        assert!(scene.living.receiver().unwrap().has_sender());
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
