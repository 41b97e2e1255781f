//! The server name in the first message of a TLS client, read without ending TLS.

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;

/// What the first bytes of a connection say.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to find")]
pub enum ClientHello {
    /// More bytes are needed.
    Incomplete,
    /// It is no TLS.
    Other,
    /// It is TLS, with this server name if there is one.
    Tls(Option<String>),
}

/// Finds out what the first bytes of a connection say. Total: whatever the bytes, it reads only what is there.
///
/// Source: RFC 8446 §4.1.2 and §5.1, RFC 6066 §3.
///
/// ```
/// use mesh_l7::tcp::{ClientHello, client_hello};
///
/// assert_eq!(client_hello(b"GET / HTTP/1.1\r\n"), ClientHello::Other);
/// assert_eq!(client_hello(&[22, 3, 1]), ClientHello::Incomplete);
/// ```
#[must_use]
pub fn client_hello(bytes: &[u8]) -> ClientHello {
    let mut message = Vec::new();
    let mut records = Reader(bytes);
    loop {
        match records.0 {
            [] => break,
            [HANDSHAKE, 3, ..] | [HANDSHAKE] => {}
            _ => return ClientHello::Other,
        }
        // Type and version, then the content.
        if records.take(3).is_none() {
            break;
        }
        let Some(length) = records.u16() else { break };
        let whole = records.0.len() >= usize::from(length);
        let part = records.0.get(..usize::from(length)).unwrap_or(records.0);
        message.extend_from_slice(part);
        if let Some(found) = hello(&message) {
            return found;
        }
        if !whole {
            break;
        }
        records.0 = records.0.get(usize::from(length)..).unwrap_or_default();
    }
    ClientHello::Incomplete
}

/// What a handshake message says; `None` while it is not all there.
fn hello(message: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader(message);
    if reader.u8()? != CLIENT_HELLO {
        return Some(ClientHello::Other);
    }
    let length = usize::from(reader.u8()?) << 16 | usize::from(reader.u16()?);
    let body = reader.0.get(..length)?;
    Some(match extensions(body) {
        Some(extensions) => ClientHello::Tls(server_name(extensions)),
        None => ClientHello::Other,
    })
}

/// The extensions of a `ClientHello`; none of them is an empty list. `None` when it is malformed.
fn extensions(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(body);
    // Version and random.
    reader.take(34)?;
    let session = reader.u8()?;
    reader.take(session.into())?;
    let ciphers = reader.u16()?;
    reader.take(ciphers.into())?;
    let compressions = reader.u8()?;
    reader.take(compressions.into())?;
    if reader.0.is_empty() {
        return Some(&[]);
    }
    let length = reader.u16()?;
    reader.take(length.into())
}

fn server_name(extensions: &[u8]) -> Option<String> {
    let mut reader = Reader(extensions);
    loop {
        let kind = reader.u16()?;
        let length = reader.u16()?;
        let content = reader.take(length.into())?;
        if kind != SERVER_NAME {
            continue;
        }
        let mut list = Reader(content);
        let length = list.u16()?;
        let mut names = Reader(list.take(length.into())?);
        loop {
            let kind = names.u8()?;
            let length = names.u16()?;
            let name = names.take(length.into())?;
            if kind == HOST_NAME {
                let name = std::str::from_utf8(name).ok()?;
                let name = name.trim_end_matches('.');
                let valid = !name.is_empty() && name.is_ascii() && name.len() <= 255;
                return valid.then(|| name.to_ascii_lowercase());
            }
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `ClientHello` with these extensions: RFC 8446 §4.1.2.
    fn message(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut list = Vec::new();
        for (kind, content) in extensions {
            list.extend_from_slice(&kind.to_be_bytes());
            list.extend_from_slice(&(content.len() as u16).to_be_bytes());
            list.extend_from_slice(content);
        }
        let mut body = vec![3, 3];
        body.extend_from_slice(&[7; 32]);
        body.extend_from_slice(&[2, 1, 2]);
        body.extend_from_slice(&[0, 2, 0x13, 1]);
        body.extend_from_slice(&[1, 0]);
        if !extensions.is_empty() {
            body.extend_from_slice(&(list.len() as u16).to_be_bytes());
            body.extend_from_slice(&list);
        }
        let mut message = vec![1, 0];
        message.extend_from_slice(&(body.len() as u16).to_be_bytes());
        message.extend_from_slice(&body);
        message
    }

    /// Records of at most so many bytes.
    fn records(message: &[u8], most: usize) -> Vec<u8> {
        let records = message.chunks(most).flat_map(|part| {
            let mut record = vec![22, 3, 1];
            record.extend_from_slice(&(part.len() as u16).to_be_bytes());
            record.extend_from_slice(part);
            record
        });
        records.collect()
    }

    /// RFC 6066 §3: a list of names, each with its type.
    fn name(name: &str) -> (u16, Vec<u8>) {
        let mut entry = vec![0];
        entry.extend_from_slice(&(name.len() as u16).to_be_bytes());
        entry.extend_from_slice(name.as_bytes());
        let mut list = (entry.len() as u16).to_be_bytes().to_vec();
        list.extend_from_slice(&entry);
        (0, list)
    }

    #[test]
    fn a_server_name_is_found_wherever_it_is() {
        let other = (43, vec![2, 3, 4]);
        let tls = |name: &str| ClientHello::Tls(Some(name.to_owned()));
        let cases = [
            (
                "alone",
                message(&[name("db.example.com")]),
                tls("db.example.com"),
            ),
            (
                "in capitals",
                message(&[name("DB.Example.com.")]),
                tls("db.example.com"),
            ),
            (
                "after another",
                message(&[other.clone(), name("a")]),
                tls("a"),
            ),
            ("without one", message(&[other]), ClientHello::Tls(None)),
            ("without extensions", message(&[]), ClientHello::Tls(None)),
            ("empty", message(&[name("")]), ClientHello::Tls(None)),
            (
                "not ASCII",
                message(&[name("\u{e4}.de")]),
                ClientHello::Tls(None),
            ),
        ];
        for (case, message, expected) in cases {
            for most in [1, 5, 100, 16_384] {
                let bytes = records(&message, most);
                assert_eq!(
                    client_hello(&bytes),
                    expected,
                    "{case} in records of {most}"
                );
                for end in 0..bytes.len() {
                    let found = client_hello(&bytes[..end]);
                    assert_eq!(
                        found,
                        ClientHello::Incomplete,
                        "{case}: {end} bytes of {most}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_no_tls_is_known_by_its_first_bytes() {
        for bytes in [
            &b"GET / HTTP/1.1"[..],
            b"\x16\x02",
            b"\x17\x03\x01",
            b"\0",
            b"SSH-2.0-x",
        ] {
            assert_eq!(client_hello(bytes), ClientHello::Other, "{bytes:?}");
        }
        // A handshake message that is no ClientHello, and one whose lengths do not fit.
        assert_eq!(client_hello(&records(&[2, 0, 0, 0], 9)), ClientHello::Other);
        let mut broken = message(&[name("a")]);
        broken[38] = 200;
        assert_eq!(client_hello(&records(&broken, 9_999)), ClientHello::Other);
    }
}
