//! The application behind every contender: one TCP server that does what the first byte asks for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::listen::{listeners, serve};
use crate::worker::Worker;

/// The size of a request and of its answer, in bytes.
pub const MESSAGE: usize = 1024;

/// The size of the reads and writes of bulk transfers, in bytes.
pub const CHUNK: usize = 256 * 1024;

/// What a connection is for: its first byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Purpose {
    /// The application reads and counts.
    Sink,
    /// The application writes for ever.
    Source,
    /// The application answers each [`MESSAGE`] with another one.
    Answer,
    /// The application sends back what it reads.
    Echo,
}

impl Purpose {
    /// The byte that opens such a connection.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Sink => b's',
            Self::Source => b'f',
            Self::Answer => b'a',
            Self::Echo => b'e',
        }
    }

    fn of(byte: u8) -> io::Result<Self> {
        [Self::Sink, Self::Source, Self::Answer, Self::Echo]
            .into_iter()
            .find(|purpose| purpose.byte() == byte)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown purpose"))
    }
}

/// A running application.
#[derive(Debug)]
pub struct Application {
    address: SocketAddr,
    counters: Arc<Counters>,
    _worker: Worker,
}

#[derive(Debug, Default)]
struct Counters {
    received: AtomicU64,
    open: AtomicUsize,
}

impl Application {
    /// Starts the application on a thread of its own, on a fresh loopback port.
    ///
    /// # Errors
    /// When the socket or the thread cannot be made.
    pub fn start() -> io::Result<Self> {
        let counters = Arc::new(Counters::default());
        let (address, mut sockets) = listeners(1)?;
        let socket = sockets
            .pop()
            .ok_or_else(|| io::Error::other("no listener"))?;
        let shared = counters.clone();
        let worker = Worker::start("application", move || {
            serve(socket, move |stream| handle(stream, shared.clone()))
        })?;
        Ok(Self {
            address,
            counters,
            _worker: worker,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes its sinks have read so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.counters.received.load(Ordering::Relaxed)
    }

    /// Waits until no connection is open any more, so that one measurement does not disturb the next.
    ///
    /// # Errors
    /// When connections stay open for ten seconds.
    pub async fn settled(&self) -> io::Result<()> {
        for _ in 0..10_000 {
            if self.counters.open.load(Ordering::Acquire) == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "connections to the application stay open",
        ))
    }
}

struct Open(Arc<Counters>);

impl Open {
    fn count(counters: Arc<Counters>) -> Self {
        counters.open.fetch_add(1, Ordering::AcqRel);
        Self(counters)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn handle(mut stream: TcpStream, counters: Arc<Counters>) -> io::Result<()> {
    let open = Open::count(counters);
    match Purpose::of(stream.read_u8().await?)? {
        Purpose::Sink => sink(stream, &open.0.received).await,
        Purpose::Source => source(stream).await,
        Purpose::Answer => answer(stream).await,
        Purpose::Echo => echo(stream).await,
    }
}

async fn sink(mut stream: TcpStream, received: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        received.fetch_add(length as u64, Ordering::Relaxed);
    }
}

async fn source(mut stream: TcpStream) -> io::Result<()> {
    let buffer = vec![0x5a; CHUNK];
    loop {
        stream.write_all(&buffer).await?;
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; MESSAGE];
    loop {
        match stream.read_exact(&mut buffer).await {
            Ok(_) => stream.write_all(&buffer).await?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    // Small on purpose: idle connections are measured with it.
    let mut buffer = [0; 64];
    loop {
        let length = stream.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        stream.write_all(bytes).await?;
    }
}
