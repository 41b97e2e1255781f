//! Formats: compiled once, then written from records.

use super::json;
use super::operator::Operator;
use super::part::{Key, Part, compile};
use super::problem::{BadFormat, Surroundings};
use super::text;
use super::value::Context;
use crate::telemetry::Needs;

/// Istio's default format.
const ISTIO_TEXT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
    %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \
    \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
    %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
    \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% \
    %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% \
    %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

/// The keys of Istio's default JSON format.
const ISTIO_JSON: [(&str, &str); 24] = [
    ("start_time", "%START_TIME%"),
    ("route_name", "%ROUTE_NAME%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    (
        "connection_termination_details",
        "%CONNECTION_TERMINATION_DETAILS%",
    ),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("duration", "%DURATION%"),
    (
        "upstream_service_time",
        "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    ),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("authority", "%REQ(:AUTHORITY)%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    (
        "upstream_transport_failure_reason",
        "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    ),
];

/// What a recording of requests has beyond Istio's default.
const RECORD: [(&str, &str); 9] = [
    ("grpc_status", "%GRPC_STATUS(NUMBER)%"),
    ("attempts", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
    ("source_identity", "%DOWNSTREAM_PEER_URI_SAN%"),
    ("source_workload", "%MESH_SOURCE_WORKLOAD%"),
    ("source_namespace", "%MESH_SOURCE_NAMESPACE%"),
    ("destination_workload", "%MESH_DESTINATION_WORKLOAD%"),
    ("destination_namespace", "%MESH_DESTINATION_NAMESPACE%"),
    ("destination_service", "%MESH_DESTINATION_SERVICE%"),
    ("trace_id", "%TRACE_ID%"),
];

/// How a line looks: Envoy's format strings, as text or as the values of a JSON object.
///
/// `%NAME%`, `%NAME(arguments)%` and `%NAME(arguments):length%` stand for values, `%%` for a percent sign, everything
/// else for itself. In text what is not known is `-`, and bytes of values that could end a field or a line
/// (control characters, `"`, what is not UTF-8) are written as `\xHH`. In JSON what is not known is `null`, and
/// numbers stay numbers where a value is nothing but one operator.
///
/// Operators that Envoy has and this proxy knows nothing of compile, and are never known: `CONNECTION_ID`,
/// `DOWNSTREAM_PEER_SUBJECT`, `DYNAMIC_METADATA`, `FILTER_STATE`, `METADATA`,
/// `REQUESTED_SERVER_NAME`, `UPSTREAM_WIRE_BYTES_*`, `VIRTUAL_CLUSTER_NAME`. `CEL` is unknown. Ours are
/// `MESH_SOURCE_WORKLOAD`, `MESH_SOURCE_NAMESPACE`, `MESH_DESTINATION_WORKLOAD`, `MESH_DESTINATION_NAMESPACE` and
/// `MESH_DESTINATION_SERVICE`. Wire bytes are counted as HTTP/1 writes heads.
///
/// Source: Envoy's access log documentation; Istio's default formats.
#[derive(Clone, Debug)]
pub struct Format(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Text(Box<[Part]>),
    Json(Box<[Key]>),
}

impl Format {
    /// Istio's default text format.
    #[must_use]
    pub fn istio_text() -> Self {
        // It compiles: there is a test.
        Self::text(ISTIO_TEXT, &Surroundings::default()).unwrap_or(Self(Kind::Text(Box::new([]))))
    }

    /// Istio's default JSON format.
    #[must_use]
    pub fn istio_json() -> Self {
        let keys = ISTIO_JSON;
        Self::json(keys, &Surroundings::default()).unwrap_or(Self(Kind::Json(Box::new([]))))
    }

    /// A recording of requests: Istio's JSON format, with identity, workloads, service, attempts, gRPC's
    /// status and trace.
    #[must_use]
    pub fn record() -> Self {
        let keys = ISTIO_JSON.into_iter().chain(RECORD);
        Self::json(keys, &Surroundings::default()).unwrap_or(Self(Kind::Json(Box::new([]))))
    }

    /// A text; it ends lines by itself.
    ///
    /// # Errors
    /// [`BadFormat`] with the place of what is no operator.
    pub fn text(format: &str, around: &Surroundings) -> Result<Self, BadFormat> {
        Ok(Self(Kind::Text(compile(format, around)?)))
    }

    /// A JSON object in one line, of keys and the formats of their values.
    ///
    /// # Errors
    /// [`BadFormat`] for the first value that is none.
    pub fn json<'a>(
        keys: impl IntoIterator<Item = (&'a str, &'a str)>,
        around: &Surroundings,
    ) -> Result<Self, BadFormat> {
        let compiled = |(key, value): (&str, &str)| Ok((key.into(), compile(value, around)?));
        let keys: Result<_, BadFormat> = keys.into_iter().map(compiled).collect();
        Ok(Self(Kind::Json(keys?)))
    }

    /// The headers that it asks for.
    pub(super) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        let mut add = |parts: &[Part]| {
            for part in parts {
                let Part::Value(operator, _) = part else {
                    continue;
                };
                let (choice, to) = match operator {
                    Operator::Request(choice) => (choice, &mut needs.request_headers),
                    Operator::Response(choice) => (choice, &mut needs.response_headers),
                    Operator::Trailer(choice) => (choice, &mut needs.response_trailers),
                    _ => continue,
                };
                to.extend(choice.headers().cloned());
            }
        };
        match &self.0 {
            Kind::Text(parts) => add(parts),
            Kind::Json(keys) => keys.iter().for_each(|(_, parts)| add(parts)),
        }
        Needs::default().and(needs)
    }

    /// Writes a line.
    pub(super) fn write(&self, context: &Context<'_>, line: &mut Vec<u8>) {
        match &self.0 {
            Kind::Text(parts) => text::write(parts, context, line),
            Kind::Json(keys) => json::write(keys, context, line),
        }
    }
}
