//! Deaths of a seqlock's writer.

use super::*;

/// A writer dies between its claim and the end of its leaving: readers have the last whole value at once, are told
/// once, and its successor goes on from it.
#[test]
fn cell_writer_dies_anywhere() {
    at_every_step("seqlock: write, write, leave", |kernel, run| {
        let cells = cells(4);
        let claim = kernel.claim(&cells.control, SENDER, VICTIM);
        let mut s = cells.writer_state(claim.word).unwrap();
        let (writing, victims) = (cells.clone(), kernel.clone());
        let victim = run.run(kernel, move || {
            for version in 1..=2 {
                writing.model_write(&mut s, [version, version]).unwrap();
                victims.returns(version);
            }
            leave(&writing.control, SENDER, claim);
        });
        let (value, version) = cells.read().unwrap();
        assert_eq!(value, [version, version]);
        victim.wait();
        let left = seat::is_free(&cells.control.seats[SENDER]);
        kernel.inquire(&cells.control, SENDER);
        let end = seat::ended_since(&cells.control.seats[SENDER], 0);
        assert_eq!(end, Some(if left { End::Left(1) } else { End::Died(1) }));
        let written = kernel.returned().len() as u64;
        let (value, version) = cells.read().unwrap();
        assert_eq!(value, [version, version]);
        assert!((written..=written + 1).contains(&version));
        let mut successor = cells.writer_state(kernel.claim(&cells.control, SENDER, SUCCESSOR).word).unwrap();
        cells.model_write(&mut successor, [version + 1, version + 1]).unwrap();
        assert_eq!(cells.read(), Ok(([version + 1, version + 1], version + 1)));
    });
}
