//! What can be asked of the memory behind a channel.

use ringway::{Advice, Flush};

use crate::case::{Operation, Place, Tally};
use crate::making::{Slots, holds_message, slots_still_there, slots_there};

pub fn all(tally: &mut Tally) {
    let open = |place: &Place| {
        slots_there(place);
        Slots::open(place.path()).unwrap()
    };
    for flush in [Flush::Wait, Flush::Start] {
        Operation::new("flush", open, move |channel, _| channel.region().flush(flush))
            .done(|(), channel, _| holds_message(channel))
            .failed(|channel, _| holds_message(channel))
            .try_all(tally);
    }
    Operation::new("resident_pages", open, |channel, _| channel.region().resident_pages())
        .done(|pages, channel, _| assert!((1..=channel.region().size() / 4096).contains(&(pages as u64))))
        .failed(|channel, _| holds_message(channel))
        .try_all(tally);
    for advice in [Advice::Normal, Advice::Sequential, Advice::Random, Advice::WillNeed, Advice::DontDump] {
        Operation::new("advise", open, move |channel, _| channel.region().advise(advice))
            .done(|(), channel, _| holds_message(channel))
            // A part of the mapping that has advice of its own becomes a mapping of its own.
            .changes()
            .failed(|channel, _| holds_message(channel))
            .afterwards(|place| assert_eq!(place.names(), ["region"]))
            .try_all(tally);
    }
    Operation::new("page_faults", |_| (), |(), _| ringway::page_faults()).try_all(tally);
    Operation::new("a description", open, |channel, _| Ok::<_, std::convert::Infallible>(format!("{channel:?}")))
        .afterwards(slots_still_there)
        .try_all(tally);
}
