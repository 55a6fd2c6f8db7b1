//! The operations of a seqlock. A writer's are like a sender's. A reader hinders nobody.

use ringway::{ChangedError, Wait, seqlock};

use crate::common::messages::Latest;
use crate::common::ptrace::mark;
use crate::common::victim::{Stopped, die};
use crate::operations::{Operation, claim_outcomes, nothing_is_taken, one_of_two_wins, victim_claims};
use crate::oracle::{Outcome, find};
use crate::points::{Case, Tally};
use crate::scene::{Event, HEIR, LastWords, NEW, ONE, SOON, Side, State};

type Value = Latest<8>;

struct ValueScene {
    channel: seqlock::Channel<Value>,
    reader: seqlock::Reader<Value>,
    words: LastWords,
}

/// `held` is the version of the value in it. Version 64 lies in the cell of the first one.
const VALUES: [State; 4] = [NEW, ONE, State { name: "wrapped", held: 63, wraps: true, turns: 1 }, HEIR];

impl ValueScene {
    fn new(state: State) -> Self {
        let channel = seqlock::Channel::<Value>::options().memfd().unwrap();
        let reader = channel.reader();
        if state.turns > 0 {
            let mut writer = channel.writer().unwrap();
            (1..=state.held).for_each(|version| writer.write(&Value::make(version)).unwrap());
        }
        if state.heir() {
            die(|| std::mem::forget(channel.writer().unwrap()));
        }
        Self { channel, reader, words: LastWords::new() }
    }

    /// Reads the latest value and returns its version.
    fn read(&mut self) -> u64 {
        let value = self.reader.read().unwrap();
        value.check();
        assert_eq!(value.version(), self.reader.version());
        value.version()
    }

    /// What the reader hears while there is no new value.
    fn listen(&mut self) -> Vec<Event> {
        let mut log = vec![];
        loop {
            assert!(log.len() < 20, "it never ends: {log:?}");
            log.push(match self.reader.changed_timeout(SOON) {
                Err(ChangedError::Timeout) => return log,
                Err(ChangedError::PeerDied { generation }) => Event::Died(generation),
                Err(ChangedError::Closed) => {
                    assert_eq!(self.reader.changed_timeout(SOON), Err(ChangedError::Closed));
                    log.push(Event::Closed);
                    return log;
                }
                other => panic!("{other:?} after {log:?}"),
            });
        }
    }
}

/// The writer died. Checks what a reader finds and hears, and that a successor goes on.
fn after_writer(mut scene: ValueScene, number: usize, state: State, allowed: Vec<Outcome>) -> Outcome {
    let late = number % 2 == 0;
    let version = scene.read();
    let mut log = vec![];
    if late {
        log = scene.listen();
        assert!(!scene.reader.has_writer());
    }
    let mut writer = scene.channel.writer().unwrap();
    let generation = writer.generation();
    assert_eq!(writer.version(), version);
    if !late {
        log = scene.listen();
    }
    let found = format!("{log:?}, version {version}, successor {generation}, late: {late}");
    let outcome = find(allowed, &found, |outcome| {
        log == outcome.news(state, late, std::iter::empty(), 0)
            && (version, generation) == (state.held + outcome.moved, outcome.generation)
    });
    assert_eq!(scene.listen(), [], "told twice");
    writer.write(&Value::make(version + 1)).unwrap();
    assert_eq!(scene.reader.changed_timeout(SOON), Ok(()));
    assert_eq!(scene.read(), version + 1);
    drop(writer);
    assert_eq!(scene.listen(), [Event::Closed]);
    outcome
}

pub fn all(tally: &mut Tally) {
    let op = |name, states, most, run| Operation { name, states, most, closes: most == 0, run };
    let operations: [Operation<seqlock::Writer<Value>, Value>; 2] = [
        op("write", &VALUES, 1, |writer, values, _| {
            writer.as_mut().unwrap().write(&values[0]).unwrap();
            1
        }),
        op("drop writer", &VALUES, 0, |writer, _, _| {
            *writer = None;
            0
        }),
    ];
    for operation in &operations {
        operation.states.iter().for_each(|state| write_case(operation, *state, tally));
    }
    VALUES.iter().for_each(|state| claim_writer_case(*state, tally));
    read_case("read", ONE, tally, |reader| {
        reader.read().unwrap().check();
    });
    read_case("changed, blocked", NEW, tally, |reader| {
        reader.set_wait(Wait::Sleep);
        assert_eq!(reader.changed(), Ok(()));
    });
}

