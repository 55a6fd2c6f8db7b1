//! Snapshots, and copies of a region's file.

use std::convert::Infallible;

use ringway::{Content, Reason, Report};

use crate::case::{Operation, Place, Tally};
use crate::making::{
    MESSAGE, RECORD, Records, Slots, Values, holds_message, records_there, records_work, slots_still_there,
    slots_there, value_is_there, values_there,
};

/// Makes a region in another file, and copies it to where a region is expected.
fn copied(place: &Place) {
    let original = place.dir().join("original");
    Slots::create(&original, 8).unwrap().sender().unwrap().try_send(&MESSAGE).unwrap();
    std::fs::copy(&original, place.path()).unwrap();
    std::fs::remove_file(&original).unwrap();
}

/// Fails unless the copy is there, is still a copy, and has its message.
fn copy_is_there(place: &Place) {
    assert_eq!(place.names(), ["region"]);
    let refused = Slots::open(place.path()).expect_err("a copy was opened");
    assert!(matches!(refused.reason(), Reason::Copy { .. }), "{refused}");
    holds_message(&Slots::options().open_snapshot(place.path()).unwrap());
}

pub fn all(tally: &mut Tally) {
    snapshots(tally);
    Operation::new("open a copy", copied, |(), place| Ok::<_, Infallible>(Slots::open(place.path())))
        .done(|opened, (), place| {
            opened.expect_err("a copy was opened");
            copy_is_there(place);
        })
        .try_all(tally);
    Operation::new("open_snapshot of a copy", copied, |(), place| Slots::options().open_snapshot(place.path()))
        .done(|copy, (), _| holds_message(&copy))
        .afterwards(copy_is_there)
        .try_all(tally);
    Operation::new("Report::open of a copy", copied, |(), place| Report::open(place.path()))
        .done(|report, (), _| assert!(matches!(report.content, Content::Messages { count: 1, .. }), "{report}"))
        .afterwards(copy_is_there)
        .try_all(tally);
    Operation::new("adopt", copied, |(), place| Slots::options().adopt(place.path()))
        .done(|channel, (), place| {
            drop(channel);
            slots_still_there(place);
        })
        .changes()
        .failed(|(), place| {
            copy_is_there(place);
            Slots::options().adopt(place.path()).unwrap();
        })
        .try_all(tally);
}

fn snapshots(tally: &mut Tally) {
    Operation::new("open_snapshot", slots_there, |(), place| Slots::options().open_snapshot(place.path()))
        .done(|copy, (), _| holds_message(&copy))
        .afterwards(slots_still_there)
        .try_all(tally);
    Operation::new("open_snapshot, bytes", records_there, |(), place| Records::options().open_snapshot(place.path()))
        .done(|copy, (), _| records_work(&copy, &[RECORD]))
        .afterwards(|place| records_work(&Records::open(place.path()).unwrap(), &[RECORD]))
        .try_all(tally);
    Operation::new("open_snapshot, seqlock", values_there, |(), place| Values::options().open_snapshot(place.path()))
        .done(|copy, (), _| value_is_there(&copy))
        .afterwards(|place| value_is_there(&Values::open(place.path()).unwrap()))
        .try_all(tally);
    let open = |place: &Place| {
        slots_there(place);
        Slots::open(place.path()).unwrap()
    };
    Operation::new("snapshot", open, |channel, _| channel.snapshot())
        .done(|copy, channel, _| {
            holds_message(&copy);
            holds_message(channel);
        })
        .failed(|channel, _| holds_message(channel))
        .try_all(tally);
}
