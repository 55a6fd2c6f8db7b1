//! Deaths while the peer sleeps, and deaths of a sleeper.

use super::*;

/// A sender dies while the receiver sleeps, also between a message and its wake-up.
fn sleeping_receiver_survives<R: Ring>() {
    at_every_step(&format!("{}: send, leave; the receiver sleeps", R::NAME), |kernel, crash| {
        let ring = R::small();
        let claim = kernel.claim(&ring.ends().sender_side(), VICTIM);
        let mut s = ring.sender(claim);
        let mut r = ring.receiver(Claim { word: HOLDER, generation: 1 });
        let (sending, thread_kernel) = (ring.clone(), kernel.clone());
        let (receiving, asking) = (ring.clone(), kernel.clone());
        let receiver = thread::spawn(move || {
            let side = receiving.ends().receiver_side();
            let mut got = Vec::new();
            loop {
                let poll = || or_blocked(receiving.recv(&mut r));
                match sleep_until(ParkOn::Own(&side.own_word), poll, || asking.check_peer(&side)) {
                    Ok(n) => got.push(n),
                    Err(Stop::Ended(end)) => return (got, end),
                    other => panic!("{other:?}"),
                }
            }
        });
        let victim = crash.run(kernel, move || {
            sending.send(&mut s, 1).unwrap();
            thread_kernel.returns(1);
            sending.ends().sender_side().leave(claim.word, false);
        });
        victim.wait();
        time_passes();
        let (got, end) = receiver.join().unwrap();
        let left = seat::is_free(&ring.ends().lane.sender);
        assert_eq!(end, if left { End::Left(1) } else { End::Died(1) });
        assert!(got.len() >= kernel.returned().len() && got.iter().all(|n| *n == 1) && got.len() <= 1);
    });
}

#[test]
fn slots_sleeping_receiver_survives() {
    sleeping_receiver_survives::<Slots>();
}

#[test]
fn records_sleeping_receiver_survives() {
    sleeping_receiver_survives::<RecordRing>();
}

/// A receiver dies while the sender sleeps for space, also between a consumption and its wake-up.
fn sleeping_sender_survives<R: Ring>() {
    at_every_step(&format!("{}: recv, leave; the sender sleeps", R::NAME), |kernel, crash| {
        let ring = R::small();
        let mut s = ring.sender(kernel.claim(&ring.ends().sender_side(), SURVIVOR));
        (1..=2).for_each(|n| ring.send(&mut s, n).unwrap());
        let claim = kernel.claim(&ring.ends().receiver_side(), VICTIM);
        let mut r = ring.receiver(claim);
        let (sending, asking) = (ring.clone(), kernel.clone());
        let sender = thread::spawn(move || {
            let side = sending.ends().sender_side();
            let mut sent = 2;
            loop {
                let poll = || or_blocked(sending.send(&mut s, sent + 1));
                match sleep_until(ParkOn::Own(&side.own_word), poll, || asking.check_peer(&side)) {
                    Ok(()) => sent += 1,
                    Err(Stop::Ended(end)) => return (sent, end),
                    other => panic!("{other:?}"),
                }
            }
        });
        let (receiving, thread_kernel) = (ring.clone(), kernel.clone());
        let victim = crash.run(kernel, move || {
            assert_eq!(receiving.recv(&mut r), Ok(1));
            thread_kernel.returns(1);
            receiving.ends().receiver_side().leave(claim.word, false);
        });
        victim.wait();
        time_passes();
        let (sent, end) = sender.join().unwrap();
        let left = seat::is_free(&ring.ends().receiver);
        assert_eq!(end, if left { End::Left(1) } else { End::Died(1) });
        let returned = kernel.returned().len() as u64;
        // On a mapping, a record ring has more words than requested.
        assert!((2..=returned + 3).contains(&sent) || cfg!(not(loom)), "{sent} sent, {returned} received");
    });
}

#[test]
fn slots_sleeping_sender_survives() {
    sleeping_sender_survives::<Slots>();
}

#[test]
fn records_sleeping_sender_survives() {
    sleeping_sender_survives::<RecordRing>();
}

/// A writer dies while a reader sleeps, also between a value and its wake-up.
#[test]
fn cell_sleeping_reader_survives() {
    at_every_step("seqlock: write, leave; a reader sleeps", |kernel, crash| {
        let cells = cells(4);
        let claim = kernel.claim(&cells.writer_side(), VICTIM);
        let mut s = cells.writer_state(claim.word).unwrap();
        let (reading, asking) = (cells.clone(), kernel.clone());
        let reader = thread::spawn(move || {
            // A reader may only read, so it keeps the kernel's answer to itself.
            let died = std::cell::Cell::new(0);
            let check_peer = || {
                let dead = seat::dead_holder(&reading.lane.sender, |word| asking.gone(word));
                died.set(dead.unwrap_or(0));
            };
            let mut seen = 0;
            loop {
                let poll = || or_blocked(reading.look_for_change(seen, 0, died.get()));
                match sleep_until(ParkOn::Shared(&reading.lane.data_wait), poll, check_peer) {
                    Ok(version) => seen = version,
                    Err(Stop::Ended(end)) => return (seen, end),
                    other => panic!("{other:?}"),
                }
            }
        });
        let (writing, thread_kernel) = (cells.clone(), kernel.clone());
        let victim = crash.run(kernel, move || {
            writing.model_write(&mut s, [1, 1]).unwrap();
            thread_kernel.returns(1);
            writing.writer_side().leave(claim.word, false);
        });
        victim.wait();
        time_passes();
        let (seen, end) = reader.join().unwrap();
        let left = seat::is_free(&cells.lane.sender);
        assert_eq!(end, if left { End::Left(1) } else { End::Died(1) });
        assert_eq!(cells.latest(), seen, "reported before its last value");
    });
}

/// A receiver dies as it goes to sleep, or while asleep. An awake sender pays for at most one wake-up.
#[test]
fn a_sleeper_that_dies_costs_one_wake_up() {
    at_every_step("spsc: recv, asleep", |kernel, crash| {
        let ring = slot_ring(2);
        let mut s = ring.model_sender();
        let mut r = ring.model_receiver();
        let receiving = ring.clone();
        let victim = crash.run(kernel, move || {
            let mut polls = 0;
            let poll = || {
                polls += 1;
                receiving.recv(&mut r).ok().or((polls == 3).then_some(0))
            };
            sleep_until(ParkOn::Own(&receiving.ends.lane.data_wait), poll, || ());
        });
        ring.model_send(&mut s, [1, !1]).unwrap();
        victim.wait();
        let _ = ring.model_send(&mut s, [2, !2]);
        assert!(awake(ring.ends.lane.data_wait.load(Relaxed)), "a wake-up for every message");
    });
}

/// A reader dies while it copies or goes to sleep. The writer does not notice.
#[test]
fn cell_reader_dies_anywhere() {
    at_every_step("seqlock: read, asleep", |kernel, crash| {
        let cells = cells(4);
        let mut s = cells.model_writer();
        let reading = cells.clone();
        let victim = crash.run(kernel, move || {
            let _ = reading.read();
            let mut polls = 0;
            let poll = || {
                polls += 1;
                (reading.latest() == 1 || polls == 3).then_some(())
            };
            sleep_until(ParkOn::Shared(&reading.lane.data_wait), poll, || ());
        });
        cells.model_write(&mut s, [1, 1]).unwrap();
        victim.wait();
        cells.model_write(&mut s, [2, 2]).unwrap();
        assert!(awake(cells.lane.data_wait.load(Relaxed)));
        assert_eq!(cells.read(), Ok(([2, 2], 2)));
    });
}
