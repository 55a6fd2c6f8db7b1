//! Deaths of a ring's sender and receiver while the peer is awake.

use super::*;

/// How a victim sends two messages.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sends {
    Singly,
    Batch,
    InPlace,
}

impl Sends {
    fn name(self) -> &'static str {
        match self {
            Sends::Singly => "send, send",
            Sends::Batch => "send a batch of two",
            Sends::InPlace => "send two in place",
        }
    }

    /// Sends 1 and 2, and records each success that the caller sees.
    fn send_two<R: Ring>(self, ring: &R, s: &mut State, kernel: &Kernel) {
        match self {
            Sends::Singly => (1..=2).for_each(|n| {
                ring.send(s, n).unwrap();
                kernel.returns(n);
            }),
            Sends::Batch => ring.send_batch(s),
            Sends::InPlace => ring.send_in_place(s),
        }
        if self != Sends::Singly {
            (1..=2).for_each(|n| kernel.returns(n));
        }
    }
}

/// The sender after a victim. It takes the seat when it first tries to send.
struct Successor<'a, R> {
    ring: &'a R,
    kernel: &'a Kernel,
    state: Option<State>,
    has_sent: bool,
}

impl<R: Ring> Successor<'_, R> {
    /// Sends 9, once. If messages of the victim fill the ring, there is no room yet.
    fn try_send(&mut self) {
        if self.has_sent {
            return;
        }
        let s = self.state.get_or_insert_with(|| {
            let claim = self.kernel.claim(&self.ring.ends().sender_side(), SUCCESSOR);
            assert_eq!(claim.generation, 2);
            self.ring.sender(claim)
        });
        self.has_sent = self.ring.send(s, 9).is_ok();
    }
}

/// A sender dies anywhere between its claim and the end of its leaving. Its successor comes before or after the
/// receiver has drained the ring.
fn sender_dies<R: Ring>(sends: Sends, successor_first: bool) {
    let name = format!("{}: {}, leave; successor first: {successor_first}", R::NAME, sends.name());
    at_every_step(&name, move |kernel, crash| {
        let ring = R::small();
        let claim = kernel.claim(&ring.ends().sender_side(), VICTIM);
        let mut s = ring.sender(claim);
        let (sending, thread_kernel) = (ring.clone(), kernel.clone());
        let victim = crash.run(kernel, move || {
            sends.send_two(&sending, &mut s, &thread_kernel);
            sending.ends().sender_side().leave(claim.word, false);
        });
        let mut r = ring.receiver(Claim { word: HOLDER, generation: 1 });
        let mut received = 0;
        if let Ok(n) = ring.recv(&mut r) {
            received += 1;
            assert_eq!(n, received);
        }
        victim.wait();
        let (sender, receiver) = (ring.ends().sender_side(), ring.ends().receiver_side());
        let left = seat::is_free(&sender.seat);
        let mut successor = Successor { ring: &ring, kernel, state: None, has_sent: false };
        if successor_first {
            successor.try_send();
        }
        kernel.check_peer(&receiver);
        let committed = kernel.returned().len() as u64;
        let mut ends = Vec::new();
        let mut nine = false;
        for _ in 0..8 {
            match ring.recv(&mut r) {
                Ok(9) => {
                    nine = true;
                    assert!(left || !ends.is_empty(), "a successor's message before the end was reported");
                }
                Ok(n) => {
                    received += 1;
                    assert_eq!((n, ends.len(), nine), (received, 0, false));
                }
                Err(Stop::Ended(end)) => {
                    receiver.report_end(&mut r, end);
                    ends.push(end);
                }
                Err(stop) => {
                    assert_eq!(stop, Stop::Blocked);
                    successor.try_send();
                    assert!(successor.has_sent, "no room in an empty ring");
                }
            }
            // A leaving is reported until a successor takes the seat.
            if !ends.is_empty() {
                successor.try_send();
            }
        }
        let under_way = if sends == Sends::Singly { 1 } else { 2 };
        assert!((committed..=committed + under_way).contains(&received), "{received} of {committed}");
        assert!(nine, "the successor's message is lost");
        let s = successor.state.expect("a successor that sent");
        assert_eq!((ring.sent(&s), ring.received(&r)), (received + 1, received + 1), "a count is wrong");
        assert_eq!(ring.lens(&s, &r), (0, 0));
        match left {
            true => assert!(ends.is_empty() || ends == [End::Left(1)], "{ends:?}"),
            false => assert_eq!(ends, [End::Died(1)]),
        }
    });
}

