//! A client's node proxy: requests through tunnels to the waypoint.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use mesh_hbone::proxy::TcpDialer;
use mesh_hbone::{Client as Tunnels, Tunnel, client::Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};

use crate::application::head;

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
        let tunnel = self.tunnel(&format!("{service}:80")).await.unwrap();
        let mut connection = Connection(BufReader::new(tunnel));
        connection.send(method, path, headers).await.unwrap()
    }

    /// A connection for several requests.
    pub(crate) async fn connection(&self, service: IpAddr) -> Connection {
        let tunnel = self.tunnel(&format!("{service}:80")).await.unwrap();
        Connection(BufReader::new(tunnel))
    }
}

/// A connection for several requests.
pub(crate) struct Connection(BufReader<Tunnel>);

impl Connection {
    /// Sends a request and reads its answer; `None` when the connection ends before.
    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &str) -> Option<Answer> {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: web\r\n{headers}\r\n");
        self.0.write_all(request.as_bytes()).await.ok()?;
        let (line, headers) = head(&mut self.0).await?;
        let length = headers.get("content-length");
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.ok()?;
        Some(Answer {
            status: line.split(' ').nth(1)?.parse().ok()?,
            headers,
            body: String::from_utf8(body).ok()?,
        })
    }
}
