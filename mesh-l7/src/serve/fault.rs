//! What ends an HTTP/1 connection before its time, and the answer to it.

use bytes::Bytes;
use http::StatusCode;

use crate::hygiene::BadHead;
use crate::wire::http_date;

/// What ends an HTTP/1 connection before its time.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Fault {
    /// A request is not as it must be.
    #[error(transparent)]
    Request(#[from] BadHead),
    /// The head of a request took too long.
    #[error("the head of the request did not come in time")]
    Timeout,
}

impl Fault {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Request(fault) => {
                StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::BAD_REQUEST)
            }
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// Whether it is in the body of a request whose head was good.
    pub(super) fn is_in_body(&self) -> bool {
        matches!(self, Self::Request(BadHead::Chunk))
    }

    /// The whole answer, as bytes.
    pub(super) fn answer(&self) -> Bytes {
        let status = self.status();
        let reason = status.canonical_reason().unwrap_or_default();
        let text = self.to_string();
        let date = http_date();
        let date = date.as_ref().and_then(|date| date.to_str().ok());
        // RFC 9110 §15.5.22: what to change to.
        let upgrade = match status {
            StatusCode::UPGRADE_REQUIRED => "upgrade: HTTP/1.1\r\n",
            _ => "",
        };
        let close = match status {
            StatusCode::UPGRADE_REQUIRED => "upgrade, close",
            _ => "close",
        };
        Bytes::from(format!(
            "HTTP/1.1 {} {reason}\r\n{upgrade}connection: {close}\r\ncontent-type: text/plain\r\n\
             content-length: {}\r\ndate: {}\r\n\r\n{text}",
            status.as_str(),
            text.len(),
            date.unwrap_or_default(),
        ))
    }
}
