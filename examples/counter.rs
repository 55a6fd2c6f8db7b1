//! A parent and its forked children raise one number, in turns. It travels through shared memory, from each to the next and
//! back to the parent, and everybody waits for the one before.
//!
//! ```text
//! cargo run --release --example counter -- --children 3 --rounds 100000
//! ```

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use ringway::spsc::Channel;

/// Raise a number in turns.
#[derive(Parser)]
struct Arguments {
    /// How many children are forked.
    #[arg(long, default_value_t = 3)]
    children: usize,
    /// How often each of them raises the number.
    #[arg(long, default_value_t = 1000)]
    rounds: u64,
}

/// A child's work, until the one before it has left.
fn raise(from: &Channel<u64>, to: &Channel<u64>) -> Result<(), Box<dyn Error>> {
    let (mut from, mut to) = (from.receiver()?, to.sender()?);
    for number in &mut from {
        to.send(&(number? + 1))?;
    }
    Ok(())
}

/// A child that ends before it has taken its seats leaves no death in the region. Its parent hears of it from the kernel.
fn check_all_live(children: &[Pid]) -> Result<(), Box<dyn Error>> {
    for &child in children {
        if waitpid(child, Some(WaitPidFlag::WNOHANG))? != WaitStatus::StillAlive {
            return Err(format!("child {child} ended too early").into());
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { children, rounds } = Arguments::parse();
    // Made before the fork, so that all have them. The seats are taken after it.
    let lanes: Vec<_> = (0..=children).map(|_| Channel::options().capacity(1).anonymous()).collect::<Result<_, _>>()?;
    let mut pids = Vec::new();
    for pair in lanes.windows(2) {
        // SAFETY: this process has one thread, so the child may do whatever it may.
        match unsafe { fork()? } {
            ForkResult::Child => std::process::exit(i32::from(raise(&pair[0], &pair[1]).is_err())),
            ForkResult::Parent { child } => pids.push(child),
        }
    }
    let (mut to, mut from) = (lanes[0].sender()?, lanes[children].receiver()?);
    let mut number = 0;
    for _ in 0..rounds {
        to.send(&number)?;
        number = loop {
            match from.recv_timeout(Duration::from_millis(100)) {
                Err(error) if error.is_timeout() => check_all_live(&pids)?,
                received => break received?,
            }
        };
    }
    drop(to); // each child sees that the one before it has left, and leaves
    for child in pids {
        waitpid(child, None)?;
    }
    println!("{children} children raised the number to {number}");
    Ok(())
}
