//! Deaths of a seqlock's writer.

use super::*;

/// A writer dies anywhere between its claim and the end of its leaving. Readers get the last whole value at once and
/// hear of the death once, and a successor goes on from that value.
#[test]
fn cell_writer_dies_anywhere() {
    at_every_step("seqlock: write, write, leave", |kernel, crash| {
        let cells = cells(4);
        let side = cells.writer_side();
        let claim = kernel.claim(&side, VICTIM);
        let mut s = cells.writer_state(claim.word).unwrap();
        let (writing, thread_kernel) = (cells.clone(), kernel.clone());
        let victim = crash.run(kernel, move || {
            for version in 1..=2 {
                writing.model_write(&mut s, [version, version]).unwrap();
                thread_kernel.returns(version);
            }
            writing.writer_side().leave(claim.word, false);
        });
        let (value, version) = cells.read().unwrap();
        assert_eq!(value, [version, version]);
        victim.wait();
        let left = seat::is_free(&side.seat);
        // A reader has no seat, and asks the kernel itself.
        if let Some(generation) = seat::dead_holder(&side.seat, |word| kernel.gone(word)) {
            seat::record_death(&side.seat, generation);
        }
        let end = Stop::Ended(if left { End::Left(1) } else { End::Died(1) });
        let latest = cells.latest();
        assert_eq!(cells.look_for_change(latest, 0, 0), Err(end));
        let written = kernel.returned().len() as u64;
        let (value, version) = cells.read().unwrap();
        assert_eq!(value, [version, version]);
        assert!((written..=written + 1).contains(&version));
        let mut successor = cells.writer_state(kernel.claim(&side, SUCCESSOR).word).unwrap();
        cells.model_write(&mut successor, [version + 1, version + 1]).unwrap();
        assert_eq!(cells.read(), Ok(([version + 1, version + 1], version + 1)));
    });
}
