//! An application: HTTP/1.1 that counts what it receives.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The port of all applications.
pub(crate) const PORT: u16 = 8080;

/// One instance of an application. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Application(Arc<State>);

#[derive(Debug)]
struct State {
    name: &'static str,
    requests: AtomicU64,
    /// Connections that were accepted.
    connections: AtomicU64,
    /// Connections that ended while a request on them was held.
    abandoned: AtomicU64,
    /// Whether it answers everything with 503.
    failing: AtomicBool,
    seen: Mutex<Vec<Seen>>,
    /// Whether requests below `/hold` are answered.
    released: watch::Sender<bool>,
    /// Counts the times that idle connections were closed.
    closed: watch::Sender<u64>,
}

/// A request that was received.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
}

impl Seen {
    /// Which attempt of its request it is, as the proxy says.
    pub(crate) fn attempt(&self) -> u32 {
        self.headers["x-envoy-attempt-count"].parse().unwrap()
    }
}

impl Application {
    /// Starts it at an address. It answers with its name, the path and the headers that it saw. Paths that begin
    /// so are treated otherwise:
    ///
    /// | | |
    /// |---|---|
    /// | `/slow`, `/fine/slow` | answered after 1 s |
    /// | `/hold` | answered when it is told to [`release`](Self::release) |
    /// | `/again` | 503 to first attempts, further ones are held like `/hold` |
    /// | `/late` | first attempts are held, further ones answered |
    /// | `/drop` | the connection is closed instead of an answer |
    /// | `/garbage` | answered by what is no HTTP |
    /// | `/later` | 503 with `retry-after: 1` to first attempts |
    /// | `/status/` | the status that follows, with `x-app` and without a body where the status has none |
    pub(crate) async fn start(name: &'static str, address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind(SocketAddr::from((address, PORT)));
        let listener = listener.await.unwrap();
        let application = Self(Arc::new(State {
            name,
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            seen: Mutex::default(),
            released: watch::channel(false).0,
            closed: watch::channel(0).0,
        }));
        let served = application.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                served.0.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(served.clone().serve(stream));
            }
        });
        application
    }

    /// How many requests it has received.
    pub(crate) fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::SeqCst)
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> u64 {
        self.0.connections.load(Ordering::SeqCst)
    }

    /// How many connections have ended while a request was held.
    pub(crate) fn abandoned(&self) -> u64 {
        self.0.abandoned.load(Ordering::SeqCst)
    }

    /// The requests to a path, in the order in which they came.
    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.0.seen.lock().unwrap();
        seen.iter()
            .filter(|one| one.path == path)
            .cloned()
            .collect()
    }

    pub(crate) fn fail(&self, failing: bool) {
        self.0.failing.store(failing, Ordering::SeqCst);
    }

    /// Answers what is held, and what would be.
    pub(crate) fn release(&self) {
        self.0.released.send_replace(true);
    }

    /// Closes the connections that wait for a request.
    pub(crate) fn close_idle(&self) {
        self.0.closed.send_modify(|times| *times += 1);
    }

    async fn serve(self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut stream = BufReader::new(stream);
        let mut closed = self.0.closed.subscribe();
        loop {
            let seen = tokio::select! {
                seen = request(&mut stream) => seen,
                _ = closed.changed() => return,
            };
            let Some(seen) = seen else { return };
            self.0.requests.fetch_add(1, Ordering::SeqCst);
            self.0.seen.lock().unwrap().push(seen.clone());
            let again = seen.headers.contains_key("x-envoy-attempt-count") && seen.attempt() > 1;
            let begins = |with: &str| seen.path.starts_with(with);
            if begins("/drop") {
                return;
            }
            if begins("/garbage") {
                let _ = stream.write_all(b"SSH-2.0-what\r\n\r\n").await;
                return;
            }
            if begins("/slow") || begins("/fine/slow") {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let held = begins("/hold")
                || (begins("/again") && again)
                || (begins("/late") && !begins("/later") && !again);
            if held && !self.held(&mut stream).await {
                self.0.abandoned.fetch_add(1, Ordering::SeqCst);
                return;
            }
            let first = !again && (begins("/again") || begins("/later"));
            let status = match seen.path.strip_prefix("/status/") {
                Some(rest) => rest.split('?').next().unwrap().parse().unwrap(),
                None if first || self.0.failing.load(Ordering::SeqCst) => 503,
                None => 200,
            };
            let answer = self.answer(&seen, status);
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    /// Waits until requests are released; `false` when the connection ends before.
    async fn held(&self, stream: &mut BufReader<TcpStream>) -> bool {
        let mut released = self.0.released.subscribe();
        tokio::select! {
            _ = released.wait_for(|released| *released) => true,
            read = stream.fill_buf() => read.is_ok_and(|bytes| !bytes.is_empty()),
        }
    }

    fn answer(&self, seen: &Seen, status: u16) -> String {
        let headers = seen.headers.iter();
        let headers: Vec<String> = headers
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let body = format!("{} {} {}", self.0.name, seen.path, headers.join(" "));
        let asked = if seen.path.starts_with("/later") && status == 503 {
            "retry-after: 1\r\n"
        } else {
            ""
        };
        let lines = format!("HTTP/1.1 {status} OK\r\nx-app: {}\r\n{asked}", self.0.name);
        // RFC 9110 §6.4.1: answers to HEAD and those of 204 and 304 have no content.
        match (status, seen.method.as_str()) {
            (204, _) => format!("{lines}\r\n"),
            (304, _) | (_, "HEAD") => format!("{lines}content-length: {}\r\n\r\n", body.len()),
            _ => format!("{lines}content-length: {}\r\n\r\n{body}", body.len()),
        }
    }
}

async fn request<S: AsyncBufRead + Unpin>(stream: &mut S) -> Option<Seen> {
    let (line, headers) = head(stream).await?;
    let body = body(stream, &headers).await?;
    let mut words = line.split(' ').map(str::to_owned);
    Some(Seen {
        method: words.next()?,
        path: words.next()?,
        headers,
        body,
        at: Instant::now(),
    })
}

/// A first line and headers in lower case; `None` at the end.
pub(crate) async fn head<S>(stream: &mut S) -> Option<(String, BTreeMap<String, String>)>
where
    S: AsyncBufRead + Unpin,
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

/// A body by its length or in chunks; `None` when it does not end.
pub(crate) async fn body<S>(stream: &mut S, headers: &BTreeMap<String, String>) -> Option<Vec<u8>>
where
    S: AsyncBufRead + Unpin,
{
    if !headers.contains_key("transfer-encoding") {
        let length = headers.get("content-length");
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).await.ok()?;
        return Some(body);
    }
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|n| *n > 0)?;
        let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).await.ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
