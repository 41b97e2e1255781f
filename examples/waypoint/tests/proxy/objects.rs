//! Objects of tests, as YAML.

/// An `HTTPRoute` for `web` with these rules.
pub(crate) fn route(rules: &str) -> String {
    format!(
        "
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: web, namespace: shop}}
spec:
  parentRefs: [{{group: '', kind: Service, name: web}}]
  rules: {rules}
"
    )
}

/// A `VirtualService` for `web` with these routes, and subsets by version.
pub(crate) fn virtual_service(http: &str, policy: &str) -> String {
    format!(
        "
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec: {{hosts: [web], http: {http}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web, namespace: shop}}
spec:
  host: web
  trafficPolicy: {policy}
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
"
    )
}

/// A `VirtualService` for a service with these routes.
pub(crate) fn routes(service: &str, http: &str) -> String {
    format!(
        "
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {service}, namespace: shop}}
spec: {{hosts: [{service}], http: {http}}}
"
    )
}

/// A `DestinationRule` for a service with this traffic policy.
pub(crate) fn policy(service: &str, policy: &str) -> String {
    format!(
        "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {service}, namespace: shop}}
spec: {{host: {service}, trafficPolicy: {policy}}}
"
    )
}

/// A `Service` at an address, for pods with the label `app`; further fields of its spec follow.
pub(crate) fn service(name: &str, address: &str, app: &str, more: &str) -> String {
    format!(
        "
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{clusterIP: {address}, selector: {{app: {app}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]{more}}}
"
    )
}

/// A `Service` as [`service`] makes it, with annotations.
pub(crate) fn annotated(name: &str, address: &str, app: &str, annotations: &str) -> String {
    let plain = format!("{{name: {name}, namespace: shop}}");
    let metadata = format!("{{name: {name}, namespace: shop, annotations: {{{annotations}}}}}");
    service(name, address, app, "").replace(&plain, &metadata)
}

/// A `Pod` with the label `app` at `NET.` and this number; further labels follow.
pub(crate) fn pod(name: &str, app: &str, last: u8, more: &str) -> String {
    format!(
        "
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: shop, labels: {{app: {app}{more}}}}}
status: {{podIP: NET.{last}}}
"
    )
}
