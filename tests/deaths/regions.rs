//! Making, opening and removing a region in a file.

use std::path::{Path, PathBuf};

use ringway::{Reason, in_use, remove_unused, spsc};

use crate::common::ptrace::mark;
use crate::common::victim::Stopped;
use crate::points::{Case, Tally};
use crate::scene::LastWords;
use crate::small::FULL;

type Slots = spsc::Channel<u64>;

/// A directory. It may hold a file with a message in it.
struct Place {
    dir: tempfile::TempDir,
    words: LastWords,
}

impl Place {
    fn new(there: bool) -> Self {
        let place = Self {
            dir: tempfile::Builder::new().prefix("ringway-deaths-").tempdir_in("/dev/shm").unwrap(),
            words: LastWords::new(),
        };
        if there {
            Slots::create(place.path(), FULL).unwrap().sender().unwrap().try_send(&7).unwrap();
        }
        place
    }

    /// Puts a copy in the place of the file.
    fn copied(self) -> Self {
        let copy = self.dir.path().join("copy");
        std::fs::copy(self.path(), &copy).unwrap();
        std::fs::rename(copy, self.path()).unwrap();
        self
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("ring")
    }

    /// Whether nothing is there but the file.
    fn is_tidy(&self) -> bool {
        let names = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.into_iter().all(|name| name == "ring")
    }

    /// How many messages lie in the file. `None` if it is missing. Fails unless it is whole and of use.
    fn found(&self) -> Option<u64> {
        match Slots::open(self.path()) {
            Ok(channel) => {
                let mut rx = channel.receiver().unwrap();
                let held = rx.len();
                assert!(held == 0 || rx.try_recv() == Ok(7));
                Some(held)
            }
            Err(error) if matches!(error.reason(), Reason::Missing) => None,
            Err(error) if matches!(error.reason(), Reason::Copy { .. }) => {
                Some(Slots::options().open_snapshot(self.path()).unwrap().receiver().unwrap().len())
            }
            Err(other) => panic!("{other}"),
        }
    }
}

pub fn all(tally: &mut Tally) {
    // A process does some things only at its first region or its first copy (it asks what the processor can, for one). Its
    // children find them done.
    assert_eq!((Place::new(true).found(), Place::new(true).copied().found()), (Some(1), Some(1)));
    let copied = Place::new(true).copied();
    drop(Slots::options().adopt(copied.path()).unwrap());
    let options = || Slots::options().capacity(FULL);
    // The numbers are what is found before the operation and after it.
    region_case("create", None, Some(0), true, tally, &|path| Slots::create(path, FULL).map(Some));
    region_case("open", Some(1), Some(1), true, tally, &|path| Slots::open(path).map(Some));
    region_case("open_or_create", None, Some(0), true, tally, &|path| options().open_or_create(path).map(Some));
    region_case("recreate", Some(1), Some(0), false, tally, &|path| options().recreate(path).map(Some));
    region_case("adopt", Some(1), Some(1), false, tally, &|path| Slots::options().adopt(path).map(Some));
    region_case("remove_unused", Some(1), None, false, tally, &|path| remove_unused(path).map(|()| None));
}

type Act<'a> = &'a dyn Fn(&Path) -> Result<Option<Slots>, ringway::OpenError>;

fn region_case(operation: &str, before: Option<u64>, after: Option<u64>, stops: bool, tally: &mut Tally, act: Act<'_>) {
    let victim = |place: &Place| {
        let path = place.path();
        mark();
        let done = act(&path);
        place.words.say(u64::from(done.is_err()));
        mark();
        assert!(done.is_ok() || before.is_some());
    };
    let killed = |place: Place, _: usize| {
        let said = place.words.said();
        // Nobody holds on to the file.
        let there = place.path().exists();
        assert!(!there || !in_use(place.path()).unwrap(), "the dead use it");
        let found = place.found();
        assert!(found.is_none() || found == before || found == after, "{found:?}");
        assert!(found.is_some() || before.is_none() || operation == "remove_unused", "it is lost");
        // A process that replaces a file names the new one before that. The next process finds it.
        assert!(place.is_tidy() || ["recreate", "adopt"].contains(&operation), "more than a region was left");
        assert!(said.is_none() || found == after, "it said that it was done: {found:?}");
        if found.is_some() {
            remove_unused(place.path()).unwrap();
            assert_eq!(place.found(), None);
        }
        assert!(place.is_tidy(), "more than a region was left");
        u64::from(if before == after { said == Some(0) } else { found == after })
    };
    let stopped = |place: Place, victim: Stopped| {
        let removed = match remove_unused(place.path()) {
            Ok(()) => true,
            Err(error) if matches!(error.reason(), Reason::InUse) => false,
            Err(error) if matches!(error.reason(), Reason::Missing) && before.is_none() => false,
            Err(other) => panic!("{other}"),
        };
        victim.go_on();
        let said = place.words.said();
        assert_eq!(said == Some(1), removed && before.is_some(), "who was there first?");
        assert_eq!(place.found(), if removed { None } else { after });
    };
    let name = ["region", operation, if before.is_some() { "there" } else { "new" }];
    let set_up = || match operation {
        "adopt" => Place::new(true).copied(),
        _ => Place::new(before.is_some()),
    };
    let stopped: &dyn Fn(Place, Stopped) = &stopped;
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done: 1, stopped: stops.then_some(stopped) }
        .run(tally);
}
