//! Deaths while a peer sleeps, and in one's own sleep.

use super::*;
use crate::protocol::cell;

struct Sleeper<'a, L> {
    look: L,
    inquire: &'a dyn Fn(),
}

impl<R, L: FnMut() -> Option<R>> Watch for Sleeper<'_, L> {
    type Found = R;

    fn look(&mut self) -> Option<R> {
        (self.look)()
    }

    fn inquire(&mut self) {
        (self.inquire)();
    }

    /// Whenever something woke it.
    fn until_inquiry(&self) -> Duration {
        Duration::ZERO
    }
}

/// A sender dies while the receiver sleeps: between a message and its wake-up, too.
fn sleeping_receiver_survives<R: Ring>() {
    at_every_step(&format!("{}: send, leave; the receiver sleeps", R::NAME), |kernel, run| {
        let ring = R::small();
        let claim = kernel.claim(ring.control(), SENDER, VICTIM);
        let mut s = ring.sender(claim);
        let mut r = ring.receiver(Claim { word: HOLDER, generation: 1 });
        let (sending, victims) = (ring.clone(), kernel.clone());
        let (receiving, asking) = (ring.clone(), kernel.clone());
        let receiver = thread::spawn(move || {
            let control = receiving.control();
            let mut got = Vec::new();
            loop {
                let look = || match receiving.recv(&mut r) {
                    Err(Stop::Blocked) => None,
                    result => Some(result),
                };
                let inquire = || asking.inquire(control, SENDER);
                let mut sleeper = Sleeper { look, inquire: &inquire };
                match wait_word::sleep_until(&control.data_wait, true, None, &mut sleeper) {
                    Some(Ok(n)) => got.push(n),
                    Some(Err(Stop::Ended(end))) => return (got, end),
                    other => panic!("{other:?}"),
                }
            }
        });
        let victim = run.run(kernel, move || {
            sending.send(&mut s, 1).unwrap();
            victims.returns(1);
            leave(sending.control(), SENDER, claim);
        });
        victim.wait();
        time_passes();
        let (got, end) = receiver.join().unwrap();
        let left = seat::is_free(&ring.control().seats[SENDER]);
        assert_eq!(end, if left { End::Left(1) } else { End::Died(1) });
        assert!(got.len() >= kernel.returned().len() && got.iter().all(|n| *n == 1) && got.len() <= 1);
    });
}

#[test]
fn slots_sleeping_receiver_survives() {
    sleeping_receiver_survives::<SlotRing<[u64; 2]>>();
}

#[test]
fn records_sleeping_receiver_survives() {
    sleeping_receiver_survives::<RecordRing>();
}

/// A receiver dies while the sender sleeps for space: between a consumption and its wake-up, too.
fn sleeping_sender_survives<R: Ring>() {
    at_every_step(&format!("{}: recv, leave; the sender sleeps", R::NAME), |kernel, run| {
        let ring = R::small();
        let mut s = ring.sender(kernel.claim(ring.control(), SENDER, SURVIVOR));
        (1..=2).for_each(|n| ring.send(&mut s, n).unwrap());
        let claim = kernel.claim(ring.control(), RECEIVER, VICTIM);
        let mut r = ring.receiver(claim);
        let (sending, asking) = (ring.clone(), kernel.clone());
        let sender = thread::spawn(move || {
            let control = sending.control();
            let mut sent = 2;
            loop {
                let look = || match sending.send(&mut s, sent + 1) {
                    Err(Stop::Blocked) => None,
                    result => Some(result),
                };
                let inquire = || asking.inquire(control, RECEIVER);
                let mut sleeper = Sleeper { look, inquire: &inquire };
                match wait_word::sleep_until(&control.space_wait, true, None, &mut sleeper) {
                    Some(Ok(())) => sent += 1,
                    Some(Err(Stop::Ended(end))) => return (sent, end),
                    other => panic!("{other:?}"),
                }
            }
        });
        let (receiving, victims) = (ring.clone(), kernel.clone());
        let victim = run.run(kernel, move || {
            assert_eq!(receiving.recv(&mut r), Ok(1));
            victims.returns(1);
            leave(receiving.control(), RECEIVER, claim);
        });
        victim.wait();
        time_passes();
        let (sent, end) = sender.join().unwrap();
        let left = seat::is_free(&ring.control().seats[RECEIVER]);
        assert_eq!(end, if left { End::Left(1) } else { End::Died(1) });
        let returned = kernel.returned().len() as u64;
        // On a mapping, a record ring has more words than were asked for.
        assert!((2..=returned + 3).contains(&sent) || cfg!(not(loom)), "{sent} sent, {returned} received");
    });
}

