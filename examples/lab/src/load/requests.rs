//! Requests and answers of 1 KiB on open connections.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::window::{Window, Work, finish, observe, open};
use crate::application::{Application, MESSAGE, Purpose};
use crate::path::Path;

/// Sends requests over `connections` connections, one at a time on each, and counts the answers.
///
/// # Errors
/// When a connection fails.
pub async fn requests(
    application: &Application,
    path: &Path,
    connections: usize,
    window: Window,
) -> io::Result<Work> {
    let answered = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let mut stream = open(path.entry(), Purpose::Answer).await?;
        let answered = answered.clone();
        tasks.spawn(async move {
            loop {
                exchange(&mut stream).await?;
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let work = observe(path, window, || answered.load(Ordering::Relaxed)).await?;
    finish(&mut tasks, application).await?;
    Ok(work)
}

/// Sends one request at a time over one connection and returns how long each took.
///
/// # Errors
/// When the connection fails.
pub async fn latencies(
    application: &Application,
    path: &Path,
    window: Window,
) -> io::Result<Vec<Duration>> {
    let mut stream = open(path.entry(), Purpose::Answer).await?;
    let warm = Instant::now() + window.warm_up;
    while Instant::now() < warm {
        exchange(&mut stream).await?;
    }
    let end = Instant::now() + window.measured;
    let mut found = Vec::new();
    loop {
        let begin = Instant::now();
        if begin >= end {
            break;
        }
        exchange(&mut stream).await?;
        found.push(begin.elapsed());
    }
    drop(stream);
    application.settled().await?;
    Ok(found)
}

async fn exchange(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0x5a; MESSAGE];
    stream.write_all(&buffer).await?;
    stream.read_exact(&mut buffer).await?;
    Ok(())
}