#[test]
fn slots_sender_dies_anywhere() {
    for sends in [Sends::Singly, Sends::Batch, Sends::InPlace] {
        for successor_first in [false, true] {
            sender_dies::<Slots>(sends, successor_first);
        }
    }
}

#[test]
fn records_sender_dies_anywhere() {
    for sends in [Sends::Singly, Sends::Batch] {
        for successor_first in [false, true] {
            sender_dies::<RecordRing>(sends, successor_first);
        }
    }
}

/// How a victim receives two messages.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Receives {
    Singly,
    Lent,
    Both,
}

impl Receives {
    fn name(self) -> &'static str {
        match self {
            Receives::Singly => "recv, recv",
            Receives::Lent => "recv in place, twice",
            Receives::Both => "look at two, consume both",
        }
    }

    /// Receives 1 and 2, and records each message that the caller gets.
    fn receive_two<R: Ring>(self, ring: &R, r: &mut State, kernel: &Kernel) {
        if self == Receives::Both {
            ring.recv_both(r);
            (1..=2).for_each(|n| kernel.returns(n));
            return;
        }
        for n in 1..=2 {
            let found = match self {
                Receives::Lent => ring.recv_lent(r).map(|(n, _)| n),
                _ => ring.recv(r),
            };
            assert_eq!(found, Ok(n));
            kernel.returns(n);
        }
    }
}

/// A receiver dies anywhere between its claim and the end of its leaving, while the sender goes on.
fn receiver_dies<R: Ring>(receives: Receives) {
    let name = format!("{}: {}, leave", R::NAME, receives.name());
    at_every_step(&name, move |kernel, crash| {
        let ring = R::small();
        let mut s = ring.sender(kernel.claim(&ring.ends().sender_side(), SURVIVOR));
        (1..=2).for_each(|n| ring.send(&mut s, n).unwrap());
        let claim = kernel.claim(&ring.ends().receiver_side(), VICTIM);
        let mut r = ring.receiver(claim);
        let (receiving, thread_kernel) = (ring.clone(), kernel.clone());
        let victim = crash.run(kernel, move || {
            receives.receive_two(&receiving, &mut r, &thread_kernel);
            receiving.ends().receiver_side().leave(claim.word, false);
        });
        let mut sent = 2;
        if ring.send(&mut s, 3).is_ok() {
            sent = 3;
        }
        victim.wait();
        let (sender, receiver) = (ring.ends().sender_side(), ring.ends().receiver_side());
        let left = seat::is_free(&receiver.seat);
        kernel.check_peer(&sender);
        // The sender fills the ring, and gets the death reported once.
        let mut ends = Vec::new();
        for _ in 0..5 {
            match ring.send(&mut s, sent + 1) {
                Ok(()) => sent += 1,
                Err(Stop::Ended(end)) => {
                    ends.push(end);
                    sender.report_end(&mut s, end);
                }
                Err(stop) => assert_eq!(stop, Stop::Blocked),
            }
        }
        match left {
            true => assert!(ends.iter().all(|end| *end == End::Left(1)), "{ends:?}"),
            false => assert_eq!(ends, [End::Died(1)]),
        }
        let returned = kernel.returned().len() as u64;
        let line = &ring.ends().lane.receiver_line;
        let was_lent = receives != Receives::Singly && line.lent.load(Relaxed) >= line.head.load(Relaxed);
        let mut r = ring.receiver(kernel.claim(&receiver, SUCCESSOR));
        let consumed = ring.received(&r);
        assert_eq!(ring.lens(&s, &r), (sent - consumed, sent - consumed));
        let (first, again) = match ring.recv_lent(&mut r) {
            Ok(found) => found,
            Err(stop) => {
                assert!(matches!(stop, Stop::Blocked), "{stop:?}");
                (sent + 1, false)
            }
        };
        let under_way = if receives == Receives::Both { 2 } else { 1 };
        assert!((returned + 1..=returned + 1 + under_way).contains(&first), "{first} after {returned}");
        assert_eq!(first, consumed + 1, "a count is wrong");
        assert_eq!(again, was_lent && first <= sent);
        // The sender filled the ring; on a mapping, a record ring has more words than requested.
        assert!(left || first + 1 == sent || cfg!(not(loom)), "{first} of {sent}: a message is lost");
        for n in first + 1..=sent {
            assert_eq!(ring.recv(&mut r), Ok(n));
        }
    });
}