#[test]
fn slots_sleeping_sender_survives() {
    sleeping_sender_survives::<SlotRing<[u64; 2]>>();
}

#[test]
fn records_sleeping_sender_survives() {
    sleeping_sender_survives::<RecordRing>();
}

/// A writer dies while a reader sleeps: between a value and its wake-up, too.
#[test]
fn cell_sleeping_reader_survives() {
    at_every_step("seqlock: write, leave; a reader sleeps", |kernel, run| {
        let cells = cells(4);
        let claim = kernel.claim(&cells.control, SENDER, VICTIM);
        let mut s = cells.writer_state(claim.word).unwrap();
        let (reading, asking) = (cells.clone(), kernel.clone());
        let reader = thread::spawn(move || {
            let seat = &reading.control.seats[SENDER];
            let mut seen = 0;
            loop {
                // The seat before the version, as a reader does.
                let look = || {
                    let end = seat::ended_since(seat, 0);
                    let version = cell::version(&reading.control).unwrap();
                    (version != seen).then_some(Ok(version)).or(end.map(Err))
                };
                let inquire = || asking.inquire(&reading.control, SENDER);
                let mut sleeper = Sleeper { look, inquire: &inquire };
                match wait_word::sleep_until(&reading.control.data_wait, false, None, &mut sleeper).unwrap() {
                    Ok(version) => seen = version,
                    Err(end) => return (seen, end),
                }
            }
        });
        let (writing, victims) = (cells.clone(), kernel.clone());
        let victim = run.run(kernel, move || {
            writing.model_write(&mut s, [1, 1]).unwrap();
            victims.returns(1);
            leave(&writing.control, SENDER, claim);
        });
        victim.wait();
        time_passes();
        let (seen, end) = reader.join().unwrap();
        let left = seat::is_free(&cells.control.seats[SENDER]);
        assert_eq!(end, if left { End::Left(1) } else { End::Died(1) });
        assert_eq!(cell::version(&cells.control), Ok(seen), "told before its last value");
    });
}

/// A receiver dies as it goes to sleep, or in its sleep: an awake sender pays for one wake-up at most.
#[test]
fn a_sleeper_that_dies_costs_one_wake_up() {
    at_every_step("spsc: recv, asleep", |kernel, run| {
        let ring = slot_ring(2);
        let mut s = ring.model_sender();
        let mut r = ring.model_receiver();
        let receiving = ring.clone();
        let victim = run.run(kernel, move || {
            let mut looks = 0;
            let look = || {
                looks += 1;
                receiving.recv(&mut r).ok().or((looks == 2).then_some(0))
            };
            let mut sleeper = Sleeper { look, inquire: &|| {} };
            wait_word::sleep_until(&receiving.control.data_wait, true, Some(std::time::Instant::now()), &mut sleeper);
        });
        ring.model_send(&mut s, [1, !1]).unwrap();
        victim.wait();
        let _ = ring.model_send(&mut s, [2, !2]);
        assert!(awake(ring.control.data_wait.load(Relaxed)), "a tax on every message");
    });
}

/// A reader dies while it copies or goes to sleep: the writer does not notice.
#[test]
fn cell_reader_dies_anywhere() {
    at_every_step("seqlock: read, asleep", |kernel, run| {
        let cells = cells(4);
        let mut s = cells.model_writer();
        let reading = cells.clone();
        let victim = run.run(kernel, move || {
            let _ = reading.read();
            let mut sleeper =
                Sleeper { look: || (cell::version(&reading.control) == Ok(1)).then_some(()), inquire: &|| {} };
            let now = Some(std::time::Instant::now());
            wait_word::sleep_until(&reading.control.data_wait, false, now, &mut sleeper);
        });
        cells.model_write(&mut s, [1, 1]).unwrap();
        victim.wait();
        cells.model_write(&mut s, [2, 2]).unwrap();
        assert!(awake(cells.control.data_wait.load(Relaxed)));
        assert_eq!(cells.read(), Ok(([2, 2], 2)));
    });
}
