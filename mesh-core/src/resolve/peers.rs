//! Who a peer may be.

use super::ResolveError;
use crate::identity::ExpectedPeers;
use crate::model::{Service, Workload};

/// The identities of a workload's proxy: its own, and those that the service names.
pub(super) fn of(
    workload: &Workload,
    service: Option<&Service>,
) -> Result<ExpectedPeers, ResolveError> {
    let own = workload.identity();
    let names = service.map_or(&[][..], |service| &service.spec().subject_alt_names);
    let expected = match own {
        Some(own) if names.is_empty() => Some(own.into()),
        own => ExpectedPeers::new(names.iter().cloned().chain(own)),
    };
    expected.ok_or_else(|| ResolveError::NoIdentity {
        workload: workload.uid().into(),
    })
}
