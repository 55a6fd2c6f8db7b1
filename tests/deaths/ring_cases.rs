//! Every operation of both rings, in every state in which it takes another path.

use ringway::Wait;

use crate::common::lane::{InPlace, Read, Receives, Sends};
use crate::common::ptrace::mark;
use crate::common::victim::Stopped;
use crate::operations::{Operation, claim_outcomes, nothing_is_taken, one_of_two_wins, victim_claims};
use crate::oracle::{Outcome, after_receiver, after_sender};
use crate::points::{Case, Tally};
use crate::scene::{ACROSS, EDGE, EMPTY_HEIR, Event, FILLED, HEIR, NEW, ONE, Scene, Side, State, messages};
use crate::small::Small;

fn send_operations<K: Small>() -> Vec<Operation<K::Sender, K::Message>> {
    let all = &[NEW, ONE, FILLED, EDGE, HEIR];
    let op = |name, states, most, run| Operation { name, states, most, closes: name == "drop sender", run };
    vec![
        op("try_send", all, 1, |tx, messages, _| usize::from(tx.as_mut().unwrap().try_send(&messages[0]).is_ok())),
        op("send_slice", &[NEW, FILLED, EDGE, EMPTY_HEIR], 3, |tx, messages, _| {
            tx.as_mut().unwrap().try_send_some(messages).unwrap_or(0)
        }),
        op("reserve_many", &[NEW, FILLED, EDGE, EMPTY_HEIR], 3, |tx, messages, _| {
            let (tx, mut sent) = (tx.as_mut().unwrap(), 0);
            // A message that brings news goes alone.
            while sent < messages.len() {
                match tx.try_send_many(&messages[sent..]) {
                    Ok(more) => sent += more,
                    Err(_) => break,
                }
            }
            sent
        }),
        op("send_ref", all, 1, |tx, messages, _| {
            usize::from(tx.as_mut().unwrap().try_send_in_place(&messages[0], InPlace::default()).is_ok())
        }),
        op("send, blocked", &[FILLED], 0, |tx, messages, _| {
            let tx = tx.as_mut().unwrap();
            tx.set_wait(Wait::Sleep);
            tx.send(&messages[0]).map(|()| 1).unwrap()
        }),
        op("drop sender", &[NEW, ONE, FILLED, HEIR], 0, |tx, _, _| {
            *tx = None;
            0
        }),
    ]
}

fn recv_operations<K: Small>() -> Vec<Operation<K::Receiver, K::Message>> {
    let all = &[NEW, ONE, FILLED, ACROSS, HEIR];
    let op = |name, states, most, run| Operation { name, states, most, closes: name == "drop receiver", run };
    vec![
        op("try_recv", all, 1, |rx, messages, _| {
            messages.extend(rx.as_mut().unwrap().try_recv());
            messages.len()
        }),
        op("recv_slice", &[NEW, FILLED, ACROSS, HEIR], 3, |rx, messages, _| {
            messages.extend(rx.as_mut().unwrap().try_recv_slice(3, 200).into_iter().flatten());
            messages.len()
        }),
        op("recv_ref", all, 1, |rx, messages, words| {
            let held = |read: &Read<'_, K::Message>, _| {
                words.say_lent(true);
                let message = read();
                words.say_lent(false);
                message
            };
            messages.extend(rx.as_mut().unwrap().try_recv_in_place(held));
            messages.len()
        }),
        op("peek_many", &[NEW, FILLED, ACROSS, HEIR], 3, |rx, messages, words| {
            let rx = rx.as_mut().unwrap();
            let found = rx.try_peek_many(3, 3, |_| {
                words.say_lent(true);
                words.say_lent(false);
            });
            messages.extend(found.into_iter().flatten());
            messages.len()
        }),
        op("recv, blocked", &[NEW], 0, |rx, messages, _| {
            let rx = rx.as_mut().unwrap();
            rx.set_wait(Wait::Sleep);
            messages.push(rx.recv().unwrap());
            1
        }),
        op("drop receiver", &[NEW, ONE, FILLED, HEIR], 0, |rx, _, _| {
            *rx = None;
            0
        }),
    ]
}

pub fn all<K: Small>(tally: &mut Tally) {
    for operation in send_operations::<K>() {
        operation.states.iter().for_each(|state| send_case::<K>(&operation, *state, tally));
    }
    for operation in recv_operations::<K>() {
        operation.states.iter().for_each(|state| recv_case::<K>(&operation, *state, tally));
    }
    for state in [NEW, ONE, HEIR] {
        claim_case::<K>(Side::Sender, state, tally);
        claim_case::<K>(Side::Receiver, state, tally);
    }
}

