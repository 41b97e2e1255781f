//! Routes and destination rules as objects of their types: what is wrong with them whatever else there is.

use std::sync::{Arc, LazyLock};

use mesh_l7::gateway_api::{
    self, GrpcRouteSpec, HttpRouteSpec, L4RouteSpec, References, RouteObject, compile_grpc,
    compile_http, compile_tcp, compile_tls,
};
use mesh_l7::istio::{
    self, DestinationRuleSpec, Destinations, NoDelegate, VirtualServiceSpec, compile_connections,
    compile_destination_rule, compile_virtual_service,
};
use mesh_l7::route::InvalidBackend;
use mesh_l7::severity::Severity;
use mesh_l7::target::ServiceTarget;
use serde::de::DeserializeOwned;

use crate::manifest::document::{Document, Read};
use crate::manifest::inventory::{Any, Checked, Object, Refused};
use crate::manifest::problem::Problem;

/// Reads an object of one of the kinds that are about routes.
pub(in crate::manifest) fn check(document: &Arc<Document>) -> Checked {
    match document.key().kind.kind.as_str() {
        "HTTPRoute" => {
            let (object, notes) = read::<HttpRouteSpec>(document)?;
            let compiled = compile_http(&route(&object), &Anything);
            let usable = compiled.status.accepted.is_true();
            let faults = gateway_faults(document, &compiled.problems);
            judge((Any::HttpRoute(object.into()), notes), faults, usable)
        }
        "GRPCRoute" => {
            let (object, notes) = read::<GrpcRouteSpec>(document)?;
            let compiled = compile_grpc(&route(&object), &Anything);
            let usable = compiled.status.accepted.is_true();
            let faults = gateway_faults(document, &compiled.problems);
            judge((Any::GrpcRoute(object.into()), notes), faults, usable)
        }
        "TCPRoute" => {
            let (object, notes) = read::<L4RouteSpec>(document)?;
            let compiled = compile_tcp(&route(&object), &Anything);
            let faults = gateway_faults(document, &compiled.problems);
            judge((Any::TcpRoute(object.into()), notes), faults, false)
        }
        "TLSRoute" => {
            let (object, notes) = read::<L4RouteSpec>(document)?;
            let compiled = compile_tls(&route(&object), &Anything);
            let faults = gateway_faults(document, &compiled.problems);
            judge((Any::TlsRoute(object.into()), notes), faults, false)
        }
        "VirtualService" => {
            let (object, notes) = read::<VirtualServiceSpec>(document)?;
            let (namespace, name) = (object.namespace(), object.name());
            let compiled = compile_virtual_service(namespace, name, &object.spec, &Anything);
            let mut faults = istio_faults(document, &compiled.problems);
            let connections = compile_connections(namespace, name, &object.spec, None, &Anything);
            faults.extend(istio_faults(document, &connections.problems));
            judge((Any::VirtualService(object.into()), notes), faults, true)
        }
        _ => {
            let (object, notes) = read::<DestinationRuleSpec>(document)?;
            let root = document.root();
            let selector = root
                .field("spec")
                .and_then(|spec| spec.field("workloadSelector"));
            if selector.is_some() {
                // Without it, it would be for everyone.
                let text = "is not supported";
                return Err(document.problem("spec.workloadSelector", text).into());
            }
            let compiled = compile_destination_rule(&object.spec);
            let faults = istio_faults(document, &compiled.problems);
            // Settings that are only a part of what was meant would mislead.
            judge((Any::DestinationRule(object.into()), notes), faults, false)
        }
    }
}

/// Notes go with the object; what is wrong refuses it, unless there is no earlier version of what is
/// `usable` in part.
fn judge(
    (object, mut notes): (Any, Vec<Problem>),
    faults: Vec<(Severity, Problem)>,
    usable: bool,
) -> Checked {
    let mut wrong = Vec::new();
    for (severity, problem) in faults {
        match severity {
            Severity::Note => notes.push(problem),
            Severity::Wrong => wrong.push(problem),
        }
    }
    let mut wrong = wrong.into_iter();
    let Some(mut problem) = wrong.next() else {
        return Ok((object, notes));
    };
    for further in wrong {
        let text = format!("; {}: {}", further.place.field, further.text);
        problem.text.push_str(&text);
    }
    let first = usable.then(|| Box::new((object, notes)));
    Err(Refused { problem, first })
}

type Reading<S> = Result<(Object<S>, Vec<Problem>), Problem>;

fn read<S: DeserializeOwned>(document: &Arc<Document>) -> Reading<S> {
    let Read { value, unknown } = document.read_field::<S>("spec")?;
    Ok((Object::new(document, value, ()), unknown))
}

/// A route as the compilers take it.
pub(super) fn route<S: Clone>(object: &Object<S>) -> RouteObject<S> {
    let created = object.metadata().creation_timestamp.as_str();
    RouteObject {
        created: (!created.is_empty()).then(|| created.to_owned()),
        ..RouteObject::new(
            object.namespace().clone(),
            object.name().clone(),
            object.spec.clone(),
        )
    }
}

fn gateway_faults(
    document: &Document,
    problems: &[gateway_api::Problem],
) -> Vec<(Severity, Problem)> {
    let fault = |one: &gateway_api::Problem| {
        let problem = document.problem(&one.field, one.problem.clone());
        (one.severity, problem)
    };
    problems.iter().map(fault).collect()
}

fn istio_faults(document: &Document, problems: &[istio::Problem]) -> Vec<(Severity, Problem)> {
    let fault = |one: &istio::Problem| {
        let problem = document.problem(&one.field, one.problem.clone());
        (one.severity, problem)
    };
    problems.iter().map(fault).collect()
}

/// A mesh in which everything is there that is referred to.
struct Anything;

fn anything(namespace: &str, host: &str, port: u16) -> ServiceTarget {
    ServiceTarget {
        namespace: namespace.into(),
        hostname: host.into(),
        port,
        subset: None,
    }
}

impl References for Anything {
    fn service(
        &self,
        namespace: &str,
        name: &str,
        port: u16,
    ) -> Result<ServiceTarget, InvalidBackend> {
        Ok(anything(namespace, name, port))
    }

    fn is_granted(&self, _: &str, _: &str, _: &str, _: &str) -> bool {
        true
    }
}

impl Destinations for Anything {
    fn destination(
        &self,
        namespace: &str,
        host: &str,
        port: Option<u16>,
        _: Option<&str>,
    ) -> Result<ServiceTarget, InvalidBackend> {
        Ok(anything(namespace, host, port.unwrap_or(80)))
    }

    fn delegate(&self, _: &str, _: &str, _: &str) -> Result<&VirtualServiceSpec, NoDelegate> {
        static NO_RULES: LazyLock<VirtualServiceSpec> = LazyLock::new(VirtualServiceSpec::default);
        Ok(&NO_RULES)
    }
}
