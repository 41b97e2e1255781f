//! Policy at the hook of the data plane.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use mesh_authz::Connection;
use mesh_authz::guard::{Admission, Answer, Guard, MissingPolicies, Redecider, Timer};
use mesh_authz::store::PolicyStore;
use mesh_core::store::MeshStore;
use mesh_hbone::proxy::{Attributes, Authorizer, Permit, Verdict};

/// Asks the policies about each connection that arrives, and again when they change.
///
/// There is one for each worker. What is decided is logged at the level debug, or info.
#[derive(Clone, Debug)]
pub(crate) struct PolicyAuthorizer {
    guard: Guard,
    log_info: bool,
}

/// The clock of the runtime.
#[derive(Debug)]
struct RuntimeTimer;

impl Timer for RuntimeTimer {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep_until(at.into()))
    }
}

impl PolicyAuthorizer {
    /// `missing` is what the workers share. The future decides again and must run as long as the authorizer is used.
    pub(crate) fn new(
        policies: &PolicyStore,
        mesh: &MeshStore,
        missing: &MissingPolicies,
        log_info: bool,
    ) -> (Self, Redecider) {
        let timer = Arc::new(RuntimeTimer);
        let missing = missing.clone();
        let (guard, redecider) = Guard::new(policies.watch(), mesh.watch(), missing, timer);
        (Self { guard, log_info }, redecider)
    }

    /// What it knows about its connections.
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    fn log(&self, attributes: &Attributes<'_>, admission: &Admission) {
        let decision = match &admission.answer {
            Answer::Allowed { by: Some(by), .. } => format!("allowed by: {by}"),
            Answer::Allowed { by: None, .. } => "allowed: no allow policies".to_owned(),
            Answer::Denied(denial) => format!("denied: {denial}"),
            Answer::Held(_) => "waits for a policy that has not arrived".to_owned(),
        };
        line(self.log_info, attributes, &decision);
        for finding in admission.dry_run.lines() {
            line(self.log_info, attributes, &finding);
        }
    }
}

/// A line about what policies say about a connection.
fn line(info: bool, attributes: &Attributes<'_>, decision: &str) {
    macro_rules! event {
        ($level:expr) => {
            tracing::event!(
                target: "rbac",
                $level,
                {
                    src.addr = %attributes.source,
                    src.identity = attributes.identity.map(tracing::field::display),
                    dst.addr = %attributes.destination,
                    dst.workload = attributes.workload.uid(),
                    decision,
                },
                "policy decision"
            )
        };
    }
    if info {
        event!(tracing::Level::INFO);
    } else {
        event!(tracing::Level::DEBUG);
    }
}

fn is_logged(info: bool) -> bool {
    if info {
        tracing::enabled!(target: "rbac", tracing::Level::INFO)
    } else {
        tracing::enabled!(target: "rbac", tracing::Level::DEBUG)
    }
}

impl Authorizer for PolicyAuthorizer {
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        let (source, destination) = (attributes.source.ip(), attributes.destination);
        let connection = Connection::new(source, attributes.identity, destination);
        let admission = self.guard.admit(attributes.workload, &connection);
        if is_logged(self.log_info) {
            self.log(attributes, &admission);
        }
        match admission.answer {
            Answer::Allowed { live, .. } => {
                Verdict::Allow(Permit::until(async move { live.await.to_string().into() }))
            }
            Answer::Denied(denial) => Verdict::Deny {
                reason: denial.to_string().into(),
            },
            Answer::Held(held) => Verdict::Undecided {
                wait: Box::pin(held),
            },
        }
    }
}
