//! Bytes without pause.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::window::{Window, Work, finish, observe, open};
use crate::application::{Application, CHUNK, Purpose};
use crate::path::Path;

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Direction {
    /// From the client to the application.
    Up,
    /// From the application to the client.
    Down,
}

/// Moves bytes over `streams` connections and counts those that arrive.
///
/// # Errors
/// When a connection fails.
pub async fn bulk(
    application: &Application,
    path: &Path,
    direction: Direction,
    streams: usize,
    window: Window,
) -> io::Result<Work> {
    let mut tasks = JoinSet::new();
    let arrived = Arc::new(AtomicU64::new(0));
    for _ in 0..streams {
        match direction {
            Direction::Up => tasks.spawn(write(open(path.entry(), Purpose::Sink).await?)),
            Direction::Down => {
                let stream = open(path.entry(), Purpose::Source).await?;
                tasks.spawn(read(stream, arrived.clone()))
            }
        };
    }
    let work = match direction {
        Direction::Up => observe(path, window, || application.received()).await?,
        Direction::Down => observe(path, window, || arrived.load(Ordering::Relaxed)).await?,
    };
    finish(&mut tasks, application).await?;
    Ok(work)
}

async fn write(mut stream: TcpStream) -> io::Result<()> {
    let buffer = vec![0x5a; CHUNK];
    loop {
        stream.write_all(&buffer).await?;
    }
}

async fn read(mut stream: TcpStream, arrived: Arc<AtomicU64>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        arrived.fetch_add(length as u64, Ordering::Relaxed);
    }
}
