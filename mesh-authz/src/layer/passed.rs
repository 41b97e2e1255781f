//! What external authorizers were asked about a request, as it travels to the decision.

use std::sync::Arc;

use http::Extensions;
use mesh_core::name::Name;

use super::connection::ConnectionFacts;
use super::prepared::Prepared;

/// The providers that allowed a request, in its extensions. Nobody outside of this crate can put it
/// there.
pub(super) struct Passed {
    /// The connection that it came on.
    connection: Arc<ConnectionFacts>,
    /// The version of the policies that named the providers.
    pub(super) prepared: Arc<Prepared>,
    /// All providers that they named.
    pub(super) by: Vec<Name>,
}

#[derive(Clone)]
struct Extension(Arc<Passed>);

impl Passed {
    /// Notes that these providers, all that `prepared` names, allow a request.
    pub(super) fn note(
        extensions: &mut Extensions,
        connection: &Arc<ConnectionFacts>,
        prepared: Arc<Prepared>,
        by: Vec<Name>,
    ) {
        let connection = connection.clone();
        let passed = Self {
            connection,
            prepared,
            by,
        };
        extensions.insert(Extension(Arc::new(passed)));
    }

    /// Takes the note away; `None` when it is of another connection.
    pub(super) fn take(
        extensions: &mut Extensions,
        connection: &Arc<ConnectionFacts>,
    ) -> Option<Arc<Self>> {
        let passed = extensions.remove::<Extension>()?.0;
        Arc::ptr_eq(&passed.connection, connection).then_some(passed)
    }
}