fn write_case(operation: &Operation<seqlock::Writer<Value>, Value>, state: State, tally: &mut Tally) {
    let victim = |scene: &ValueScene| {
        let mut writer = Some(scene.channel.writer().unwrap());
        let mut values = vec![Value::make(state.held + 1)];
        mark();
        scene.words.say((operation.run)(&mut writer, &mut values, &scene.words) as u64);
        mark();
    };
    let killed = |scene: ValueScene, number: usize| {
        let said = scene.words.said();
        let outcome = after_writer(scene, number, state, operation.outcomes(state, Side::Sender));
        operation.check_word(said, &outcome);
        outcome.progress
    };
    let stopped = |mut scene: ValueScene, victim: Stopped| {
        let version = scene.read();
        assert!((state.held..=state.held + operation.most).contains(&version));
        let mut log = scene.listen();
        let left = operation.closes && log.last() == Some(&Event::Closed);
        nothing_is_taken(state, victim, left, || scene.channel.writer(), || scene.reader.has_writer());
        if left {
            log.pop();
        }
        assert_eq!(scene.read(), state.held + scene.words.said().unwrap());
        log.extend(scene.listen());
        assert_eq!(log, Outcome::of_leaving(0).news(state, true, std::iter::empty(), 0));
    };
    let name = ["seqlock", operation.name, state.name];
    let (set_up, done) = (|| ValueScene::new(state), if operation.closes { 1 } else { 2 });
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done, stopped: Some(&stopped) }.run(tally);
}

fn claim_writer_case(state: State, tally: &mut Tally) {
    let victim = |scene: &ValueScene| victim_claims(&scene.words, || scene.channel.writer());
    let killed = |scene: ValueScene, number: usize| {
        let said = scene.words.said();
        let outcome = after_writer(scene, number, state, claim_outcomes(state, Side::Sender));
        assert!(said.is_none_or(|taken| taken == outcome.progress), "it said {said:?}: {outcome:?}");
        outcome.progress
    };
    let stopped = |scene: ValueScene, victim: Stopped| {
        one_of_two_wins(state, victim, &scene.words, || scene.channel.writer());
    };
    let (name, set_up) = (["seqlock", "claim writer", state.name], || ValueScene::new(state));
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done: 1, stopped: Some(&stopped) }.run(tally);
}

/// A reader that dies or stands still hinders nobody.
fn read_case(operation: &str, state: State, tally: &mut Tally, read: fn(&mut seqlock::Reader<Value>)) {
    /// More than a lap.
    const LAST: u64 = 80;
    let victim = |scene: &ValueScene| {
        let mut reader = scene.channel.reader();
        mark();
        read(&mut reader);
        scene.words.say(1);
        mark();
        reader.read().unwrap().check();
    };
    let go_on_writing = |scene: &mut ValueScene| {
        let mut writer = scene.channel.writer().unwrap();
        for version in state.held + 1..=LAST {
            writer.write(&Value::make(version)).unwrap();
            assert_eq!(scene.reader.changed_timeout(SOON), Ok(()));
            assert_eq!(scene.read(), version);
        }
        assert_eq!(scene.listen(), []);
        drop(writer);
        assert_eq!(scene.listen(), [Event::Closed]);
    };
    let killed = |mut scene: ValueScene, _: usize| {
        go_on_writing(&mut scene);
        scene.words.said().unwrap_or(0)
    };
    let stopped = |mut scene: ValueScene, victim: Stopped| {
        go_on_writing(&mut scene);
        victim.go_on();
        assert_eq!(scene.words.said(), Some(1));
    };
    let done = u64::from(operation == "read");
    let (name, set_up) = (["seqlock", operation, state.name], || ValueScene::new(state));
    Case { name, set_up: &set_up, victim: &victim, killed: &killed, done, stopped: Some(&stopped) }.run(tally);
}
