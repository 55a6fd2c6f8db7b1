//! Repeats calls that a signal interrupted.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};

use nix::errno::Errno;

/// How often one call is repeated. Signals never come this densely: more interruptions than this come from a
/// system-call filter that always says `EINTR`, and the caller must hear of it.
const TRIES: u32 = 1 << 16;

/// The most bytes that one call processes, and so the most work that an interruption can undo.
const MAX_PIECE: u64 = 16 << 20;

/// Makes a call until no signal interrupts it.
pub(crate) fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    let mut answer = call();
    for _ in 0..TRIES {
        if !matches!(answer, Err(Errno::EINTR)) {
            break;
        }
        answer = call();
    }
    answer
}

/// The same for calls of the standard library.
pub(crate) fn retry_io<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut answer = call();
    for _ in 0..TRIES {
        if !answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Interrupted) {
            break;
        }
        answer = call();
    }
    answer
}

/// Calls `work(from, len)` for all of `len` bytes, piece by piece. An interruption makes the pieces smaller, down to
/// `least` bytes: under a fast timer, a call that starts over each time would never end.
pub(crate) fn in_pieces(len: u64, least: u64, mut work: impl FnMut(u64, u64) -> nix::Result<()>) -> nix::Result<()> {
    let most = MAX_PIECE.max(least);
    let (mut done, mut piece) = (0, most);
    while done < len {
        let part = piece.min(len - done);
        match work(done, part) {
            Err(Errno::EINTR) if piece > least => piece = (piece / 2).max(least),
            Err(Errno::EINTR) => {
                retry(|| work(done, part))?;
                done += part;
            }
            answer => {
                answer?;
                done += part;
                piece = (piece * 2).min(most);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_call_is_made_again() {
        let mut calls = 0;
        let answer = retry(|| {
            calls += 1;
            if calls < 1000 { Err(Errno::EINTR) } else { Ok(calls) }
        });
        assert_eq!(answer, Ok(1000));
        assert_eq!(retry(|| Err::<(), _>(Errno::EINTR)), Err(Errno::EINTR));
        assert_eq!(retry(|| Err::<(), _>(Errno::EIO)), Err(Errno::EIO));
    }

    #[test]
    fn interrupted_work_is_finished_in_smaller_pieces() {
        // The work gets through at most 10,000 bytes between two signals.
        let (len, mut expected) = (100_000_001, 0);
        let end = in_pieces(len, 4096, |from, part| {
            assert!(part <= MAX_PIECE);
            if part > 10_000 {
                return Err(Errno::EINTR);
            }
            assert_eq!(from, expected);
            expected += part;
            Ok(())
        });
        assert_eq!((end, expected), (Ok(()), len));
        assert_eq!(in_pieces(len, 4096, |_, _| Err(Errno::EINTR)), Err(Errno::EINTR));
        assert_eq!(in_pieces(len, 4096, |_, _| Err(Errno::ENOSPC)), Err(Errno::ENOSPC));
    }
}
