//! Objects as they are written. Fields that are not listed are left to the reader, who reports them.
#![expect(
    clippy::exhaustive_structs,
    missing_docs,
    reason = "plain data whose fields are those of the Gateway API"
)]

use mesh_core::name::Name;
use serde::Deserialize;

/// A route with what is known of its object.
#[derive(Clone, Debug)]
pub struct RouteObject<S> {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// `creationTimestamp`, RFC 3339 in UTC as the API server writes it; older routes come first, and
    /// those without after all others.
    pub created: Option<String>,
    /// What it says.
    pub spec: S,
}

impl<S> RouteObject<S> {
    /// A route without a time of creation.
    pub fn new(namespace: impl Into<Name>, name: impl Into<Name>, spec: S) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            created: None,
            spec,
        }
    }
}

/// `HTTPRoute.spec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteSpec {
    pub parent_refs: Vec<ParentReference>,
    pub hostnames: Vec<String>,
    pub rules: Option<Vec<HttpRouteRule>>,
}

/// `TCPRoute.spec` and `TLSRoute.spec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct L4RouteSpec {
    pub parent_refs: Vec<ParentReference>,
    pub hostnames: Vec<String>,
    pub rules: Vec<L4RouteRule>,
}

/// `TCPRouteRule` and `TLSRouteRule`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct L4RouteRule {
    pub name: Option<String>,
    pub backend_refs: Vec<HttpBackendRef>,
}

/// `ParentReference`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentReference {
    pub group: Option<String>,
    pub kind: Option<String>,
    pub namespace: Option<String>,
    pub name: String,
    pub section_name: Option<String>,
    pub port: Option<u16>,
}

/// `HTTPRouteRule`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteRule {
    pub name: Option<String>,
    pub matches: Vec<HttpRouteMatch>,
    pub filters: Vec<HttpFilter>,
    pub backend_refs: Vec<HttpBackendRef>,
    pub timeouts: Option<Box<HttpTimeouts>>,
    pub retry: Option<Box<HttpRetry>>,
    pub session_persistence: Option<Box<SessionPersistence>>,
}

/// `SessionPersistence`, with the names that older versions have for some of its fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionPersistence {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub session_name: Option<String>,
    pub absolute_timeout: Option<String>,
    pub idle_timeout: Option<String>,
    #[serde(alias = "cookieConfig")]
    pub cookie: Option<SessionCookie>,
    pub header: Option<SessionHeader>,
}

/// `CookieConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionCookie {
    pub name: Option<String>,
    pub path: Option<String>,
    pub lifetime_type: Option<String>,
}

/// `HeaderConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionHeader {
    pub name: Option<String>,
}

/// `HTTPRouteMatch`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteMatch {
    pub path: Option<HttpPathMatch>,
    pub headers: Vec<HttpHeaderMatch>,
    pub query_params: Vec<HttpQueryMatch>,
    pub method: Option<String>,
}

/// `HTTPPathMatch`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpPathMatch {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub value: Option<String>,
}

/// `HTTPHeaderMatch`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpHeaderMatch {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub name: String,
    pub value: String,
}

/// `HTTPQueryParamMatch`.
pub type HttpQueryMatch = HttpHeaderMatch;

/// `HTTPRouteFilter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpFilter {
    #[serde(rename = "type")]
    pub kind: String,
    pub request_header_modifier: Option<HttpHeaderFilter>,
    pub response_header_modifier: Option<HttpHeaderFilter>,
    pub request_mirror: Option<HttpMirror>,
    pub request_redirect: Option<HttpRedirect>,
    pub url_rewrite: Option<HttpUrlRewrite>,
    pub cors: Option<HttpCors>,
}

/// `HTTPHeader`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpHeader {
    pub name: String,
    pub value: String,
}

/// `HTTPHeaderFilter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpHeaderFilter {
    pub set: Vec<HttpHeader>,
    pub add: Vec<HttpHeader>,
    pub remove: Vec<String>,
}

/// `HTTPRequestMirrorFilter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpMirror {
    pub backend_ref: BackendRef,
    pub percent: Option<i64>,
    pub fraction: Option<Fraction>,
}

/// `Fraction`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Fraction {
    pub numerator: u32,
    pub denominator: Option<u32>,
}

/// `HTTPRequestRedirectFilter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRedirect {
    pub scheme: Option<String>,
    pub hostname: Option<String>,
    pub path: Option<HttpPathModifier>,
    pub port: Option<u16>,
    pub status_code: Option<u16>,
}

/// `HTTPPathModifier`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpPathModifier {
    #[serde(rename = "type")]
    pub kind: String,
    pub replace_full_path: Option<String>,
    pub replace_prefix_match: Option<String>,
}

/// `HTTPURLRewriteFilter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpUrlRewrite {
    pub hostname: Option<String>,
    pub path: Option<HttpPathModifier>,
}

/// `HTTPCORSFilter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpCors {
    pub allow_origins: Vec<String>,
    pub allow_credentials: Option<bool>,
    pub allow_methods: Vec<String>,
    pub allow_headers: Vec<String>,
    pub expose_headers: Vec<String>,
    pub max_age: Option<u64>,
}

/// `BackendObjectReference`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendRef {
    pub group: Option<String>,
    pub kind: Option<String>,
    pub namespace: Option<String>,
    pub name: String,
    pub port: Option<u16>,
}

/// `HTTPBackendRef` and `GRPCBackendRef`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpBackendRef {
    #[serde(flatten)]
    pub backend: BackendRef,
    pub weight: Option<u32>,
    pub filters: Vec<HttpFilter>,
}

/// `HTTPRouteTimeouts`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpTimeouts {
    pub request: Option<String>,
    pub backend_request: Option<String>,
}

/// `HTTPRouteRetry`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRetry {
    pub codes: Vec<u16>,
    pub attempts: Option<u32>,
    pub backoff: Option<String>,
}

/// `GRPCRoute.spec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcRouteSpec {
    pub parent_refs: Vec<ParentReference>,
    pub hostnames: Vec<String>,
    pub rules: Vec<GrpcRouteRule>,
}

/// `GRPCRouteRule`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcRouteRule {
    pub name: Option<String>,
    pub matches: Vec<GrpcRouteMatch>,
    pub filters: Vec<HttpFilter>,
    pub backend_refs: Vec<HttpBackendRef>,
    pub session_persistence: Option<Box<SessionPersistence>>,
}

/// `GRPCRouteMatch`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcRouteMatch {
    pub method: Option<GrpcMethodMatch>,
    pub headers: Vec<GrpcHeaderMatch>,
}

/// `GRPCMethodMatch`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcMethodMatch {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub service: Option<String>,
    pub method: Option<String>,
}

/// `GRPCHeaderMatch`.
pub type GrpcHeaderMatch = HttpHeaderMatch;
