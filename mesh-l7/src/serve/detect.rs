//! Which protocol a connection speaks, by its first bytes.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use super::rewound::Rewound;

/// What an HTTP/2 client with prior knowledge says first (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long [`detect`] looks for HTTP, and at how much.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DetectSettings {
    /// Time after which a connection is taken for another protocol: one in which the server speaks
    /// first says nothing. Default 100 ms.
    pub timeout: Duration,
    /// Bytes in which the first line of HTTP/1 has to end. Default 8 KiB.
    pub bytes: usize,
}

impl Default for DetectSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(100),
            bytes: 8 << 10,
        }
    }
}

/// A connection, and what it speaks. Nothing of it has been taken away.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to tell")]
pub enum Detected<IO> {
    /// HTTP/1: a first line that ends with `HTTP/1.0` or `HTTP/1.1`.
    Http1(Rewound<IO>),
    /// HTTP/2 with prior knowledge.
    Http2(Rewound<IO>),
    /// Neither, or nothing came in time.
    Other(Rewound<IO>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Http1,
    Http2,
    Other,
    /// Depends on what follows.
    Open,
}

/// Tells HTTP from other protocols by the first bytes of a connection, for ports that carry any.
///
/// # Errors
/// When reading fails.
///
/// # Cancellation
/// Dropping the future closes the connection.
///
/// ```
/// use mesh_l7::serve::{Detected, detect};
/// use tokio::io::AsyncWriteExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (mut client, connection) = tokio::io::duplex(64);
/// client.write_all(b"\x16\x03\x01").await?;
/// let detected = detect(connection, &Default::default()).await?;
/// let Detected::Other(connection) = detected else { unreachable!() };
/// assert_eq!(&connection.into_parts().0[..], b"\x16\x03\x01");
/// # Ok(())
/// # }
/// ```
pub async fn detect<IO>(io: IO, settings: &DetectSettings) -> io::Result<Detected<IO>>
where
    IO: AsyncRead + Unpin,
{
    let mut io = io;
    let mut first = BytesMut::with_capacity(1024);
    let deadline = Instant::now() + settings.timeout;
    let verdict = loop {
        match judge(&first) {
            Verdict::Open if first.len() < settings.bytes => {}
            Verdict::Open => break Verdict::Other,
            verdict => break verdict,
        }
        match timeout_at(deadline, io.read_buf(&mut first)).await {
            Ok(Ok(0)) | Err(_) => break Verdict::Other,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
        }
    };
    let io = Rewound::new(first, io);
    Ok(match verdict {
        Verdict::Http1 => Detected::Http1(io),
        Verdict::Http2 => Detected::Http2(io),
        Verdict::Other | Verdict::Open => Detected::Other(io),
    })
}

/// Tells HTTP/2 from everything else; `None` when the connection ended, or said nothing in time.
pub(super) async fn http_version<IO>(io: IO, timeout: Duration) -> io::Result<Option<Detected<IO>>>
where
    IO: AsyncRead + Unpin,
{
    let mut io = io;
    let mut first = BytesMut::with_capacity(1024);
    let deadline = Instant::now() + timeout;
    while PREFACE.starts_with(&first) && first.len() < PREFACE.len() {
        match timeout_at(deadline, io.read_buf(&mut first)).await {
            Ok(Ok(0)) | Err(_) if first.is_empty() => return Ok(None),
            Ok(Ok(0)) | Err(_) => break,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
        }
    }
    let http2 = first.starts_with(PREFACE);
    let io = Rewound::new(first, io);
    Ok(Some(match http2 {
        true => Detected::Http2(io),
        false => Detected::Http1(io),
    }))
}

fn judge(first: &[u8]) -> Verdict {
    if first.starts_with(PREFACE) {
        return Verdict::Http2;
    }
    if PREFACE.starts_with(first) {
        return Verdict::Open;
    }
    // An empty line may come before a request (RFC 9112 §2.2).
    let line = first.strip_prefix(b"\r\n").unwrap_or(first);
    let whole = line.iter().position(|&b| b == b'\n');
    let line = line.get(..whole.unwrap_or(line.len())).unwrap_or(line);
    let mut parts = line.splitn(2, |&b| b == b' ');
    let method = parts.next().unwrap_or_default();
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    // The longest method in IANA's registry has 17 characters.
    let method_is_one = method.len() <= 32 && method.iter().all(token);
    let rest = parts.next();
    let printable = rest.is_none_or(|rest| {
        rest.iter()
            .all(|b| (b' '..=b'~').contains(b) || *b == b'\r')
    });
    let carriage_return = line.ends_with(b"\r");
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match whole {
        _ if !method_is_one || !printable => match (whole, first) {
            (None, b"\r") => Verdict::Open,
            _ => Verdict::Other,
        },
        None => Verdict::Open,
        Some(_) if carriage_return && line.ends_with(b" HTTP/1.1") => Verdict::Http1,
        Some(_) if carriage_return && line.ends_with(b" HTTP/1.0") => Verdict::Http1,
        Some(_) => Verdict::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, judge};

    #[test]
    fn protocols_are_told_by_their_first_bytes() {
        let cases: [(&[u8], Verdict); 16] = [
            (b"", Verdict::Open),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", Verdict::Http2),
            (b"PRI * HTTP/2.0\r\n\r\nS", Verdict::Open),
            (b"PRI * HTTP/2.0\r\n\r\nXM\r\n\r\n", Verdict::Other),
            (b"G", Verdict::Open),
            (b"P", Verdict::Open),
            (b"GET / HTTP/1.1\r\n", Verdict::Http1),
            (b"\r\nGET / HTTP/1.0\r\nHost", Verdict::Http1),
            (b"\r", Verdict::Open),
            (b"PROPFIND /a HTTP/1.1\r", Verdict::Open),
            (b"GET / HTTP/0.9\r\n", Verdict::Other),
            (b"EHLO mail.example\r\n", Verdict::Other),
            // A TLS ClientHello, MySQL's and PostgreSQL's greetings.
            (b"\x16\x03\x01\x02\x00", Verdict::Other),
            (b"\x4a\x00\x00\x00\x0a8.0", Verdict::Other),
            (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Verdict::Other),
            (
                b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                Verdict::Other,
            ),
        ];
        for (first, verdict) in cases {
            assert_eq!(
                judge(first),
                verdict,
                "{:?}",
                first.escape_ascii().to_string()
            );
        }
    }
}
