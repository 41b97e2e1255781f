//! Servers as applications write them.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use aws_lc_rs::digest::{Context, SHA256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::namespace::Namespace;

/// What a server says that speaks first.
pub(crate) const GREETING: &[u8] = b"220 ready\n";

/// What [`half_closer`] says before it closes its half.
pub(crate) const ANNOUNCEMENT: &[u8] = b"nothing more from me";

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// A server in a thread of a namespace, until it is dropped.
pub(crate) struct Application {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Application {
    /// Serves each connection to a port, and returns when it listens.
    pub(super) fn serve<F, Fut>(namespace: &Namespace, port: u16, connection: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<()>> + 'static,
    {
        Self::start(namespace, port, move |listener| async move {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::task::spawn_local(connection(stream));
            }
        })
    }

    /// Runs a server on a port, and returns when it listens.
    pub(super) fn start<F, Fut>(namespace: &Namespace, port: u16, server: F) -> Self
    where
        F: FnOnce(TcpListener) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<()>>,
    {
        let (stop, stopped) = oneshot::channel();
        let (listening, listens) = std::sync::mpsc::sync_channel(1);
        let runtime = namespace.starter();
        let thread = std::thread::spawn(move || {
            let runtime = runtime();
            LocalSet::new().block_on(&runtime, async move {
                let socket = TcpSocket::new_v4().unwrap();
                socket.set_reuseaddr(true).unwrap();
                socket.bind((Ipv4Addr::UNSPECIFIED, port).into()).unwrap();
                let listener = socket.listen(BACKLOG).unwrap();
                listening.send(()).unwrap();
                let server = pin!(server(listener));
                tokio::select! {
                    result = server => result.unwrap(),
                    _ = stopped => (),
                }
            });
        });
        listens.recv().expect("the server listens");
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic of the server has been printed, and shows at its clients.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Sends everything back.
pub(crate) async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let (mut read, mut write) = stream.split();
    tokio::io::copy(&mut read, &mut write).await?;
    write.shutdown().await
}

/// Reads one line, and answers with the client's address as the server sees it.
pub(crate) async fn who_am_i(mut stream: TcpStream) -> io::Result<()> {
    let mut line = [0; 64];
    let _ = stream.read(&mut line).await?;
    let address = stream.peer_addr()?.ip().to_string();
    stream.write_all(address.as_bytes()).await
}

/// Speaks first, then sends everything back.
pub(crate) async fn greet(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(GREETING).await?;
    echo(stream).await
}

/// Answers only when the client has closed its half, with what it has said, backwards.
pub(crate) async fn answer_at_the_end(mut stream: TcpStream) -> io::Result<()> {
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await?;
    said.reverse();
    stream.write_all(&said).await
}

/// Says something, closes its half, and then reads until the client ends. What it has read is sent
/// to `heard`.
pub(crate) async fn half_closer(
    mut stream: TcpStream,
    heard: tokio::sync::mpsc::UnboundedSender<Vec<u8>>,
) -> io::Result<()> {
    stream.write_all(ANNOUNCEMENT).await?;
    stream.shutdown().await?;
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await?;
    let _ = heard.send(said);
    Ok(())
}

/// Reads everything, and answers with its SHA-256.
pub(crate) async fn digest(mut stream: TcpStream) -> io::Result<()> {
    let sha256 = read_and_digest(&mut stream, u64::MAX).await?;
    stream.write_all(&sha256).await
}

/// Reads so many bytes, or to the end, and returns their SHA-256.
pub(crate) async fn read_and_digest(stream: &mut TcpStream, count: u64) -> io::Result<Vec<u8>> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 256 * 1024];
    let mut limited = stream.take(count);
    loop {
        match limited.read(&mut buffer).await? {
            0 => return Ok(context.finish().as_ref().to_vec()),
            read => context.update(&buffer[..read]),
        }
    }
}

/// Reads a number of bytes, and answers with so many, then with their SHA-256.
pub(crate) async fn source(mut stream: TcpStream) -> io::Result<()> {
    let count = stream.read_u64_le().await?;
    let mut pattern = Pattern::new(2);
    let sha256 = pattern.send(&mut stream, count).await?;
    stream.write_all(&sha256).await
}

/// Answers a request over HTTP/1 with a page.
pub(crate) async fn http(mut stream: TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\npage 1";
    stream.write_all(answer.as_bytes()).await
}

/// Answers requests over HTTP/1 with their heads, and counts them.
pub(crate) async fn heads(mut stream: TcpStream, count: Arc<AtomicU64>) -> io::Result<()> {
    let mut head = Vec::new();
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        count.fetch_add(1, Ordering::SeqCst);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", head.len());
        stream.write_all(answer.as_bytes()).await?;
        stream.write_all(&head).await?;
    }
}

/// Sends for as long as the client lets it.
pub(crate) async fn flood(mut stream: TcpStream) -> io::Result<()> {
    let block = vec![7; 64 * 1024];
    loop {
        stream.write_all(&block).await?;
    }
}

/// Bytes that look random but are the same each time.
pub(crate) struct Pattern(u64);

impl Pattern {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Sends so many bytes, and returns their SHA-256.
    pub(crate) async fn send(
        &mut self,
        to: &mut (impl tokio::io::AsyncWrite + Unpin),
        mut count: u64,
    ) -> io::Result<Vec<u8>> {
        let mut context = Context::new(&SHA256);
        let mut buffer = vec![0; 256 * 1024];
        while count > 0 {
            self.fill(&mut buffer);
            let size = usize::try_from(count)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            context.update(&buffer[..size]);
            to.write_all(&buffer[..size]).await?;
            count -= size as u64;
        }
        Ok(context.finish().as_ref().to_vec())
    }

    /// The xorshift generator of Marsaglia.
    fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}
