//! What may be found after a death. An outcome is what a death in the middle of the operation may lead to.

use crate::common::lane::{Receives, Sends};
use crate::scene::{Event, Scene, State, messages};
use crate::small::{FULL, Small};

/// What a successor sends first.
const SUCCESSOR: u64 = 1000;

/// What may be found after a death.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub progress: u64,
    /// How many messages the victim sent or took.
    pub moved: u64,
    /// What the survivor hears of the victim's end.
    pub end: Option<Event>,
    /// Whether the successor is told that its first message was lent before.
    pub again: bool,
    /// The generation of the successor.
    pub generation: u64,
}

impl Outcome {
    /// What is found after a victim that leaves in peace.
    pub fn of_leaving(moved: u64) -> Self {
        Self { progress: 0, moved, end: Some(Event::Closed), again: false, generation: 0 }
    }

    /// Everything that a survivor hears, up to the end of the victim. `late`: it listens before there is a successor.
    pub fn news(&self, state: State, late: bool, old: impl Iterator<Item = Event>, new: u64) -> Vec<Event> {
        // The survivor is told of the death of the victim's predecessor before it gets what the victim sent. If the
        // victim's end was of another kind, it is told of it before that end, too. One that listens earlier hears of
        // each death by itself.
        let apart = new > 0 || late || self.end == Some(Event::Closed);
        let before = state.end_before().filter(|before| state.heir() && apart && self.end != Some(*before));
        // If a successor has come, nobody is told that the victim left.
        let end = self.end.filter(|end| late || *end != Event::Closed);
        old.chain(before).chain(messages(state.held..state.held + new)).chain(end).collect()
    }
}

pub fn find(allowed: Vec<Outcome>, found: &str, fits: impl Fn(&Outcome) -> bool) -> Outcome {
    match allowed.iter().find(|outcome| fits(outcome)) {
        Some(outcome) => outcome.clone(),
        None => panic!("found {found}; allowed are {allowed:#?}"),
    }
}

/// The sender died. Checks what its receiver hears, and that a successor goes on.
pub fn after_sender<K: Small>(mut scene: Scene<K>, number: usize, state: State, allowed: Vec<Outcome>) -> Outcome {
    scene.patient = number % 8 < 2;
    let claim = |scene: &Scene<K>| {
        let tx = scene.ring.sender().unwrap();
        let generation = tx.generation();
        (tx, generation)
    };
    let first = K::message(SUCCESSOR);
    let mut log = vec![];
    let late = number % 3 == 0;
    let (mut tx, generation) = if late {
        log = scene.drain();
        assert!(!scene.rx().has_sender(), "the dead sender lives");
        let (tx, generation) = claim(&scene);
        assert_eq!((tx.len(), scene.rx().len()), (0, 0), "a count of none");
        (tx, generation)
    } else {
        let (mut tx, generation) = claim(&scene);
        let sent = tx.try_send(&first).is_ok();
        if number % 3 == 2 {
            // Another receiver must hear the same.
            if state.held > 0 {
                log.push(Event::Message(K::seq(&scene.rx().try_recv().unwrap())));
            }
            scene.rx = None;
            scene.rx = Some(scene.ring.receiver().unwrap());
        }
        let counted = (tx.len(), scene.rx().len());
        let rest = scene.drain();
        let found = rest.iter().filter(|event| matches!(event, Event::Message(_))).count() as u64;
        assert_eq!(counted, (found, found), "a count before {rest:?}");
        log.extend(rest);
        if sent {
            assert_eq!(log.pop(), Some(Event::Message(SUCCESSOR)), "the successor's first, after {log:?}");
        }
        (tx, generation)
    };
    let found = format!("{log:?}, successor {generation}, late: {late}");
    let outcome = find(allowed, &found, |outcome| {
        let expected = outcome.news(state, late, messages(0..state.held), outcome.moved);
        log == expected && generation == outcome.generation
    });
    if number % 2 == 0 {
        // A receiver that comes later must not be told again.
        scene.rx = None;
        scene.rx = Some(scene.ring.receiver().unwrap());
    }
    assert_eq!(scene.drain(), [], "told twice");
    tx.try_send(&first).unwrap();
    assert_eq!(scene.drain(), [Event::Message(SUCCESSOR)]);
    assert!(scene.rx().has_sender());
    drop(tx);
    assert_eq!(scene.drain(), [Event::Closed]);
    outcome
}

/// The receiver died. Checks what its sender hears, and that a successor takes everything.
pub fn after_receiver<K: Small>(mut scene: Scene<K>, number: usize, state: State, allowed: Vec<Outcome>) -> Outcome {
    scene.patient = number % 8 < 2;
    let late = number % 2 == 0;
    let mut log = vec![];
    if late {
        log = scene.fill();
        assert!(!scene.tx().has_receiver(), "the dead receiver lives");
    }
    scene.rx = Some(scene.ring.receiver().unwrap());
    let (again, generation) = (scene.rx().is_redelivery(), scene.rx().generation());
    if !late {
        log = scene.fill();
    }
    assert_eq!(scene.fill(), [], "told twice");
    let sent = scene.next;
    let counted = (scene.tx().len(), scene.rx().len());
    let rest = scene.drain();
    assert_eq!(counted, (rest.len() as u64, rest.len() as u64), "a count before {rest:?}");
    assert_eq!((scene.tx().len(), scene.rx().len()), (0, 0));
    let found = format!("{log:?}, then {rest:?} of {sent}, successor {generation}, again: {again}, late: {late}");
    let outcome = find(allowed, &found, |outcome| {
        log == outcome.news(state, late, std::iter::empty(), 0)
            && rest == Vec::from_iter(messages(outcome.moved..sent))
            && (again, generation) == (outcome.again, outcome.generation)
    });
    assert_eq!(sent - outcome.moved, FULL, "the sender was held up by {found}");
    assert!(!scene.rx().is_redelivery());
    assert_eq!(scene.fill(), []);
    assert_eq!(scene.drain(), Vec::from_iter(messages(sent..sent + FULL)));
    scene.rx = None;
    assert_eq!(scene.fill().last(), Some(&Event::Closed));
    outcome
}
