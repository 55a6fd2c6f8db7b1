//! Deaths of a ring's sender and receiver, awake.

use super::*;

/// Hears of an end as an endpoint does: told once.
fn hear(control: &Control, s: &mut State, end: End) {
    let (End::Left(generation) | End::Died(generation)) = end;
    control.consumed.told.store(generation, Relaxed);
    if let End::Died(generation) = end {
        s.baseline = generation;
    }
}

/// A sender dies between its claim and the end of its leaving; its successor comes before or after the
/// receiver has drained.
fn sender_dies<R: Ring>(batch: bool, successor_first: bool) {
    let operation = if batch { "send a batch of two" } else { "send, send" };
    let name = format!("{}: {operation}, leave; successor first: {successor_first}", R::NAME);
    at_every_step(&name, move |kernel, run| {
        let ring = R::small();
        let claim = kernel.claim(ring.control(), SENDER, VICTIM);
        let mut s = ring.sender(claim);
        let (sending, victims) = (ring.clone(), kernel.clone());
        let victim = run.run(kernel, move || {
            if batch {
                sending.send_batch(&mut s);
                (1..=2).for_each(|n| victims.returns(n));
            } else {
                for n in 1..=2 {
                    sending.send(&mut s, n).unwrap();
                    victims.returns(n);
                }
            }
            leave(sending.control(), SENDER, claim);
        });
        let mut r = ring.receiver(Claim { word: HOLDER, generation: 1 });
        let mut received = 0;
        if let Ok(n) = ring.recv(&mut r) {
            received += 1;
            assert_eq!(n, received);
        }
        victim.wait();
        let control = ring.control();
        let left = seat::is_free(&control.seats[SENDER]);
        let mut successor = None;
        let mut succeed = || {
            let s = successor.get_or_insert_with(|| {
                let claim = kernel.claim(control, SENDER, SUCCESSOR);
                assert_eq!(claim.generation, 2);
                ring.sender(claim)
            });
            // With two in the ring already, there may be no room yet.
            ring.send(s, 9).is_ok()
        };
        let mut sent = successor_first && succeed();
        kernel.inquire(control, SENDER);
        let committed = kernel.returned().len() as u64;
        let mut ends = Vec::new();
        let mut nine = false;
        for _ in 0..8 {
            match ring.recv(&mut r) {
                Ok(9) => {
                    nine = true;
                    assert!(left || !ends.is_empty(), "a successor's message before the news");
                }
                Ok(n) => {
                    received += 1;
                    assert_eq!((n, ends.len(), nine), (received, 0, false));
                }
                Err(Stop::Ended(end)) => {
                    hear(control, &mut r, end);
                    ends.push(end);
                }
                Err(stop) => {
                    assert_eq!(stop, Stop::Blocked);
                    sent = sent || succeed();
                    assert!(sent, "no room in an empty ring");
                }
            }
            // One that left is told of until a successor sits.
            if !sent && !ends.is_empty() {
                sent = succeed();
            }
        }
        let under_way = if batch { 2 } else { 1 };
        assert!((committed..=committed + under_way).contains(&received), "{received} of {committed}");
        assert!(nine, "the successor's message is lost");
        let s = successor.expect("a successor, that sent");
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
    for (batch, successor_first) in [(false, false), (false, true), (true, false), (true, true)] {
        sender_dies::<SlotRing<[u64; 2]>>(batch, successor_first);
    }
}

#[test]
fn records_sender_dies_anywhere() {
    for (batch, successor_first) in [(false, false), (false, true), (true, false), (true, true)] {
        sender_dies::<RecordRing>(batch, successor_first);
    }
}

/// A receiver dies between its claim and the end of its leaving, while the sender goes on.
fn receiver_dies<R: Ring>(lent: bool) {
    let name = format!("{}: recv, recv, leave; lent: {lent}", R::NAME);
    at_every_step(&name, move |kernel, run| {
        let ring = R::small();
        let mut s = ring.sender(kernel.claim(ring.control(), SENDER, SURVIVOR));
        (1..=2).for_each(|n| ring.send(&mut s, n).unwrap());
        let claim = kernel.claim(ring.control(), RECEIVER, VICTIM);
        let mut r = ring.receiver(claim);
        let (receiving, victims) = (ring.clone(), kernel.clone());
        let victim = run.run(kernel, move || {
            for n in 1..=2 {
                let found = if lent { receiving.recv_lent(&mut r).map(|(n, _)| n) } else { receiving.recv(&mut r) };
                assert_eq!(found, Ok(n));
                victims.returns(n);
            }
            leave(receiving.control(), RECEIVER, claim);
        });
        let mut sent = 2;
        if ring.send(&mut s, 3).is_ok() {
            sent = 3;
        }
        victim.wait();
        let control = ring.control();
        let left = seat::is_free(&control.seats[RECEIVER]);
        kernel.inquire(control, RECEIVER);
        // Fill it up, and hear of the death once.
        let mut ends = Vec::new();
        for _ in 0..5 {
            match ring.send(&mut s, sent + 1) {
                Ok(()) => sent += 1,
                Err(Stop::Ended(end)) => {
                    ends.push(end);
                    if let End::Died(generation) = end {
                        s.baseline = generation;
                    }
                }
                Err(stop) => assert_eq!(stop, Stop::Blocked),
            }
        }
        match left {
            true => assert!(ends.iter().all(|end| *end == End::Left(1)), "{ends:?}"),
            false => assert_eq!(ends, [End::Died(1)]),
        }
        let returned = kernel.returned().len() as u64;
        let head = control.consumed.head.load(Relaxed);
        let in_hands = lent && control.consumed.handed.load(Relaxed) == head;
        let mut r = ring.receiver(kernel.claim(control, RECEIVER, SUCCESSOR));
        let consumed = ring.received(&r);
        assert_eq!(ring.lens(&s, &r), (sent - consumed, sent - consumed));
        let (first, again) = match ring.recv_lent(&mut r) {
            Ok(found) => found,
            Err(stop) => {
                assert!(matches!(stop, Stop::Blocked), "{stop:?}");
                (sent + 1, false)
            }
        };
        assert!((returned + 1..=returned + 2).contains(&first), "{first} after {returned}");
        assert_eq!(first, consumed + 1, "a count is wrong");
        assert_eq!(again, in_hands && first <= sent);
        // The sender filled it up; on a mapping, a record ring has more words than were asked for.
        assert!(left || first + 1 == sent || cfg!(not(loom)), "{first} of {sent}: a message is lost");
        for n in first + 1..=sent {
            assert_eq!(ring.recv(&mut r), Ok(n));
        }
    });
}

#[test]
fn slots_receiver_dies_anywhere() {
    receiver_dies::<SlotRing<[u64; 2]>>(false);
    receiver_dies::<SlotRing<[u64; 2]>>(true);
}

#[test]
fn records_receiver_dies_anywhere() {
    receiver_dies::<RecordRing>(false);
    receiver_dies::<RecordRing>(true);
}

/// Whoever dies with a message lent leaves word of it.
#[test]
fn a_message_that_was_lent_is_delivered_again_and_marked() {
    explore(|| {
        let ring = slot_ring(2);
        let mut s = ring.model_sender();
        ring.model_send(&mut s, [1, 1]).unwrap();
        let mut first = ring.model_receiver();
        ring.peek(&mut first).unwrap();
        assert!(!lend(&ring.control, &mut first));
        let mut successor = ring.model_receiver();
        assert!(successor.redelivers());
        ring.peek(&mut successor).unwrap();
        assert!(lend(&ring.control, &mut successor));
        ring.consume(&mut successor);
        assert!(!successor.redelivers() && !ring.model_receiver().redelivers());
    });
}

/// P4: who hears of a death has seen all that the dead did, whoever asked the kernel.
#[test]
fn slots_death_is_told_last() {
    explore(|| {
        let kernel = Kernel::new();
        let ring = slot_ring(2);
        let claim = kernel.claim(&ring.control, SENDER, VICTIM);
        let mut s = ring.sender(claim);
        let (sending, kernels) = (ring.clone(), kernel.clone());
        let asker = thread::spawn(move || {
            // What the victim did lies before the kernel's word, and that before `died`.
            sending.reserve(&mut s).unwrap();
            sending.slot(&s).write(&[1u64, !1]);
            sending.publish(&mut s);
            kernels.0.victim_is_gone.store(true, Release);
            kernels.inquire(&sending.control, SENDER);
        });
        let mut r = ring.model_receiver();
        let first = ring.recv(&mut r);
        assert!(matches!(first, Ok(1) | Err(Stop::Blocked)), "told before it was drained: {first:?}");
        asker.join().unwrap();
        if first.is_err() {
            assert_eq!(ring.recv(&mut r), Ok(1));
        }
        assert_eq!(ring.recv(&mut r), Err(Stop::Ended(End::Died(1))));
    });
}

/// Who counts while a sender dies over a batch, and its successor fills the gap alone, counts none that was taken back.
#[test]
fn slots_end_across_a_succession() {
    at_every_step("spsc: send a batch of two, counted all the while", |kernel, run| {
        let ring = slot_ring(3);
        let claim = kernel.claim(&ring.control, SENDER, VICTIM);
        let mut s = ring.sender(claim);
        let sending = ring.clone();
        let victim = run.run(kernel, move || {
            sending.send_batch(&mut s);
            leave(&sending.control, SENDER, claim);
        });
        let counting = ring.clone();
        let counter = thread::spawn(move || counting.end(FIRST) - FIRST);
        victim.wait();
        let mut s = ring.sender(kernel.claim(&ring.control, SENDER, SUCCESSOR));
        let committed = s.pos - FIRST;
        ring.send(&mut s, 9).unwrap();
        let counted = counter.join().unwrap();
        assert!(counted <= committed + 1, "{counted} messages, of which {committed} and one were ever there");
    });
}
