//! From a document to an object of its type, or why it is none.

use std::sync::Arc;

use mesh_authz::kube::Settings;
use serde::de::DeserializeOwned;

use super::document::{Document, Read};
use super::inventory::{Any, Checked, Object};
use super::kind::{self, Known};
use super::node::Shortened;
use super::objects::EndpointSlice;
use super::objects::entry::{ServiceEntryObject, WorkloadEntryObject};
use super::objects::gateway::{GatewayClassObject, GatewayObject, ReferenceGrantObject};
use super::objects::pod::PodObject;
use super::objects::service::ServiceObject;
use super::problem::Problem;
use super::security;

/// Reads an object of a kind that is known here.
pub(super) fn check(document: &Arc<Document>, known: &Known, settings: &Settings) -> Checked {
    header(document, known)?;
    let simple = || Arc::new(Object::new(document, (), ()));
    match (known.group, known.kind) {
        ("", "Namespace") => Ok((Any::Namespace(simple()), Vec::new())),
        ("", "Node") => Ok((Any::Node(simple()), Vec::new())),
        ("", "Pod") => {
            // A pod has more fields than are worth listing, so that unknown ones say nothing.
            let mut read = document.read::<PodObject>()?;
            read.unknown.clear();
            one(read, |PodObject { spec, status, .. }| {
                Any::Pod(Arc::new(Object::new(document, spec, status)))
            })
        }
        ("", "Service") => one(document.read()?, |read: ServiceObject| {
            Any::Service(Arc::new(Object::new(document, read.spec, read.status)))
        }),
        (_, "EndpointSlice") => one(document.read()?, |slice: EndpointSlice| {
            Any::EndpointSlice(Arc::new(Object::new(document, slice, ())))
        }),
        (_, "ServiceEntry") => {
            required(document, &["spec.hosts", "spec.ports"])?;
            one(document.read()?, |read: ServiceEntryObject| {
                Any::ServiceEntry(Arc::new(Object::new(document, read.spec, read.status)))
            })
        }
        (_, "WorkloadEntry") => one(document.read()?, |read: WorkloadEntryObject| {
            Any::WorkloadEntry(Arc::new(Object::new(document, read.spec, read.status)))
        }),
        (_, "GatewayClass") => one(document.read()?, |read: GatewayClassObject| {
            Any::GatewayClass(Arc::new(Object::new(document, read.spec, ())))
        }),
        (_, "Gateway") => {
            required(document, &["spec.gatewayClassName"])?;
            one(document.read()?, |read: GatewayObject| {
                Any::Gateway(Arc::new(Object::new(document, read.spec, read.status)))
            })
        }
        // A grant that is wider than what was written would be worse than none.
        (_, "ReferenceGrant") => {
            required(document, &["spec.from", "spec.to"])?;
            let read: Read<ReferenceGrantObject> = document.read()?;
            match read.unknown.into_iter().next() {
                Some(unknown) => Err(unknown.into()),
                None => {
                    let object = Object::new(document, read.value.spec, ());
                    Ok((Any::ReferenceGrant(Arc::new(object)), Vec::new()))
                }
            }
        }
        #[cfg(feature = "routes")]
        (
            _,
            "HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute" | "VirtualService"
            | "DestinationRule",
        ) => super::routes::check(document),
        _ => security::check(document, settings),
    }
}

fn one<T: DeserializeOwned>(read: Read<T>, object: impl FnOnce(T) -> Any) -> Checked {
    Ok((object(read.value), read.unknown))
}

/// What must hold of every object of a known kind: its version, and names that can be parts of
/// identities, keys and host names.
fn header(document: &Document, known: &Known) -> Result<(), Problem> {
    if !known.versions.contains(&document.version()) {
        let versions: Vec<_> = known
            .versions
            .iter()
            .map(|version| kind::api_version(known.group, version).to_string())
            .collect();
        let text = format!("expected {}", versions.join(" or "));
        return Err(document.problem("apiVersion", text));
    }
    let key = document.key();
    if !kind::is_subdomain(&key.name) {
        let name = Shortened(&key.name);
        let text = format!("expected lower-case letters, digits, `-` and `.`, got `{name}`");
        return Err(document.problem("metadata.name", text));
    }
    if !known.cluster_wide && !kind::is_label(&key.namespace) {
        let namespace = Shortened(&key.namespace);
        let text = format!("expected lower-case letters, digits and `-`, got `{namespace}`");
        return Err(document.problem("metadata.namespace", text));
    }
    Ok(())
}

fn required(document: &Document, fields: &[&str]) -> Result<(), Problem> {
    let root = document.root();
    for path in fields {
        let mut node = Some(&root);
        for field in path.split('.') {
            node = node.and_then(|node| node.field(field));
        }
        if node.is_none() {
            return Err(document.problem(path, "missing"));
        }
    }
    Ok(())
}
