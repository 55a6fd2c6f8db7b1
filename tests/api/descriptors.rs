//! Regions that are passed on by their descriptors: over a socket, and by inheritance.

use std::io::{IoSlice, Write, pipe};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use ringway::{OpenError, Reason, bytes, spsc};

use crate::common::child::in_child;
use crate::common::dirs::{file_in, shm_dir};
use crate::common::proc::maps;

type Slots = spsc::Channel<u64>;

fn memfd() -> Slots {
    Slots::options().capacity(2).memfd().unwrap()
}

/// A message gets from one channel to the other.
fn are_one(there: &Slots, here: &Slots) {
    there.sender().unwrap().send(&7).unwrap();
    assert_eq!(here.receiver().unwrap().recv(), Ok(7));
}

/// Receives from a socket, which fails and leaves nothing behind. Only a process of one thread can tell.
fn receive_error(socket: impl AsFd) -> OpenError {
    let before = held();
    let error = Slots::options().from_socket(socket).unwrap_err();
    assert_eq!(held(), before, "{error}");
    error
}

/// The descriptors of this process, and the bytes of memfds that it maps.
fn held() -> (usize, u64) {
    let mapped = maps().into_iter().filter(|map| map.what.starts_with("/memfd:")).map(|map| map.len()).sum();
    (std::fs::read_dir("/proc/self/fd").unwrap().count(), mapped)
}

fn flags(fd: BorrowedFd<'_>) -> FdFlag {
    FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD).unwrap())
}

#[track_caller]
fn says(error: &OpenError, text: &str) {
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn a_memfd_crosses_a_socket_of_any_type() {
    let channel = memfd();
    let (ours, theirs) = UnixStream::pair().unwrap();
    channel.region().send_over(&ours).unwrap();
    let received = Slots::options().from_socket(&theirs).unwrap();
    assert_eq!(flags(received.region().fd().unwrap()), FdFlag::FD_CLOEXEC);
    are_one(&channel, &received);
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    channel.region().send_over(&ours).unwrap();
    are_one(&channel, &Slots::options().from_socket(&theirs).unwrap());
}

/// A socket may bring more with each message: who sent it, a descriptor of that process, a label, a time.
#[test]
fn what_a_socket_brings_along_is_closed() {
    const SO_PASSPIDFD: i32 = 76; // since Linux 6.5
    let along = [libc::SO_PASSCRED, SO_PASSPIDFD, libc::SO_PASSSEC, libc::SO_TIMESTAMP];
    in_child("child", || {
        let channel = memfd();
        for set in 0..1 << along.len() {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            for (bit, option) in along.into_iter().enumerate() {
                if set & 1 << bit != 0 {
                    switch_on(&theirs, option);
                }
            }
            let before = held();
            ours.write_all(b"!").unwrap();
            channel.region().send_over(&ours).unwrap();
            says(&receive_error(&theirs), "no descriptor came");
            are_one(&channel, &Slots::options().from_socket(&theirs).unwrap());
            assert_eq!(held(), before, "{set}");
        }
    });
}

/// Switches on an option of the socket, if the kernel has it.
fn switch_on(socket: &UnixStream, option: i32) {
    let (on, len) = (1_i32, size_of::<i32>() as u32);
    // SAFETY: the kernel reads the value.
    unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const on).cast(), len) };
}

/// Another socket takes the byte and loses the descriptor.
#[test]
fn only_unix_sockets_carry_descriptors() {
    let channel = memfd();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    says(&channel.region().send_over(&ours).unwrap_err(), "it is no Unix socket");
    says(&Slots::options().from_socket(&ours).unwrap_err(), "it is no Unix socket");
    let (reader, _writer) = pipe().unwrap();
    says(&channel.region().send_over(&reader).unwrap_err(), "Socket operation on non-socket");
}

#[test]
fn an_empty_datagram_is_no_end() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    ours.send(b"").unwrap();
    says(&Slots::options().from_socket(&theirs).unwrap_err(), "no descriptor came");
}

/// A daemon has closed them, and whoever prints writes into what got their numbers.
#[test]
fn no_region_gets_the_number_of_the_standard_output() {
    in_child("child", || {
        let channel = memfd();
        let (ours, theirs) = UnixStream::pair().unwrap();
        channel.region().send_over(&ours).unwrap();
        // SAFETY: nothing in this process uses it any more.
        drop(unsafe { OwnedFd::from_raw_fd(1) });
        let received = Slots::options().from_socket(&theirs).unwrap();
        assert!(received.region().fd().unwrap().as_raw_fd() > 2);
        are_one(&channel, &received);
    });
}

