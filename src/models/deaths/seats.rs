//! Deaths of claimants, and how a death is reported.

use super::*;

/// A claimant dies as it takes a free seat. The seat is then free, or held in the claimant's name, and its generation
/// is never used again.
#[test]
fn seat_claimant_dies_anywhere() {
    at_every_step("seat: claim", |kernel, crash| {
        let side = ends().sender_side();
        let (claiming, thread_kernel) = (side.clone(), kernel.clone());
        let victim = crash.run(kernel, move || {
            thread_kernel.claim(&claiming, VICTIM);
        });
        victim.wait();
        let before = seat::status(&side.seat).unwrap();
        match before.holder {
            None => assert_eq!(before.generation, 0),
            Some(holder) => assert_eq!((holder, before.generation), (process(VICTIM), 1)),
        }
        assert_eq!(kernel.claim(&side, SUCCESSOR).generation, before.generation + 1);
    });
}

/// A claimant dies as it takes a dead holder's seat, while another claimant tries to take it too.
#[test]
fn seat_taker_dies_anywhere() {
    at_every_step("seat: claim of a dead holder's", |kernel, crash| {
        let side = ends().sender_side();
        // A dead holder, which the kernel has already reported gone.
        let dead = seat::claim(&side.seat, process(9), |_| false, |_| Ok::<_, ()>(()), |_| ()).unwrap();
        let claim = move |side: &Side, kernel: &Kernel, pid| {
            let gone = |word| word == dead.word || kernel.gone(word);
            seat::claim(&side.seat, process(pid), gone, |_| Ok::<_, ()>(()), |_| ())
        };
        let (taking, thread_kernel) = (side.clone(), kernel.clone());
        let victim = crash.run(kernel, move || {
            if let Ok(claim) = claim(&taking, &thread_kernel, VICTIM) {
                thread_kernel.returns(claim.generation);
                taking.arrive();
                taking.leave(claim.word, false);
            }
        });
        let rival = claim(&side, kernel, SURVIVOR);
        if let Ok(claim) = rival {
            assert!(matches!(claim.generation, 2 | 3));
        }
        victim.wait();
        match rival {
            Ok(rival) => {
                assert_eq!(seat::status(&side.seat).unwrap().holder, Some(process(SURVIVOR)));
                assert!(claim(&side, kernel, SUCCESSOR).is_err(), "taken from the living");
                assert!(kernel.returned().iter().all(|generation| *generation != rival.generation));
            }
            Err(_) => {
                assert_eq!(claim(&side, kernel, SUCCESSOR).unwrap().generation, 3);
            }
        }
        assert!(seat::died(&side.seat) >= 1);
    });
}

/// A process that left and then ended is not recorded as dead, whenever the kernel is asked.
#[test]
fn seat_leaver_is_not_recorded_dead() {
    explore(|| {
        let (kernel, ends) = (Kernel::new(), ends());
        let (side, peer) = (ends.sender_side(), ends.receiver_side());
        let claim = kernel.claim(&side, VICTIM);
        let (leaving, thread_kernel) = (side.clone(), kernel.clone());
        let leaver = thread::spawn(move || {
            seat::release(&leaving.seat, claim.word);
            thread_kernel.0.victim_is_gone.store(true, Release);
        });
        kernel.check_peer(&peer);
        leaver.join().unwrap();
        kernel.check_peer(&peer);
        assert_eq!(seat::ended_since(&side.seat, 0), Some(End::Left(1)));
    });
}

/// Two claimants in a row die, each before any of its operations. The count never lags so far behind that the seat
/// contradicts itself, and no generation is used twice.
#[test]
fn seat_two_claimants_die_anywhere() {
    // A claim of a free seat has fewer operations.
    for first in 0..12 {
        at_every_step(&format!("seat: claim, after one that lived for {first} operations"), move |kernel, crash| {
            let side = ends().sender_side();
            let before = kernel.clone();
            let first_crash = CrashPoint { steps: first, reached: Arc::default() };
            for crash in [&first_crash, crash] {
                let (claiming, kernel) = (side.clone(), before.clone());
                let victim = crash.run(&before, move || {
                    kernel.claim(&claiming, VICTIM);
                });
                victim.wait();
            }
            let last = seat::status(&side.seat).expect("a seat that makes sense");
            assert_eq!(kernel.claim(&side, SUCCESSOR).generation, last.generation + 1);
        });
    }
}

/// A death is reported before the leaving that followed it, whenever anyone looks.
#[test]
fn seat_ends_are_reported_in_order() {
    explore(|| {
        let side = ends().sender_side();
        let dead = seat::claim(&side.seat, process(VICTIM), |_| false, |_| Ok::<_, ()>(()), |_| ()).unwrap();
        let leaving = side.clone();
        let successor = thread::spawn(move || {
            let gone = |word| word == dead.word;
            let claim = seat::claim(&leaving.seat, process(SUCCESSOR), gone, |_| Ok::<_, ()>(()), |_| ()).unwrap();
            seat::release(&leaving.seat, claim.word);
        });
        let end = seat::ended_since(&side.seat, 0);
        assert!(matches!(end, None | Some(End::Died(1))), "{end:?}");
        successor.join().unwrap();
        assert_eq!(seat::ended_since(&side.seat, 0), Some(End::Died(1)));
        assert_eq!(seat::ended_since(&side.seat, 1), Some(End::Left(2)));
    });
}
