//! Making and opening regions.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use ringway::{OpenError, Reason, bytes, in_use, seqlock, spsc};

use crate::case::{Operation, Place, Tally};
use crate::common::huge_pages::Enlarged;
use crate::common::messages::{Numbered, Packet};
use crate::common::say::skip;
use crate::inject::World;
use crate::worlds;

pub type Slots = spsc::Channel<u64>;
pub type Records = bytes::Channel;
pub type Values = seqlock::Channel<Packet>;

pub const MESSAGE: u64 = 7;
pub const RECORD: &[u8] = b"a record";

/// Makes a region with a message in it. Nobody is attached to it.
pub fn slots_there(place: &Place) {
    Slots::create(place.path(), 8).unwrap().sender().unwrap().try_send(&MESSAGE).unwrap();
}

pub fn records_there(place: &Place) {
    Records::create(place.path(), 4096).unwrap().sender().unwrap().try_send(RECORD).unwrap();
}

pub fn values_there(place: &Place) {
    Values::create(place.path()).unwrap().writer().unwrap().write(&Packet::make(1)).unwrap();
}

/// Fails unless the channel holds the message alone, and takes another.
pub fn holds_message(channel: &Slots) {
    let mut rx = channel.receiver().unwrap();
    assert_eq!(rx.try_recv(), Ok(MESSAGE));
    rx.try_recv().expect_err("another message");
    works(channel, &mut rx);
}

/// Fails unless the channel is empty and takes a message.
fn is_empty(channel: &Slots) {
    let mut rx = channel.receiver().unwrap();
    assert!(rx.try_recv().is_err());
    works(channel, &mut rx);
}

fn works(channel: &Slots, rx: &mut spsc::Receiver<u64>) {
    channel.sender().unwrap().try_send(&8).unwrap();
    assert_eq!(rx.try_recv(), Ok(8));
}

pub fn records_work(channel: &Records, held: &[&[u8]]) {
    let mut rx = channel.receiver().unwrap();
    held.iter().for_each(|record| assert_eq!(rx.try_recv().as_deref(), Ok(*record)));
    assert!(rx.try_recv().is_err());
    let record = vec![9; channel.max_len()];
    for _ in 0..3 {
        channel.sender().unwrap().try_send(&record).unwrap();
        assert_eq!(rx.try_recv().as_ref(), Ok(&record));
    }
}

pub fn value_is_there(channel: &Values) {
    assert_eq!(channel.reader().read(), Ok(Packet::make(1)));
}

/// Fails unless the region is there, with its message.
pub fn slots_still_there(place: &Place) {
    assert_eq!(place.names(), ["region"]);
    holds_message(&Slots::open(place.path()).unwrap());
}

/// Fails unless the file is known to be in use.
pub fn is_attached(place: &Place) {
    assert!(in_use(place.path()).unwrap(), "a region that is open is not in use");
}

/// Fails unless the new region is there and empty, and can be used and opened.
pub fn made(channel: Slots, (): &mut (), place: &Place) {
    is_attached(place);
    is_empty(&channel);
    is_empty(&Slots::open(place.path()).unwrap());
    assert_eq!(place.names(), ["region"]);
}

fn nothing_there(place: &Place) {
    assert_eq!(place.names(), Vec::<String>::new());
    is_empty(&Slots::create(place.path(), 8).unwrap());
}

fn fd_of(place: &Place) -> Option<OwnedFd> {
    Some(std::fs::File::options().read(true).write(true).open(place.path()).unwrap().into())
}

pub fn all(tally: &mut Tally) {
    creating(tally);
    opening(tally);
    without_a_name(tally);
    huge(tally);
}

