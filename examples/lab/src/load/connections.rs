//! Connections: many short ones, or many that stay open and idle.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::window::{Window, Work, finish, observe, open};
use crate::application::{Application, Purpose};
use crate::path::Path;

/// Opens, uses for one byte there and back, and closes connections, `at_once` at a time, and counts them.
///
/// # Errors
/// When a connection fails.
pub async fn connections(
    application: &Application,
    path: &Path,
    at_once: usize,
    window: Window,
) -> io::Result<Work> {
    let closed = Arc::new(AtomicU64::new(0));
    let entry = path.entry();
    let mut tasks = JoinSet::new();
    for _ in 0..at_once {
        let closed = closed.clone();
        tasks.spawn(async move {
            loop {
                drop(used(entry).await?);
                closed.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let work = observe(path, window, || closed.load(Ordering::Relaxed)).await?;
    finish(&mut tasks, application).await?;
    Ok(work)
}

/// Opens `count` connections, one after the other, each of which has carried one byte there and back, and keeps them.
///
/// # Errors
/// When a connection fails.
pub async fn hold(entry: SocketAddr, count: usize) -> io::Result<Vec<TcpStream>> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        held.push(used(entry).await?);
    }
    Ok(held)
}

async fn used(entry: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = open(entry, Purpose::Echo).await?;
    stream.write_u8(1).await?;
    stream.read_u8().await?;
    Ok(stream)
}