fn send_case<K: Small>(operation: &Operation<K::Sender, K::Message>, state: State, tally: &mut Tally) {
    let victim = |scene: &Scene<K>| {
        let mut tx = Some(scene.ring.sender().unwrap());
        let mut messages = (state.held..state.held + 3).map(K::message).collect();
        mark();
        scene.words.say((operation.run)(&mut tx, &mut messages, &scene.words) as u64);
        mark();
    };
    let killed = |scene: Scene<K>, number: usize| {
        let said = scene.words.said();
        let outcome = after_sender(scene, number, state, operation.outcomes(state, Side::Sender));
        operation.check_word(said, &outcome);
        outcome.progress
    };
    let stopped = |mut scene: Scene<K>, victim: Stopped| {
        let mut log = scene.drain();
        let left = operation.closes && log.last() == Some(&Event::Closed);
        let is_held = || scene.rx.as_ref().unwrap().has_sender();
        nothing_is_taken(state, victim, left, || scene.ring.sender(), is_held);
        if left {
            log.pop();
        }
        log.extend(scene.drain());
        let moved = scene.words.said().unwrap();
        assert_eq!(log, Outcome::of_leaving(moved).news(state, true, messages(0..state.held), moved));
    };
    let name = [K::KIND, operation.name, state.name];
    let (set_up, done) = (|| Scene::new(state, Side::Sender), operation.done(state, Side::Sender));
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done, stopped: Some(&stopped) }.run(tally);
}

fn recv_case<K: Small>(operation: &Operation<K::Receiver, K::Message>, state: State, tally: &mut Tally) {
    let victim = |scene: &Scene<K>| {
        let mut rx = Some(scene.ring.receiver().unwrap());
        let mut messages = Vec::with_capacity(3);
        mark();
        scene.words.say((operation.run)(&mut rx, &mut messages, &scene.words) as u64);
        mark();
        assert!(messages.iter().map(K::seq).eq(0..messages.len() as u64));
    };
    let killed = |scene: Scene<K>, number: usize| {
        let (said, lent) = (scene.words.said(), scene.words.lent());
        let outcome = after_receiver(scene, number, state, operation.outcomes(state, Side::Receiver));
        operation.check_word(said, &outcome);
        assert!(!lent || outcome.again, "it died with the message in its hands");
        outcome.progress
    };
    let stopped = |mut scene: Scene<K>, victim: Stopped| {
        let mut log = scene.fill();
        let left = operation.closes && log.last() == Some(&Event::Closed);
        let is_held = || scene.tx.as_ref().unwrap().has_receiver();
        nothing_is_taken(state, victim, left, || scene.ring.receiver(), is_held);
        if left {
            log.pop();
        }
        log.extend(scene.fill());
        let moved = scene.words.said().unwrap();
        assert_eq!(log, Outcome::of_leaving(moved).news(state, true, std::iter::empty(), 0));
        scene.rx = Some(scene.ring.receiver().unwrap());
        assert_eq!(scene.drain(), Vec::from_iter(messages(moved..scene.next)));
    };
    let name = [K::KIND, operation.name, state.name];
    let (set_up, done) = (|| Scene::new(state, Side::Receiver), operation.done(state, Side::Receiver));
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done, stopped: Some(&stopped) }.run(tally);
}

fn claim_case<K: Small>(side: Side, state: State, tally: &mut Tally) {
    let victim = |scene: &Scene<K>| match side {
        Side::Sender => victim_claims(&scene.words, || scene.ring.sender()),
        Side::Receiver => victim_claims(&scene.words, || scene.ring.receiver()),
    };
    let killed = |scene: Scene<K>, number: usize| {
        let (said, allowed) = (scene.words.said(), claim_outcomes(state, side));
        let outcome = match side {
            Side::Sender => after_sender(scene, number, state, allowed),
            Side::Receiver => after_receiver(scene, number, state, allowed),
        };
        assert!(said.is_none_or(|taken| taken == outcome.progress), "it said {said:?}: {outcome:?}");
        outcome.progress
    };
    let stopped = |scene: Scene<K>, victim: Stopped| match side {
        Side::Sender => one_of_two_wins(state, victim, &scene.words, || scene.ring.sender()),
        Side::Receiver => one_of_two_wins(state, victim, &scene.words, || scene.ring.receiver()),
    };
    let name = [K::KIND, if side == Side::Sender { "claim sender" } else { "claim receiver" }, state.name];
    let set_up = || Scene::new(state, side);
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done: 1, stopped: Some(&stopped) }.run(tally);
}
