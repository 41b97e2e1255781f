//! An application that speaks gRPC, and a client's calls.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use crate::application::PORT;

/// An application with methods of each kind. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Callee(Arc<State>);

#[derive(Debug, Default)]
struct State {
    calls: AtomicU64,
    connections: AtomicU64,
    abandoned: AtomicU64,
    /// Headers of the calls, by method.
    heads: Mutex<Vec<(String, HeaderMap)>>,
}

impl Callee {
    /// Starts it at an address. Below `/test.Echo/` are
    ///
    /// | | |
    /// |---|---|
    /// | `Unary`, `Collect` | one answer when all has been received: the messages, with commas |
    /// | `List` | five answers |
    /// | `Chat` | each message comes back at once |
    /// | `Wait` | no answer |
    /// | `Fail` | a status of 5 in the head |
    /// | `Break` | one answer, then a status of 13 |
    /// | `Bye` | like `Unary`, and the connection takes no more calls |
    pub(crate) async fn start(address: Ipv4Addr) -> Self {
        let callee = Self::default();
        let listener = TcpListener::bind(SocketAddr::from((address, PORT)));
        let listener = listener.await.unwrap();
        let served = callee.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                served.0.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(served.clone().serve(stream));
            }
        });
        callee
    }

    /// How many calls it has received.
    pub(crate) fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> u64 {
        self.0.connections.load(Ordering::SeqCst)
    }

    /// How many calls were given up by the other side while they waited.
    pub(crate) fn abandoned(&self) -> u64 {
        self.0.abandoned.load(Ordering::SeqCst)
    }

    /// The headers of the first call of a method.
    pub(crate) fn head(&self, method: &str) -> Option<HeaderMap> {
        let heads = self.0.heads.lock().unwrap();
        let head = heads.iter().find(|(path, _)| path.ends_with(method));
        head.map(|(_, headers)| headers.clone())
    }

    async fn serve(self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let Ok(mut connection) = h2::server::handshake(stream).await else {
            return;
        };
        while let Some(Ok((request, respond))) = connection.accept().await {
            self.0.calls.fetch_add(1, Ordering::SeqCst);
            let head = (request.uri().path().to_owned(), request.headers().clone());
            if head.0.ends_with("/Bye") {
                connection.graceful_shutdown();
            }
            self.0.heads.lock().unwrap().push(head);
            let callee = self.clone();
            tokio::spawn(async move { callee.answer(request, respond).await });
        }
    }

    async fn answer(self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let mut body = request.into_body();
        let head = || {
            let head = Response::builder().header("content-type", "application/grpc");
            head.body(()).unwrap()
        };
        match &*method {
            "Wait" => {
                // Resolves when the stream is reset, or its connection ends.
                let _ = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
                self.0.abandoned.fetch_add(1, Ordering::SeqCst);
            }
            "Fail" => {
                let mut head = head();
                head.headers_mut().extend(status(5, "nothing there"));
                respond.send_response(head, true).unwrap();
            }
            "Break" => {
                let mut stream = respond.send_response(head(), false).unwrap();
                stream.send_data(message("some"), false).unwrap();
                stream.send_trailers(status(13, "broken")).unwrap();
            }
            "Chat" => {
                let mut stream = respond.send_response(head(), false).unwrap();
                while let Some(Ok(data)) = body.data().await {
                    body.flow_control().release_capacity(data.len()).unwrap();
                    stream.send_data(data, false).unwrap();
                }
                stream.send_trailers(status(0, "bye")).unwrap();
            }
            _ => {
                let Some(sent) = received(&mut body).await else {
                    return;
                };
                let answers = match &*method {
                    "List" => (1..=5)
                        .map(|at| format!("{at} of {}", sent.join(",")))
                        .collect(),
                    _ => vec![sent.join(",")],
                };
                let mut stream = respond.send_response(head(), false).unwrap();
                for answer in answers {
                    stream.send_data(message(&answer), false).unwrap();
                }
                stream.send_trailers(status(0, "done")).unwrap();
            }
        }
    }
}

fn status(code: u16, words: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.into());
    trailers.insert("grpc-message", words.parse().unwrap());
    trailers
}

/// A message as it is framed: not compressed, its length, itself.
pub(crate) fn message(text: &str) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(text.len()).unwrap());
    framed.put_slice(text.as_bytes());
    framed.freeze()
}

/// Messages to the end of a stream; `None` when it breaks.
async fn received(body: &mut RecvStream) -> Option<Vec<String>> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        body.flow_control().release_capacity(data.len()).ok()?;
        bytes.extend_from_slice(&data);
    }
    let mut rest = &*bytes;
    let mut messages = Vec::new();
    while let [0, a, b, c, d, after @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (one, after) = after.split_at_checked(length)?;
        messages.push(String::from_utf8(one.to_vec()).ok()?);
        rest = after;
    }
    rest.is_empty().then_some(messages)
}

/// A call that was begun.
pub(crate) struct Call {
    pub(crate) response: h2::client::ResponseFuture,
    pub(crate) sending: SendStream<Bytes>,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) messages: Vec<String>,
    pub(crate) status: Option<String>,
    pub(crate) words: Option<String>,
}

/// Begins a call of a method, with further headers.
pub(crate) async fn begin(
    sender: &SendRequest<Bytes>,
    method: &str,
    headers: &[(&'static str, &str)],
) -> Call {
    let mut request = Request::post(format!("http://calls/test.Echo/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut sender = sender.clone().ready().await.unwrap();
    let (response, sending) = sender
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    Call { response, sending }
}

impl Call {
    /// The end of a call of which nothing more is sent.
    pub(crate) async fn outcome(mut self, messages: &[&str]) -> Outcome {
        for text in messages {
            self.sending.send_data(message(text), false).unwrap();
        }
        // A call that failed already takes nothing more.
        let _ = self.sending.send_data(Bytes::new(), true);
        let response = self.response.await.unwrap();
        assert_eq!(response.status(), 200);
        let (head, mut body) = response.into_parts();
        let messages = received(&mut body).await.unwrap();
        let trailers = body.trailers().await.unwrap();
        let last = trailers.as_ref().unwrap_or(&head.headers);
        let text = |name| Some(last.get(name)?.to_str().unwrap().to_owned());
        Outcome {
            messages,
            status: text("grpc-status"),
            words: text("grpc-message"),
        }
    }
}

/// A call to its end.
pub(crate) async fn call(sender: &SendRequest<Bytes>, method: &str, messages: &[&str]) -> Outcome {
    begin(sender, method, &[]).await.outcome(messages).await
}
