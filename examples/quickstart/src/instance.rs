//! An instance of the catalog: HTTP/1.1 that knows nothing of the mesh, and counts what it is asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A running instance. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    text: &'static str,
    requests: AtomicU64,
    /// Whether it answers everything with 503.
    failing: AtomicBool,
}

impl Instance {
    /// Starts one on a free port, which answers all requests with `text`.
    pub(crate) async fn start(text: &'static str) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let instance = Self {
            address: listener.local_addr()?,
            state: Arc::new(State {
                text,
                requests: AtomicU64::new(0),
                failing: AtomicBool::new(false),
            }),
        };
        let state = instance.state.clone();
        tokio::spawn(async move {
            loop {
                // A connection that fails is its client's loss.
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, state.clone()));
                }
            }
        });
        Ok(instance)
    }

    /// Breaks it, or repairs it.
    pub(crate) fn fail(&self, failing: bool) {
        self.state.failing.store(failing, Ordering::Relaxed);
    }

    /// The requests that it has received.
    pub(crate) fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }
}

async fn answer(mut stream: TcpStream, state: Arc<State>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        // The empty line ends a request without a body.
        if line.is_empty() {
            state.requests.fetch_add(1, Ordering::Relaxed);
            let (status, text) = match state.failing.load(Ordering::Relaxed) {
                true => ("503 Service Unavailable", "broken\n"),
                false => ("200 OK", state.text),
            };
            let length = text.len();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{text}");
            writer.write_all(answer.as_bytes()).await?;
        }
    }
    Ok(())
}
