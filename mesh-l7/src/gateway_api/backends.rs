//! The destinations of a rule.

use crate::route::{Backend, BackendTarget, Backends, InvalidBackend};

use super::filters::{HeaderFilters, header_filters};
use super::references::From;
use super::status::{Condition, Problem};
use super::types::HttpBackendRef;

/// The largest weight.
const HEAVIEST: u32 = 1_000_000;

impl From<'_> {
    /// The destinations of a rule.
    pub(super) fn backends(
        &self,
        references: &[HttpBackendRef],
        field: &str,
        problems: &mut Vec<Problem>,
    ) -> Backends {
        Backends::new(references.iter().enumerate().map(|(at, reference)| {
            let field = format!("{field}.backendRefs[{at}]");
            self.backend(reference, &field, problems)
        }))
    }

    fn backend(
        &self,
        reference: &HttpBackendRef,
        field: &str,
        problems: &mut Vec<Problem>,
    ) -> Backend {
        let weight = reference.weight.unwrap_or(1);
        if weight > HEAVIEST {
            let problem = format!("{weight}, expected at most {HEAVIEST}");
            problems.push(Problem::new(format!("{field}.weight"), problem));
        }
        let target = match self.service(&reference.backend) {
            Ok(service) => BackendTarget::Service(service),
            Err(invalid) => {
                problems.push(Problem::note(field, invalid));
                BackendTarget::Invalid(invalid)
            }
        };
        let before = problems.len();
        let HeaderFilters { request, response } =
            header_filters(&reference.filters, field, problems);
        // A filter that is not understood must not be left out.
        let target = if problems.len() == before {
            target
        } else {
            BackendTarget::Invalid(InvalidBackend::Kind)
        };
        Backend {
            weight: weight.min(HEAVIEST),
            request_headers: request,
            response_headers: response,
            ..Backend::new(target)
        }
    }
}

/// What is told of destinations that cannot be used: the first of them counts.
pub(super) fn resolved(backends: &Backends) -> Option<Condition> {
    backends
        .entries()
        .iter()
        .find_map(|backend| match backend.target {
            BackendTarget::Service(_) => None,
            BackendTarget::Invalid(invalid) => Some(match invalid {
                InvalidBackend::NotFound | InvalidBackend::Subset => Condition::BackendNotFound,
                InvalidBackend::Kind => Condition::InvalidKind,
                InvalidBackend::NotPermitted => Condition::RefNotPermitted,
                InvalidBackend::Protocol => Condition::UnsupportedProtocol,
            }),
        })
}
