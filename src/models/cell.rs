//! The seqlock: publication (C1), order, tearing (C2).

use super::*;
use crate::protocol::cell::Unread;

fn value(version: u64) -> [u64; 2] {
    [version, version]
}

/// C1: the newest version's value is whole.
#[test]
fn cell_publication() {
    explore(|| {
        let cells = cells(2);
        let mut s = cells.model_writer();
        let writing = cells.clone();
        let writer = thread::spawn(move || {
            writing.model_write(&mut s, value(1)).unwrap();
        });
        let (found, version) = cells.read().unwrap();
        assert_eq!(found, value(version));
        writer.join().unwrap();
        assert_eq!(cells.read(), Ok((value(1), 1)));
    });
}

/// Versions never go back, and each comes with the value that was written under it.
#[test]
fn cell_order() {
    explore(|| {
        let cells = cells(4);
        let mut s = cells.model_writer();
        let writing = cells.clone();
        let writer = thread::spawn(move || {
            (1..=2).for_each(|version| writing.model_write(&mut s, value(version)).unwrap());
        });
        let mut newest = 0;
        for _ in 0..2 {
            let (found, version) = cells.read().unwrap();
            assert_eq!(found, value(version));
            assert!(version >= newest);
            newest = version;
        }
        writer.join().unwrap();
        assert_eq!(cells.read(), Ok((value(2), 2)));
    });
}

/// C2: a reader that the writer overtakes discards its copy. With two cells, every second write overtakes.
#[test]
fn cell_tearing() {
    explore(move || {
        let cells = cells(2);
        let mut s = cells.model_writer();
        let writing = cells.clone();
        let writer = thread::spawn(move || {
            (1..=2).for_each(|version| writing.model_write(&mut s, value(version)).unwrap());
        });
        match cells.read() {
            Ok((found, version)) => assert_eq!(found, value(version)),
            Err(error) => assert!(matches!(error, Unread::Overtaken(_)), "{error:?}"),
        }
        writer.join().unwrap();
    });
}

/// C3: a reader whose cell is being written again sees another version, and does not take it for garbage.
#[test]
fn cell_overtaken() {
    explore(|| {
        let cells = cells(2);
        let mut s = cells.model_writer();
        let writing = cells.clone();
        let writer = thread::spawn(move || {
            (1..=2).for_each(|version| writing.model_write(&mut s, value(version)).unwrap());
        });
        let mut found = [0; 2];
        match cells.read_into(&mut found) {
            Ok(version) => assert_eq!(found, value(version)),
            Err(error) => assert!(matches!(error, Unread::Overtaken(_)), "{error:?}"),
        }
        writer.join().unwrap();
    });
}
