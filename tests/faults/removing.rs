//! Operations that put something in the place of a region, or remove it.

use std::convert::Infallible;

use ringway::{OpenError, Reason, remove_unused};

use crate::asking::{sitting, stay};
use crate::case::{Operation, Place, Tally};
use crate::common::child::Child;
use crate::making::{MESSAGE, Slots, is_attached, made, slots_still_there, slots_there};

/// A process that is attached to a region with a message in it.
pub fn user(place: &Place) -> Option<Child> {
    sitting(place, || {
        slots_there(place);
        let _channel = Slots::open(place.path()).unwrap();
        stay(place)
    })
}

/// Fails unless the refusal says that somebody uses the region, or names the fault.
fn is_refused<T>(result: Result<T, OpenError>) {
    match result {
        Ok(_) => panic!("a region in use was removed"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn message_is_there(place: &Place) {
    assert_eq!(place.names(), ["region"]);
    let copy = Slots::options().open_snapshot(place.path()).unwrap();
    assert_eq!(copy.receiver().unwrap().try_recv(), Ok(MESSAGE));
}

pub fn all(tally: &mut Tally) {
    alone(tally);
    beside_a_user(tally);
    beside_another_file(tally);
}

fn alone(tally: &mut Tally) {
    Operation::new("recreate", slots_there, |(), place| Slots::options().capacity(8).recreate(place.path()))
        .beside(is_attached)
        .done(made)
        .changes()
        .failed(|(), place| slots_still_there(place))
        .try_all(tally);
    Operation::new("recreate, new", |_| (), |(), place| Slots::options().capacity(8).recreate(place.path()))
        .beside(is_attached)
        .done(made)
        .changes()
        .failed(|(), place| assert_eq!(place.names(), Vec::<String>::new()))
        .try_all(tally);
    Operation::new("remove_unused", slots_there, |(), place| remove_unused(place.path()))
        .done(|(), (), place| assert_eq!(place.names(), Vec::<String>::new()))
        .changes()
        .failed(|(), place| {
            slots_still_there(place);
            remove_unused(place.path()).unwrap();
        })
        .try_all(tally);
    let open = |place: &Place| {
        slots_there(place);
        Slots::open(place.path()).unwrap()
    };
    Operation::new("unlink", open, |channel, _| channel.region().unlink())
        .done(|(), channel, place| {
            assert_eq!(place.names(), Vec::<String>::new());
            crate::making::holds_message(channel);
        })
        .changes()
        .failed(|channel, place| {
            assert_eq!(place.names(), ["region"]);
            channel.region().unlink().unwrap();
            assert_eq!(place.names(), Vec::<String>::new());
        })
        .try_all(tally);
}

/// If another process is attached, nothing is ever removed.
fn beside_a_user(tally: &mut Tally) {
    Operation::new(
        "recreate, in use",
        |_| (),
        |(), place| Ok::<_, Infallible>(Slots::options().capacity(8).recreate(place.path())),
    )
    .stage(user)
    .done(|result, (), place| {
        is_refused(result);
        message_is_there(place);
    })
    .afterwards(message_is_there)
    .try_all(tally);
    Operation::new("remove_unused, in use", |_| (), |(), place| Ok::<_, Infallible>(remove_unused(place.path())))
        .stage(user)
        .done(|result, (), place| {
            is_refused(result);
            message_is_there(place);
        })
        .try_all(tally);
}

/// If another file has the name by now, it keeps it.
fn beside_another_file(tally: &mut Tally) {
    let replaced = |place: &Place| {
        slots_there(place);
        let channel = Slots::open(place.path()).unwrap();
        std::fs::remove_file(place.path()).unwrap();
        slots_there(place);
        channel
    };
    Operation::new("unlink, replaced", replaced, |channel, _| Ok::<_, Infallible>(channel.region().unlink()))
        .done(|result, _, place| {
            result.expect_err("another's file was removed");
            slots_still_there(place);
        })
        .try_all(tally);
    Operation::new("create, there", slots_there, |(), place| match Slots::create(place.path(), 8) {
        Err(error) if matches!(error.reason(), Reason::Exists) => Ok(()),
        Ok(_) => panic!("made in the place of another"),
        Err(other) => Err(other),
    })
    .afterwards(slots_still_there)
    .try_all(tally);
}
