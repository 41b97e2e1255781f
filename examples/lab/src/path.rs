//! The ways from a client to the application that the benchmark compares.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::certificates::Authority;
use crate::mesh;
use crate::relay;
use crate::worker::Worker;

/// A way from a client to the application.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Contender {
    /// Nothing in between.
    Direct,
    /// Two relays over plain TCP.
    RawRelay,
    /// Two relays with one mutual TLS 1.3 connection between them for each client connection.
    TlsRelay,
    /// Our outbound and inbound proxy services, with HBONE between them.
    Hbone,
    /// The same, with workers that stay awake for [`AWAKE`] after traffic.
    HboneAwake,
}

/// How long workers look for more traffic before they sleep, where they do.
pub const AWAKE: Duration = Duration::from_micros(100);

/// How the relays and proxies are laid out, the same for every contender.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Layout {
    /// Threads of each relay or proxy, each with its own runtime and listener; default 1.
    pub workers: usize,
    /// The buffer of a relay in one direction, in bytes; default 64 KiB.
    pub buffer: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            workers: 1,
            buffer: 64 * 1024,
        }
    }
}

/// A contender that runs: where clients connect, and the threads that carry their bytes.
#[derive(Debug)]
pub struct Path {
    entry: SocketAddr,
    workers: Vec<Worker>,
}

impl Contender {
    /// All contenders, in the order of the table.
    pub const ALL: [Self; 5] = [
        Self::Direct,
        Self::RawRelay,
        Self::TlsRelay,
        Self::Hbone,
        Self::HboneAwake,
    ];

    /// The name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::RawRelay => "raw relay",
            Self::TlsRelay => "tls relay",
            Self::Hbone => "hbone",
            Self::HboneAwake => "hbone, awake",
        }
    }

    /// Starts the two hops in front of `application`.
    ///
    /// # Errors
    /// When a socket, a thread or a certificate cannot be made.
    pub fn start(self, application: SocketAddr, layout: Layout) -> io::Result<Path> {
        let Layout { workers, buffer } = layout;
        match self {
            Self::Direct => Ok(Path {
                entry: application,
                workers: Vec::new(),
            }),
            Self::RawRelay => {
                let (middle, second) = relay::plain("raw-b", application, workers, buffer)?;
                let (entry, first) = relay::plain("raw-a", middle, workers, buffer)?;
                Ok(Path::new(entry, first, second))
            }
            Self::TlsRelay => {
                let authority = Authority::new()?;
                let (middle, second) =
                    relay::decrypting("tls-b", application, workers, buffer, &authority)?;
                let (entry, first) =
                    relay::encrypting("tls-a", middle, workers, buffer, &authority)?;
                Ok(Path::new(entry, first, second))
            }
            Self::Hbone | Self::HboneAwake => {
                let awake = match self {
                    Self::HboneAwake => AWAKE,
                    _ => Duration::ZERO,
                };
                let authority = Authority::new()?;
                let (middle, second) = mesh::inbound("mesh-b", workers, awake, &authority)?;
                let (entry, first) =
                    mesh::outbound("mesh-a", application, middle, workers, awake, &authority)?;
                Ok(Path::new(entry, first, second))
            }
        }
    }
}

impl Path {
    fn new(entry: SocketAddr, first: Vec<Worker>, second: Vec<Worker>) -> Self {
        Self {
            entry,
            workers: first.into_iter().chain(second).collect(),
        }
    }

    /// Where a client connects.
    #[must_use]
    pub fn entry(&self) -> SocketAddr {
        self.entry
    }

    /// The processor time that all threads of both hops have used so far.
    ///
    /// # Errors
    /// As [`Worker::processor_time`].
    pub fn processor_time(&self) -> io::Result<Duration> {
        self.workers.iter().map(Worker::processor_time).sum()
    }
}