fn creating(tally: &mut Tally) {
    let create = |name, world: World, options: fn() -> ringway::Options<Slots>| {
        Operation::new(name, |_| (), move |(), place| options().capacity(8).create(place.path()))
            .world(world)
            .beside(is_attached)
            .done(made)
            .failed(|(), place| nothing_there(place))
            .changes()
    };
    let none: World = |_| None;
    create("create", none, Slots::options).try_all(tally);
    create("create without O_TMPFILE", worlds::no_tmpfile, Slots::options).try_all(tally);
    create("create, prefault", none, || Slots::options().prefault(true)).try_all(tally);
    create("create, lock", none, || Slots::options().lock(true)).try_all(tally);
    create("create, another mode", none, || Slots::options().mode(0o640)).try_all(tally);
    create("create, on a disk", none, Slots::options).on_disk().try_all(tally);
    Operation::new("create, bytes", |_| (), |(), place| Records::create(place.path(), 4096))
        .done(|channel, (), place| {
            is_attached(place);
            records_work(&channel, &[]);
        })
        .failed(|(), place| nothing_there(place))
        .changes()
        .try_all(tally);
    Operation::new(
        "open_or_create, new",
        |_| (),
        |(), place| Slots::options().capacity(8).open_or_create(place.path()),
    )
    .beside(is_attached)
    .done(|channel, (), place| {
        is_attached(place);
        is_empty(&channel);
        assert_eq!(place.names(), ["region"]);
    })
    .failed(|(), place| nothing_there(place))
    .changes()
    .try_all(tally);
}

fn opening(tally: &mut Tally) {
    let open = |name, run: fn(&Place) -> Result<Slots, OpenError>| {
        Operation::new(name, slots_there, move |(), place| run(place))
            .beside(is_attached)
            .done(|channel, (), place| {
                is_attached(place);
                holds_message(&channel);
            })
            .failed(|(), place| slots_still_there(place))
    };
    open("open", |place| Slots::open(place.path())).try_all(tally);
    open("open, on a disk", |place| Slots::open(place.path())).on_disk().try_all(tally);
    open("open, prefault", |place| Slots::options().prefault(true).open(place.path())).try_all(tally);
    open("open, lock", |place| Slots::options().lock(true).open(place.path())).try_all(tally);
    open("open_or_create, there", |place| Slots::options().capacity(8).open_or_create(place.path())).try_all(tally);
    Operation::new("open without locks", slots_there, |(), place| Slots::open(place.path()))
        .world(worlds::no_locks)
        .done(|channel, (), _| holds_message(&channel))
        .failed(|(), place| slots_still_there(place))
        .try_all(tally);
    Operation::new("open, bytes", records_there, |(), place| Records::open(place.path()))
        .done(|channel, (), place| {
            is_attached(place);
            records_work(&channel, &[RECORD]);
        })
        .failed(|(), place| records_work(&Records::open(place.path()).unwrap(), &[RECORD]))
        .try_all(tally);
    Operation::new("open_read_only", values_there, |(), place| Values::open_read_only(place.path()))
        .beside(is_attached)
        .done(|channel, (), place| {
            is_attached(place);
            value_is_there(&channel);
        })
        .failed(|(), place| value_is_there(&Values::open(place.path()).unwrap()))
        .try_all(tally);
}

