//! Answers to requests that are not served.

use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use mesh_core::target::BadTarget;

use super::fault::Fault;
use crate::body::Body;
use crate::hygiene::BadHead;

/// A request that is answered here.
#[derive(Debug)]
pub(super) struct Refused(BadHead);

impl From<BadHead> for Refused {
    fn from(fault: BadHead) -> Self {
        Self(fault)
    }
}

impl From<BadTarget> for Refused {
    fn from(fault: BadTarget) -> Self {
        Self(fault.into())
    }
}

impl Refused {
    pub(super) fn fault(&self) -> Fault {
        Fault::Request(self.0.clone())
    }

    pub(super) fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(bytes::Bytes::from(self.0.to_string())));
        *response.status_mut() =
            StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::BAD_REQUEST);
        if let BadHead::Target(BadTarget::Redirect { location }) = &self.0
            && let Ok(location) = HeaderValue::try_from(&**location)
        {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}
