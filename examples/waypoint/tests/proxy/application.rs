//! An application: HTTP/1.1 that counts what it receives.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The port of all applications.
pub(crate) const PORT: u16 = 8080;

/// One instance of an application. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Application(Arc<State>);

#[derive(Debug)]
struct State {
    name: &'static str,
    requests: AtomicU64,
    /// Whether it answers everything with 503.
    failing: AtomicBool,
}

impl Application {
    /// Starts it at an address. It answers with its name, the path and the headers that it saw, after 1 s
    /// below `/slow`.
    pub(crate) async fn start(name: &'static str, address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind(SocketAddr::from((address, PORT)))
            .await
            .unwrap();
        let application = Self(Arc::new(State {
            name,
            requests: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        }));
        let served = application.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(served.clone().serve(stream));
            }
        });
        application
    }

    /// How many requests it has received.
    pub(crate) fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn fail(&self, failing: bool) {
        self.0.failing.store(failing, Ordering::SeqCst);
    }

    async fn serve(self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut stream = BufReader::new(stream);
        while let Some((line, headers)) = head(&mut stream).await {
            let length = headers.get("content-length");
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; length];
            if stream.read_exact(&mut body).await.is_err() {
                return;
            }
            self.0.requests.fetch_add(1, Ordering::SeqCst);
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            if path.starts_with("/slow") {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let status = match self.0.failing.load(Ordering::SeqCst) {
                true => "503 Service Unavailable",
                false => "200 OK",
            };
            let seen: Vec<String> = headers
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let body = format!("{} {path} {}", self.0.name, seen.join(" "));
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// A first line and headers in lower case; `None` at the end.
pub(crate) async fn head<S>(stream: &mut S) -> Option<(String, BTreeMap<String, String>)>
where
    S: tokio::io::AsyncBufRead + Unpin,
{
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let headers = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Some((lines.first()?.clone(), headers.collect()))
}
