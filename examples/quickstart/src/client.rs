//! A client such as `curl`: HTTP/1.1, directly or through a SOCKS5 proxy.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::failure::Result;

/// How many requests a median is made of.
pub(crate) const SAMPLES: usize = 500;

/// One connection to an HTTP server.
pub(crate) struct HttpClient(BufReader<TcpStream>);

/// What the server answered.
pub(crate) struct Answer {
    pub(crate) status: String,
    pub(crate) body: String,
}

impl HttpClient {
    /// Connects to `server`.
    pub(crate) async fn direct(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Asks the SOCKS5 proxy (RFC 1928) for a connection to `host`, whose name the proxy resolves.
    pub(crate) async fn through_socks5(proxy: SocketAddr, host: &str, port: u16) -> Result<Self> {
        let Self(mut stream) = Self::direct(proxy).await?;
        stream.write_all(&[5, 1, 0]).await?;
        let mut method = [0; 2];
        stream.read_exact(&mut method).await?;
        let mut request = vec![5, 1, 0, 3, u8::try_from(host.len())?];
        request.extend_from_slice(host.as_bytes());
        request.extend_from_slice(&port.to_be_bytes());
        stream.write_all(&request).await?;
        // The answer names an IPv4 address, which does not matter here.
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).await?;
        match answer {
            [5, 0, ..] => Ok(Self(stream)),
            [_, code, ..] => Err(format!("SOCKS5 code {code} instead of a connection").into()),
        }
    }

    /// Asks for `/`.
    pub(crate) async fn get(&mut self, host: &str) -> Result<Answer> {
        self.send("GET", "/", &[("host", host)]).await
    }

    /// Sends one request without a body, and reads its answer.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        self.0.write_all(request.as_bytes()).await?;
        let (mut status, mut length) = (String::new(), 0);
        self.0.read_line(&mut status).await?;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await?;
            match line.trim().to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => length = value.parse()?,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        let status = status.trim().trim_start_matches("HTTP/1.1 ").to_owned();
        Ok(Answer {
            status,
            body: String::from_utf8(body)?,
        })
    }

    /// The median time of a request.
    pub(crate) async fn median(&mut self, host: &str) -> Result<Duration> {
        let mut times = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let begin = Instant::now();
            self.get(host).await?;
            times.push(begin.elapsed());
        }
        times.sort_unstable();
        times
            .get(SAMPLES / 2)
            .copied()
            .ok_or_else(|| "no samples".into())
    }
}
