//! iceoryx2: publish-subscribe of slices, one publisher and one subscriber, each on a node of its own.
//!
//! Set up as its own benchmark is (`benchmarks/publish-subscribe` in its repository: slices of bytes on loan,
//! no history, a subscriber that polls), but lossless: safe overflow is off and the publisher retries until
//! delivered (documentation of iceoryx2 0.10.0, `iceoryx2::port::publisher`). How it waits for space is
//! its own affair: it yields, and after some ten thousand times sleeps. The subscriber's buffer is the
//! capacity; one sample is on loan and one is held at a time. Payloads of a fixed type take as long as slices.
//!
//! A message is written once, into the sample on loan. The subscriber either looks at it where it lies, which
//! is what iceoryx2 is for, or copies it out as the receivers of other lines do: see [`Take`].
//!
//! All its files are in the scratch directory, and the names of its shared memory begin like that directory's,
//! so that they can be removed even if a process died (documentation of iceoryx2 0.10.0, `iceoryx2::config`).

use std::hint::black_box;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::port::update_connections::UpdateConnections;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::publish_subscribe;

use super::{Scratch, look_for, look_until};
use crate::line::{Line, Receiver, Result, Sender, show, shown};

/// What the subscriber does with a sample.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Take {
    InPlace,
    Copied,
}

pub struct Iceoryx2 {
    directory: PathBuf,
    prefix: String,
    name: String,
    len: usize,
    capacity: usize,
    take: Take,
}

type Service = publish_subscribe::PortFactory<ipc::Service, [u8], ()>;

impl Iceoryx2 {
    pub fn new(scratch: &Scratch, len: usize, capacity: usize, take: Take) -> Self {
        let (directory, prefix, name) = (scratch.directory(), scratch.name().to_owned(), scratch.unique("line"));
        Self { directory, prefix, name, len, capacity, take }
    }

    fn service(&self) -> Result<Service> {
        set_log_level(LogLevel::Fatal);
        let mut config = Config::default();
        config.global.set_root_path(&Path::new(self.directory.as_os_str().as_bytes())?);
        config.global.prefix = FileName::new(self.prefix.as_bytes())?;
        let node = NodeBuilder::new()
            .config(&config)
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<ipc::Service>()?;
        let service = node
            .service_builder(&self.name.as_str().try_into()?)
            .publish_subscribe::<[u8]>()
            .max_publishers(1)
            .max_subscribers(1)
            .max_nodes(2)
            .history_size(0)
            .subscriber_max_buffer_size(self.capacity)
            .subscriber_max_borrowed_samples(1)
            .enable_safe_overflow(false)
            .payload_alignment(Alignment::new(8).ok_or("no alignment")?)
            .open_or_create()?;
        Ok(service)
    }
}

pub struct Publishing {
    end: Publisher<ipc::Service, [u8], ()>,
    buffer: Vec<u8>,
}

pub struct Subscribing {
    end: Subscriber<ipc::Service, [u8], ()>,
    take: Take,
    buffer: Vec<u8>,
}

impl Line for Iceoryx2 {
    type Sender = Publishing;
    type Receiver = Subscribing;

    fn sender(&self) -> Result<Publishing> {
        let service = self.service()?;
        let end = service
            .publisher_builder()
            .initial_max_slice_len(self.len)
            .max_loaned_samples(1)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        look_until(|| Ok(service.dynamic_config().number_of_subscribers() == 1))?;
        end.update_connections()?;
        Ok(Publishing { end, buffer: vec![0; self.len] })
    }

    fn receiver(&self) -> Result<Subscribing> {
        let service = self.service()?;
        let end = service.subscriber_builder().buffer_size(self.capacity).create()?;
        look_until(|| Ok(service.dynamic_config().number_of_publishers() == 1))?;
        end.update_connections()?;
        Ok(Subscribing { end, take: self.take, buffer: vec![0; self.len] })
    }
}

impl Sender for Publishing {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        show(&mut self.buffer, number);
        look_until(|| {
            let sample = self.end.loan_slice_uninit(self.buffer.len())?.write_from_slice(&self.buffer);
            // To nobody, if the buffer is full before the subscriber is connected.
            Ok(sample.send()? == 1)
        })
    }
}

impl Receiver for Subscribing {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let sample = look_for(|| Ok(self.end.receive()?))?;
        if self.take == Take::InPlace {
            return Ok(shown(black_box(sample.payload())));
        }
        self.buffer.copy_from_slice(sample.payload());
        Ok(shown(&self.buffer))
    }
}