fn without_a_name(tally: &mut Tally) {
    let slots = || Slots::options().capacity(8);
    Operation::new("memfd", |_| (), |(), _| slots().memfd())
        .done(|channel, (), _| {
            let fd = channel.region().fd().unwrap().as_raw_fd();
            assert!(in_use(format!("/proc/self/fd/{fd}")).unwrap(), "a region that is open is not in use");
            is_empty(&channel);
        })
        .try_all(tally);
    Operation::new("anonymous", |_| (), |(), _| slots().anonymous())
        .done(|channel, (), _| is_empty(&channel))
        .try_all(tally);
    Operation::new("anonymous, bytes", |_| (), |(), _| Records::options().capacity_bytes(4096).anonymous())
        .done(|channel, (), _| records_work(&channel, &[]))
        .try_all(tally);
    Operation::new("anonymous, bytes, no mirror", |_| (), |(), _| Records::options().capacity_bytes(4096).anonymous())
        .world(worlds::no_mirror)
        .done(|channel, (), _| records_work(&channel, &[]))
        .try_all(tally);
    let memfd = |_: &Place| {
        let channel = slots().memfd().unwrap();
        channel.sender().unwrap().try_send(&MESSAGE).unwrap();
        let fd = channel.region().fd().map(|fd| fd.try_clone_to_owned().unwrap());
        (channel, fd)
    };
    Operation::new("from_fd", memfd, |(_, fd), _| Slots::from_fd(fd.take().unwrap()))
        .done(|channel, _, _| holds_message(&channel))
        .restore(|(channel, fd), _| *fd = channel.region().fd().map(|fd| fd.try_clone_to_owned().unwrap()))
        .failed(|(channel, _), _| holds_message(channel))
        .try_all(tally);
    let values = |_: &Place| {
        let channel = Values::options().memfd().unwrap();
        channel.writer().unwrap().write(&Packet::make(1)).unwrap();
        let fd = channel.region().fd().map(|fd| fd.try_clone_to_owned().unwrap());
        (channel, fd)
    };
    Operation::new("from_fd_read_only", values, |(_, fd), _| Values::options().from_fd_read_only(fd.take().unwrap()))
        .done(|channel, _, _| value_is_there(&channel))
        .restore(|(channel, fd), _| *fd = channel.region().fd().map(|fd| fd.try_clone_to_owned().unwrap()))
        .failed(|(channel, _), _| value_is_there(channel))
        .try_all(tally);
    // What is no memfd is refused, and its descriptor is closed.
    let file = |place: &Place| {
        slots_there(place);
        fd_of(place)
    };
    Operation::new("from_fd of a file", file, |fd, _| match Slots::from_fd(fd.take().unwrap()) {
        Err(error) if matches!(error.reason(), Reason::Unsealed { .. }) => Ok(()),
        Ok(_) => panic!("a file that can be truncated was taken for a memfd"),
        Err(other) => Err(other),
    })
    .restore(|fd, place| *fd = fd_of(place))
    .afterwards(slots_still_there)
    .try_all(tally);
    Operation::new(
        "inheritable_fd",
        |_: &Place| slots().memfd().unwrap(),
        |channel, _| channel.region().inheritable_fd(),
    )
    .done(|fd, _, _| is_empty(&Slots::from_fd(fd).unwrap()))
    .try_all(tally);
    let inherited = |_: &Place| slots().memfd().unwrap().region().inheritable_fd().unwrap();
    Operation::new("from_inherited_fd", inherited, |fd, _| slots().from_inherited_fd(fd.as_raw_fd()))
        .done(|channel, _, _| is_empty(&channel))
        .failed(|fd, _| is_empty(&slots().from_inherited_fd(fd.as_raw_fd()).unwrap()))
        .try_all(tally);
    over_a_socket(tally);
}

fn over_a_socket(tally: &mut Tally) {
    let connected = |_: &Place| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        (Slots::options().capacity(8).memfd().unwrap(), ours, theirs)
    };
    let receive = |socket: &UnixStream| Slots::options().from_socket(socket);
    Operation::new("send_over", connected, |(channel, ours, _), _| channel.region().send_over(ours))
        .done(move |(), (_, _, theirs), _| is_empty(&receive(theirs).unwrap()))
        .failed(|(channel, _, _), _| is_empty(channel))
        .try_all(tally);
    let sent = move |place: &Place| {
        let (channel, ours, theirs) = connected(place);
        channel.region().send_over(&ours).unwrap();
        (channel, ours, theirs)
    };
    Operation::new("from_socket", sent, move |(_, _, theirs), _| receive(theirs))
        .done(|channel, _, _| is_empty(&channel))
        // A message that is still there keeps a descriptor, and the next would be behind it.
        .restore(move |(channel, ours, theirs), _| {
            drop(receive(theirs));
            channel.region().send_over(ours).unwrap();
        })
        .failed(|(channel, _, _), _| is_empty(channel))
        .try_all(tally);
}

fn huge(tally: &mut Tally) {
    let _pool = match Enlarged::by(8) {
        Ok(pool) => pool,
        Err(why) => return skip(&format!("faults of huge pages: {why}")),
    };
    let slots = || Slots::options().capacity(8).huge_pages(true);
    let records = || Records::options().capacity_bytes(8).huge_pages(true);
    Operation::new("memfd, huge", |_| (), |(), _| slots().memfd())
        .done(|channel, (), _| is_empty(&channel))
        .try_all(tally);
    Operation::new("anonymous, huge", |_| (), |(), _| slots().anonymous())
        .done(|channel, (), _| is_empty(&channel))
        .try_all(tally);
    Operation::new("anonymous, bytes, huge", |_| (), |(), _| records().anonymous())
        .done(|channel, (), _| drop(channel.sender().unwrap()))
        .try_all(tally);
}