#[test]
fn slots_receiver_dies_anywhere() {
    for receives in [Receives::Singly, Receives::Lent, Receives::Both] {
        receiver_dies::<Slots>(receives);
    }
}

#[test]
fn records_receiver_dies_anywhere() {
    for receives in [Receives::Singly, Receives::Lent, Receives::Both] {
        receiver_dies::<RecordRing>(receives);
    }
}

/// A receiver that dies while a message is lent leaves a mark for its successor.
#[test]
fn a_message_that_was_lent_is_delivered_again_and_marked() {
    explore(|| {
        let ring = slot_ring(2);
        let mut s = ring.model_sender();
        ring.model_send(&mut s, [1, 1]).unwrap();
        let mut first = ring.model_receiver();
        ring.find(&mut first).unwrap();
        assert!(!ring.ends.lend(&mut first, FIRST));
        let mut successor = ring.model_receiver();
        assert!(successor.redelivers());
        ring.find(&mut successor).unwrap();
        assert!(ring.ends.lend(&mut successor, FIRST));
        ring.consume(&mut successor);
        assert!(!successor.redelivers() && !ring.model_receiver().redelivers());
    });
}

/// P4: a process that sees a death has seen everything that the dead one did, no matter which process asked the kernel.
#[test]
fn slots_death_is_reported_last() {
    explore(|| {
        let kernel = Kernel::new();
        let ring = slot_ring(2);
        let claim = kernel.claim(&ring.ends.sender_side(), VICTIM);
        let mut s = ring.sender(claim);
        let (sending, thread_kernel) = (ring.clone(), kernel.clone());
        let asker = thread::spawn(move || {
            // The victim's work comes before the kernel's answer, and that before `died`.
            sending.look_for_space(&mut s).unwrap();
            sending.slot(&s).write(&[1u64, !1]);
            sending.publish(&mut s);
            thread_kernel.0.victim_is_gone.store(true, Release);
            thread_kernel.check_peer(&sending.ends.receiver_side());
        });
        let mut r = ring.model_receiver();
        let first = ring.recv(&mut r);
        assert!(matches!(first, Ok(1) | Err(Stop::Blocked)), "reported before it was drained: {first:?}");
        asker.join().unwrap();
        if first.is_err() {
            assert_eq!(ring.recv(&mut r), Ok(1));
        }
        assert_eq!(ring.recv(&mut r), Err(Stop::Ended(End::Died(1))));
    });
}

/// A sender dies while it sends a batch, and its successor fills only the gap. A concurrent count includes no message
/// that was taken back.
#[test]
fn slots_end_across_a_succession() {
    at_every_step("spsc: send a batch of two, counted all the while", |kernel, crash| {
        let ring = slot_ring(3);
        let claim = kernel.claim(&ring.ends.sender_side(), VICTIM);
        let mut s = ring.sender(claim);
        let sending = ring.clone();
        let victim = crash.run(kernel, move || {
            sending.send_batch(&mut s);
            sending.ends.sender_side().leave(claim.word, false);
        });
        let counting = ring.clone();
        let counter = thread::spawn(move || counting.end(FIRST) - FIRST);
        victim.wait();
        let mut s = ring.sender(kernel.claim(&ring.ends.sender_side(), SUCCESSOR));
        let committed = s.pos - FIRST;
        ring.send(&mut s, 9).unwrap();
        let counted = counter.join().unwrap();
        assert!(counted <= committed + 1, "{counted} messages, of which {committed} and one were ever there");
    });
}