/// Each takes one byte, so what follows on the socket is not touched.
#[test]
fn many_regions_cross_one_socket_in_order() {
    in_child("child", || {
        let (one, two) = (memfd(), bytes::Channel::options().capacity_bytes(64).memfd().unwrap());
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        one.region().send_over(&ours).unwrap();
        two.region().send_over(&ours).unwrap();
        ours.write_all(b"!").unwrap();
        are_one(&one, &Slots::options().from_socket(&theirs).unwrap());
        assert_eq!(bytes::Channel::options().from_socket(&theirs).unwrap().region().id(), two.region().id());
        says(&receive_error(&theirs), "no descriptor came with the message");
    });
}

#[test]
fn only_a_memfd_is_sent() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let dir = shm_dir();
    let file = Slots::create(file_in(&dir), 2).unwrap();
    let error = file.region().send_over(&ours).unwrap_err();
    assert!(matches!(error.reason(), Reason::NamedFile), "{error}");
    let anonymous = Slots::options().capacity(2).anonymous().unwrap();
    for region in [anonymous.region(), memfd().snapshot().unwrap().region()] {
        let error = region.send_over(&ours).unwrap_err();
        assert!(matches!(error.reason(), Reason::Anonymous), "{error}");
    }
}

#[test]
fn what_is_no_region_on_a_socket_is_refused_and_closed() {
    in_child("child", || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let send = |fds: &[&dyn AsFd]| {
            let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd().as_raw_fd()).collect();
            let rights = [ControlMessage::ScmRights(&fds)];
            sendmsg::<()>(ours.as_raw_fd(), &[IoSlice::new(b"!")], &rights, MsgFlags::empty(), None).unwrap();
        };
        let (reader, _writer) = pipe().unwrap();
        let channel = memfd();
        send(&[&reader]);
        assert!(matches!(receive_error(&theirs).reason(), Reason::Unsealed { found: 0, .. }));
        // More than the one that is wanted are closed, however many.
        let fd = channel.region().fd().unwrap();
        for more in [vec![&reader as &dyn AsFd; 1], vec![&reader; 2], vec![&reader; 200]] {
            send(&[&[&reader as &dyn AsFd], &more[..]].concat());
            receive_error(&theirs);
            let before = held();
            send(&[&[&fd as &dyn AsFd], &more[..]].concat());
            are_one(&channel, &Slots::options().from_socket(&theirs).unwrap());
            assert_eq!(held(), before);
        }
        drop(ours);
        says(&receive_error(&theirs), "the other side closed the socket");
        says(&receive_error(&reader), "getsockopt(SO_DOMAIN) failed: Socket operation on non-socket");
    });
}

#[test]
fn a_socket_that_cannot_take_or_give_is_an_error() {
    in_child("child", || {
        // SAFETY: the default action runs no code.
        unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.unwrap();
        let channel = memfd();
        let (ours, theirs) = UnixStream::pair().unwrap();
        for socket in [&ours, &theirs] {
            socket.set_nonblocking(true).unwrap();
        }
        says(&receive_error(&theirs), "recvmsg failed: Resource temporarily unavailable");
        channel.region().send_over(&ours).unwrap();
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 3, most).unwrap();
        let error = Slots::options().from_socket(&theirs).unwrap_err();
        setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
        says(&error, "raise RLIMIT_NOFILE");
        let full = (0..).find_map(|_| channel.region().send_over(&ours).err()).unwrap();
        says(&full, "sendmsg failed:");
        drop(theirs);
        says(&channel.region().send_over(&ours).unwrap_err(), "sendmsg failed: Broken pipe");
    });
}

#[test]
fn a_descriptor_is_inherited_by_its_number() {
    in_child("child", || {
        let channel = memfd();
        let inherited: OwnedFd = channel.region().inheritable_fd().unwrap();
        assert_eq!(flags(inherited.as_fd()), FdFlag::empty());
        let before = held();
        let opened = Slots::options().from_inherited_fd(inherited.as_raw_fd()).unwrap();
        assert_eq!(flags(inherited.as_fd()), FdFlag::FD_CLOEXEC, "the programs started from here inherit it");
        are_one(&channel, &opened);
        drop(opened);
        assert_eq!(held(), before, "the number was closed, or more is left");
        let number = inherited.into_raw_fd();
        are_one(&channel, &Slots::options().from_inherited_fd(number).unwrap());
    });
}

#[test]
fn a_number_that_is_no_open_file_is_refused() {
    in_child("child", || {
        for number in [-1, i32::MAX, i32::MIN] {
            says(&Slots::options().from_inherited_fd(number).unwrap_err(), "no file is open under this number");
        }
        let (reader, writer) = pipe().unwrap();
        let before = held();
        // A descriptor that is no region's stays as it is.
        let writer = writer.try_clone().unwrap();
        fcntl(&writer, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        assert!(Slots::options().from_inherited_fd(writer.as_raw_fd()).is_err());
        assert_eq!(flags(writer.as_fd()), FdFlag::empty());
        drop(writer);
        let error = Slots::options().from_inherited_fd(reader.as_raw_fd()).unwrap_err();
        assert!(matches!(error.reason(), Reason::Unsealed { found: 0, .. }), "{error}");
        assert_eq!(held(), before);
    });
}
