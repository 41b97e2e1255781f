//! Decisions of layers, counted and recorded.

use std::sync::Arc;

use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use mesh_core::clock::WallClock;

use super::audit::{AuditFields, AuditRecord, AuditedConnection};
use super::authorizer::{RequestDecision, RequestDenial, RequestVerdict};
use super::counter::Counter;
use super::head::bad_request;
use super::reply::Reply;
use super::sink::Sink;
use crate::claims::VerifiedClaims;

/// Where decisions are reported, and what of them.
#[derive(Clone)]
pub(super) struct Report {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) clock: Arc<dyn WallClock>,
    pub(super) fields: AuditFields,
    pub(super) connection: Option<Arc<AuditedConnection>>,
}

impl Report {
    /// Counts a decision about the request `parts`, whose URI was `raw`; records it when it denies or
    /// an AUDIT policy matches. Gives the answer to the client when it denies.
    pub(super) fn of(
        &self,
        mut decision: RequestDecision,
        parts: &Parts,
        raw: &Uri,
        claims: Option<&VerifiedClaims>,
    ) -> Option<Reply> {
        let denial = match decision.verdict {
            RequestVerdict::Allow => None,
            RequestVerdict::Deny(denial) => Some(denial),
        };
        let policy = decision.by.as_ref().map(|by| by.policy.clone());
        self.sink.count(&Counter::Decision { denial, policy });
        if decision.would_deny {
            self.sink.count(&Counter::WouldDeny);
        }
        let reply = decision.reply.take();
        if denial.is_some() || decision.audit.is_some() {
            let raw = raw.path_and_query().map_or("", PathAndQuery::as_str);
            let mut record =
                AuditRecord::new(self.clock.now(), decision, parts, raw, claims, &self.fields);
            record.connection = self.connection.clone();
            self.sink.audit(&record);
        }
        denial.map(|denial| reply.map_or_else(|| reply_to(denial), |reply| *reply))
    }
}

fn reply_to(denial: RequestDenial) -> Reply {
    match denial {
        RequestDenial::Malformed => *bad_request(),
        RequestDenial::Explicit
        | RequestDenial::NoneAllowed
        | RequestDenial::External
        | RequestDenial::Incomplete => Reply::denied(),
    }
}
