//! A client's node proxy: requests through tunnels to the waypoint.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use mesh_hbone::proxy::TcpDialer;
use mesh_hbone::{Client as Tunnels, Tunnel, client::Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};

use crate::application::{body, head};

/// A client with an identity.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) tunnels: Tunnels<TcpDialer>,
    pub(crate) waypoint: SocketAddr,
    /// The service account of `shop` or of another namespace, as `namespace/account`.
    pub(crate) account: &'static str,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Client {
    /// The same client under another account.
    pub(crate) fn named(&self, account: &'static str) -> Self {
        Self {
            account,
            ..self.clone()
        }
    }

    /// A tunnel for an authority.
    pub(crate) async fn tunnel(
        &self,
        authority: &str,
    ) -> Result<Tunnel, mesh_hbone::client::Error> {
        let id = |account: &str| {
            let (namespace, name) = account.split_once('/').unwrap();
            let text = format!("spiffe://cluster.local/ns/{namespace}/sa/{name}");
            text.parse::<mesh_core::identity::SpiffeId>().unwrap()
        };
        let (source, expected) = (id(self.account), id("shop/wp"));
        let target = Target::new(self.waypoint, authority, source, expected);
        self.tunnels.connect(target).await
    }

    /// `GET` on a connection of its own to a service.
    pub(crate) async fn get(&self, service: IpAddr, path: &str) -> Answer {
        self.send(service, "GET", path, "").await
    }

    /// A request with further header lines, each with its end.
    pub(crate) async fn send(
        &self,
        service: IpAddr,
        method: &str,
        path: &str,
        headers: &str,
    ) -> Answer {
        let mut connection = self.connection(service).await;
        connection.send(method, path, headers).await.unwrap()
    }

    /// A connection for several requests.
    pub(crate) async fn connection(&self, service: IpAddr) -> Connection {
        let tunnel = self.tunnel(&format!("{service}:80")).await.unwrap();
        Connection(BufReader::new(tunnel))
    }

    /// An HTTP/2 connection to port 80 of a service.
    pub(crate) async fn http2(&self, service: IpAddr) -> h2::client::SendRequest<Bytes> {
        let tunnel = self.tunnel(&format!("{service}:80")).await.unwrap();
        let (sender, connection) = h2::client::handshake(tunnel).await.unwrap();
        // Its end is seen by its streams.
        tokio::spawn(connection);
        sender
    }
}

/// A connection for several requests.
pub(crate) struct Connection(pub(crate) BufReader<Tunnel>);

impl Connection {
    /// Sends a request and reads its answer; `None` when the connection ends before.
    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &str) -> Option<Answer> {
        self.send_body(method, path, headers, b"").await
    }

    /// The same with a body, whose length the headers tell.
    pub(crate) async fn send_body(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        content: &[u8],
    ) -> Option<Answer> {
        let host = if headers.contains("host: ") {
            ""
        } else {
            "host: web\r\n"
        };
        let request = format!("{method} {path} HTTP/1.1\r\n{host}{headers}\r\n");
        self.0.write_all(request.as_bytes()).await.ok()?;
        self.0.write_all(content).await.ok()?;
        self.answer(method).await
    }

    /// Reads the answer to a request.
    pub(crate) async fn answer(&mut self, method: &str) -> Option<Answer> {
        let (line, headers) = head(&mut self.0).await?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let content = match (status, method) {
            (204 | 304, _) | (_, "HEAD") => Vec::new(),
            _ => body(&mut self.0, &headers).await?,
        };
        Some(Answer {
            status,
            headers,
            body: String::from_utf8(content).ok()?,
        })
    }

    /// Whether the other side has ended the connection, with nothing more to say.
    pub(crate) async fn ended(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 1]).await, Ok(0) | Err(_))
    }
}
