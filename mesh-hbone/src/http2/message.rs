//! Header lists as requests and answers (RFC 9113 §8).

use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// A request of a client. Whether its stream has ended is known by the stream.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Empty for a method other than CONNECT that names none.
    pub(crate) authority: Box<str>,
    pub(crate) headers: HeaderMap,
}

/// The final answer of a server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// What a header list turned out to be.
#[derive(Debug)]
pub(super) enum Message<T> {
    Well(T),
    /// Malformed (RFC 9113 §8.1.1): an error of its stream.
    Malformed,
    /// Larger than what was announced.
    TooLarge,
}

/// Gathers a header list while it is decoded.
#[derive(Debug, Default)]
pub(super) struct Fields {
    method: Option<Method>,
    authority: Option<Authority>,
    scheme: bool,
    path: bool,
    status: Option<StatusCode>,
    headers: HeaderMap,
    size: usize,
    limit: usize,
    malformed: bool,
}

impl Fields {
    /// For lists of up to `limit` bytes, as RFC 9113 §6.5.2 counts them.
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) {
        self.size = self.size.saturating_add(name.len() + value.len() + 32);
        if self.size > self.limit || self.malformed {
            // What is left has to be decoded, but not to be kept.
            return;
        }
        if self.keep(name, value).is_none() {
            self.malformed = true;
        }
    }

    /// `None` for what makes a message malformed.
    fn keep(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        if let [b':', pseudo @ ..] = name {
            // They come first (§8.3), each once.
            let late = !self.headers.is_empty();
            return (!late && self.pseudo(pseudo, value)?).then_some(());
        }
        // Names are lower-case (§8.2.1), and speak of the message, not of the connection (§8.2.2).
        if name.iter().any(u8::is_ascii_uppercase) || is_of_connection(name, value) {
            return None;
        }
        let name = HeaderName::from_bytes(name).ok()?;
        let value = HeaderValue::from_bytes(value).ok()?;
        // Its limit of names is far above what the size of a list allows.
        self.headers.try_append(name, value).ok()?;
        Some(())
    }

    /// Whether the pseudo-header is known, valid, and the first of its name.
    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Option<bool> {
        Some(match name {
            b"method" => self
                .method
                .replace(Method::from_bytes(value).ok()?)
                .is_none(),
            b"authority" => {
                let authority = Authority::try_from(value).ok()?;
                self.authority.replace(authority).is_none()
            }
            b"scheme" => !std::mem::replace(&mut self.scheme, true),
            b"path" => !std::mem::replace(&mut self.path, true) && !value.is_empty(),
            b"status" => self.status.replace(status(value)?).is_none(),
            // Extended CONNECT (RFC 8441) is not announced here.
            _ => false,
        })
    }

    pub(super) fn into_request(self) -> Message<Request> {
        if self.size > self.limit {
            return Message::TooLarge;
        }
        let Some(method) = self
            .method
            .filter(|_| !self.malformed && self.status.is_none())
        else {
            return Message::Malformed;
        };
        let well = if method == Method::CONNECT {
            // RFC 9113 §8.5.
            self.authority.is_some() && !self.scheme && !self.path
        } else {
            self.scheme && self.path
        };
        if !well {
            return Message::Malformed;
        }
        Message::Well(Request {
            method,
            authority: self.authority.as_ref().map_or("", Authority::as_str).into(),
            headers: self.headers,
        })
    }

    pub(super) fn into_answer(self) -> Message<Answer> {
        if self.size > self.limit {
            return Message::TooLarge;
        }
        let of_request =
            self.method.is_some() || self.authority.is_some() || self.scheme || self.path;
        match self.status {
            Some(status) if !self.malformed && !of_request => Message::Well(Answer {
                status,
                headers: self.headers,
            }),
            _ => Message::Malformed,
        }
    }
}

/// Three digits (RFC 9110 §15), of which 101 is none in HTTP/2 (RFC 9113 §8.6).
fn status(value: &[u8]) -> Option<StatusCode> {
    let status = StatusCode::from_bytes(value).ok()?;
    (status != StatusCode::SWITCHING_PROTOCOLS).then_some(status)
}

fn is_of_connection(name: &[u8], value: &[u8]) -> bool {
    match name {
        b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade" => {
            true
        }
        b"te" => value != b"trailers",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new(1000);
        for (name, value) in list {
            fields.add(name.as_bytes(), value.as_bytes());
        }
        fields
    }

    const CONNECT: [(&str, &str); 2] = [(":method", "CONNECT"), (":authority", "10.0.0.1:80")];

    #[test]
    fn a_connect_request_has_a_method_and_an_authority() {
        let mut list = CONNECT.to_vec();
        list.extend([("baggage", "a=b"), ("te", "trailers"), ("baggage", "c=d")]);
        let Message::Well(request) = fields(&list).into_request() else {
            panic!("malformed")
        };
        assert_eq!(request.method, Method::CONNECT);
        assert_eq!(&*request.authority, "10.0.0.1:80");
        assert_eq!(request.headers.get_all("baggage").iter().count(), 2);
    }

    #[test]
    fn requests_that_rfc_9113_section_8_calls_malformed_are() {
        let connect = |more: &[(&'static str, &'static str)]| [&CONNECT[..], more].concat();
        for list in [
            vec![],
            vec![(":method", "CONNECT")],
            vec![(":authority", "a:1")],
            connect(&[(":scheme", "http")]),
            connect(&[(":path", "/")]),
            connect(&[(":protocol", "websocket")]),
            connect(&[(":status", "200")]),
            connect(&[(":method", "CONNECT")]),
            connect(&[("Upper", "x")]),
            connect(&[("connection", "close")]),
            connect(&[("te", "gzip")]),
            connect(&[("a", "line\nbreak")]),
            connect(&[("a b", "x")]),
            connect(&[("", "x")]),
            vec![(":method", "CONNECT"), (":authority", "%%%%")],
            vec![(":method", "CONNECT"), ("a", "b"), (":authority", "a:1")],
            vec![(":method", "GET"), (":scheme", "http")],
            vec![(":method", "GET"), (":path", "/")],
            vec![(":method", "GET"), (":scheme", "http"), (":path", "")],
        ] {
            let got = fields(&list).into_request();
            assert!(matches!(got, Message::Malformed), "{list:?}: {got:?}");
        }
        let get = fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/")]);
        assert!(matches!(get.into_request(), Message::Well(_)));
    }

    #[test]
    fn an_answer_has_a_status_and_nothing_of_a_request() {
        let Message::Well(answer) = fields(&[(":status", "503"), ("a", "b")]).into_answer() else {
            panic!("malformed")
        };
        assert_eq!((answer.status.as_u16(), answer.headers.len()), (503, 1));
        for list in [
            vec![],
            vec![(":status", "20")],
            vec![(":status", "101")],
            vec![(":status", "200"), (":status", "200")],
            vec![(":status", "200"), (":path", "/")],
        ] {
            let got = fields(&list).into_answer();
            assert!(matches!(got, Message::Malformed), "{list:?}: {got:?}");
        }
    }

    #[test]
    fn a_list_is_counted_as_rfc_9113_section_6_5_2_says() {
        let list = |length: usize| {
            let mut fields = Fields::new(100);
            fields.add(b":status", b"200");
            fields.add(b"a", &vec![b'x'; length]);
            fields.into_answer()
        };
        // 7 + 3 + 32 + 1 + 32 = 75.
        assert!(matches!(list(25), Message::Well(_)));
        assert!(matches!(list(26), Message::TooLarge));
    }
}
