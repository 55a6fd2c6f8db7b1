//! A program starts another one, which inherits a channel without a name. Here both are this program: it is started a second
//! time with the number of the inherited descriptor, and adds up what it receives.
//!
//! ```text
//! cargo run --release --example inherit -- 1 2 3
//! ```

use std::error::Error;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::Duration;

use clap::Parser;
use ringway::spsc::Channel;

/// Add up numbers in a process started for it.
#[derive(Parser)]
struct Arguments {
    numbers: Vec<u64>,
    /// In the program that is started: the descriptor of the region.
    #[arg(long, hide = true, conflicts_with = "numbers")]
    receive_fd: Option<i32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { numbers, receive_fd } = Arguments::parse();
    if let Some(fd) = receive_fd {
        let mut received = Channel::<u64>::options().from_inherited_fd(fd)?.receiver()?;
        let sum: u64 = received.iter().sum::<Result<u64, _>>()?;
        println!("{sum}");
        return Ok(());
    }
    let channel = Channel::options().capacity(64).memfd()?;
    let mut tx = channel.sender()?;
    let inherited = channel.region().inheritable_fd()?;
    let mut child =
        Command::new(std::env::current_exe()?).arg(format!("--receive-fd={}", inherited.as_raw_fd())).spawn()?;
    drop(inherited); // so that no other program inherits it
    // A child that ends before it has its seat leaves no death in the region. Its parent hears of it from the kernel.
    while let Err(error) = tx.wait_for_peer(Duration::from_millis(100)) {
        if !error.is_timeout() || child.try_wait()?.is_some() {
            return Err(format!("the child takes nothing: {error}").into());
        }
    }
    tx.send_slice(&numbers)?;
    drop(tx); // the child sees that nothing more comes
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the child failed: {status}").into()) }
}
