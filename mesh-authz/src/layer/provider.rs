//! External authorizers by their names.

use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};

use super::refusal::Refusal;
use super::reply::Reply;
use crate::connection::Connection;
use crate::external::{
    ExternalAnswer, ExternalAuthorizer, ExternalDenial, ExternalError, HeaderChanges,
};
use crate::request::Request;

/// An external authorizer as CUSTOM policies name it: an extension provider of Istio's mesh
/// configuration.
#[derive(Clone, Debug)]
pub struct ExternalProvider {
    authorizer: Arc<dyn ExternalAuthorizer>,
    on_error: OnError,
}

/// What becomes of a request when its external authorizer does not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to do")]
pub enum OnError {
    /// It is denied with this status and an empty body: `statusOnError`.
    Deny(StatusCode),
    /// The other policies decide: `failOpen`.
    Allow,
}

impl Default for OnError {
    /// 403.
    fn default() -> Self {
        Self::Deny(StatusCode::FORBIDDEN)
    }
}

impl ExternalProvider {
    /// A provider whose failures deny with 403.
    #[must_use]
    pub fn new(authorizer: Arc<dyn ExternalAuthorizer>) -> Self {
        Self {
            authorizer,
            on_error: OnError::default(),
        }
    }

    /// With what becomes of requests when it fails. That the provider is unknown always denies.
    #[must_use]
    pub fn with_on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// The changes of a request that the provider allows, or the answer to the client and why it is given.
    pub(super) async fn ask(
        &self,
        name: &str,
        connection: &Connection<'_>,
        request: &Request<'_>,
    ) -> Result<HeaderChanges, (Reply, Refusal)> {
        match self.authorizer.check(name, connection, request).await {
            Ok(ExternalAnswer::Allow) => Ok(HeaderChanges::default()),
            Ok(ExternalAnswer::Change(changes)) => Ok(changes),
            Ok(ExternalAnswer::Deny(denial)) => Err((reply(denial), Refusal::External)),
            Err(ExternalError::UnknownProvider) => Err((Reply::denied(), Refusal::ExternalFailed)),
            Err(_) => match self.on_error {
                OnError::Allow => Ok(HeaderChanges::default()),
                OnError::Deny(status) => {
                    let reply = Reply::new(final_status(status), "");
                    Err((reply, Refusal::ExternalFailed))
                }
            },
        }
    }
}

fn reply(denial: ExternalDenial) -> Reply {
    let mut headers: HeaderMap = denial.headers;
    for framing in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(framing);
    }
    Reply::new(final_status(denial.status), denial.body).with_headers(headers)
}

/// An answer with an informational status would be none.
fn final_status(status: StatusCode) -> StatusCode {
    match status.is_informational() {
        true => StatusCode::FORBIDDEN,
        false => status,
    }
}
