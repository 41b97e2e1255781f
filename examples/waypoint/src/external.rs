//! External authorizers: those that the mesh's configuration names, and how they are asked.

mod asker;

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;
use mesh_authz::external::{ExternalAuthorizer, GrpcAuthorizer, HttpAuthorizer};
use mesh_authz::layer::ExternalProvider;
use mesh_core::clock::SystemClock;
use mesh_core::name::Name;
use mesh_core::watch::{self, Watch};

use crate::mesh_config::{Check, Provider};
pub(crate) use asker::Ways;

use asker::Asker;

/// The authorizers of one worker, asked on its connections and kept up to date on its runtime.
pub(crate) fn follow(
    mut specs: Watch<Vec<Provider>>,
    ways: Ways,
) -> Watch<HashMap<Name, ExternalProvider>> {
    let (table, watch) = watch::channel(table(&specs.load(), &ways));
    tokio::spawn(async move {
        while let Ok(specs) = specs.changed().await {
            table.publish(self::table(&specs, &ways));
        }
    });
    watch
}

fn table(specs: &[Provider], ways: &Ways) -> HashMap<Name, ExternalProvider> {
    let provider = |spec: &Provider| {
        let ask = Arc::new(Asker::new(ways.clone(), spec));
        let authorizer: Arc<dyn ExternalAuthorizer> = match &spec.check {
            Check::Http(check) => Arc::new(HttpAuthorizer::new(check.clone(), ask)),
            Check::Grpc => {
                let authority = HeaderValue::try_from(spec.service.host.as_str()).ok()?;
                Arc::new(GrpcAuthorizer::new(authority, ask, Arc::new(SystemClock)))
            }
        };
        let provider = ExternalProvider::new(authorizer).with_on_error(spec.on_error);
        Some((spec.name.clone(), provider))
    };
    specs.iter().filter_map(provider).collect()
}
