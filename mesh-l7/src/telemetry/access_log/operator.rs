//! The operators of Envoy's formats, and what they compile to.

use http::HeaderName;

use super::problem::{FormatProblem, Surroundings};
use super::time::TimeFormat;

/// One operator, compiled.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operator {
    StartTime(TimeFormat),
    Request(Choice),
    Response(Choice),
    Trailer(Choice),
    Protocol,
    ResponseCode,
    ResponseCodeDetails,
    Termination,
    Flags,
    FlagsLong,
    BytesReceived,
    BytesSent,
    WireBytesReceived,
    WireBytesSent,
    HeaderBytesReceived,
    HeaderBytesSent,
    /// Between two moments, in the unit.
    Span(Moment, Moment, Unit),
    UpstreamHost,
    UpstreamHostWithoutPort,
    UpstreamCluster,
    UpstreamLocal,
    UpstreamLocalWithoutPort,
    UpstreamFailure,
    Attempts,
    Local(AddressForm),
    Remote(AddressForm),
    PeerUriSan,
    TlsVersion,
    RouteName,
    GrpcStatus(GrpcForm),
    TraceId,
    SpanId,
    SourceWorkload,
    SourceNamespace,
    DestinationWorkload,
    DestinationNamespace,
    DestinationService,
    /// A text that is the same for all requests.
    Fixed(Box<str>),
    /// What is never known here.
    Absent,
}

/// A header, or another one where it is missing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) first: Field,
    pub(super) second: Option<Field>,
}

/// A header, or what HTTP/2 has as a pseudo header.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Field {
    Method,
    Path,
    Authority,
    Scheme,
    Status,
    Header(HeaderName),
}

/// A moment of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Moment {
    Start,
    Received,
    Sent,
    Answered,
    Ended,
    /// One that is not noted.
    Unknown,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unit {
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AddressForm {
    Whole,
    WithoutPort,
    Port,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum GrpcForm {
    Camel,
    Snake,
    Number,
}

impl Operator {
    /// The operator of a name with what was in its parentheses.
    pub(super) fn compile(
        name: &str,
        arguments: Option<&str>,
        around: &Surroundings,
    ) -> Result<Self, FormatProblem> {
        if let Some(operator) = with_arguments(name, arguments.unwrap_or(""), around)? {
            return Ok(operator);
        }
        match (simple(name).or_else(|| moment(name)), arguments) {
            (Some(operator), None | Some("")) => Ok(operator),
            (Some(_), Some(_)) => Err(FormatProblem::NoArguments),
            (None, _) => Err(FormatProblem::Unknown),
        }
    }
}

fn with_arguments(
    name: &str,
    arguments: &str,
    around: &Surroundings,
) -> Result<Option<Operator>, FormatProblem> {
    Ok(Some(match name {
        "START_TIME" if arguments.is_empty() => Operator::StartTime(TimeFormat::iso()),
        "START_TIME" => {
            let format = TimeFormat::parse(arguments).map_err(|_| FormatProblem::Time)?;
            Operator::StartTime(format)
        }
        "REQ" => Operator::Request(Choice::parse(arguments)?),
        "RESP" => Operator::Response(Choice::parse(arguments)?),
        "TRAILER" => Operator::Trailer(Choice::parse(arguments)?),
        "GRPC_STATUS" => Operator::GrpcStatus(match arguments {
            "" | "CAMEL_STRING" => GrpcForm::Camel,
            "SNAKE_STRING" => GrpcForm::Snake,
            "NUMBER" => GrpcForm::Number,
            _ => {
                return Err(FormatProblem::Arguments(
                    "CAMEL_STRING, SNAKE_STRING, NUMBER",
                ));
            }
        }),
        "COMMON_DURATION" => common_duration(arguments)?,
        "ENVIRONMENT" => {
            let value = around.environment.get(arguments);
            value.map_or(Operator::Absent, |value| Operator::Fixed(value.clone()))
        }
        // Nothing here fills these; a name is wanted as everywhere.
        "DYNAMIC_METADATA" | "FILTER_STATE" | "METADATA" => match arguments {
            "" => return Err(FormatProblem::Arguments("what is to be written")),
            _ => Operator::Absent,
        },
        "HOSTNAME" => Operator::Fixed(around.hostname.clone()),
        _ => return Ok(None),
    }))
}

/// What has no arguments.
fn simple(name: &str) -> Option<Operator> {
    Some(match name {
        "PROTOCOL" => Operator::Protocol,
        "RESPONSE_CODE" => Operator::ResponseCode,
        "RESPONSE_CODE_DETAILS" => Operator::ResponseCodeDetails,
        "RESPONSE_FLAGS" => Operator::Flags,
        "RESPONSE_FLAGS_LONG" => Operator::FlagsLong,
        "BYTES_RECEIVED" => Operator::BytesReceived,
        "BYTES_SENT" => Operator::BytesSent,
        "DOWNSTREAM_WIRE_BYTES_RECEIVED" => Operator::WireBytesReceived,
        "DOWNSTREAM_WIRE_BYTES_SENT" => Operator::WireBytesSent,
        "DOWNSTREAM_HEADER_BYTES_RECEIVED" | "REQUEST_HEADER_BYTES" => {
            Operator::HeaderBytesReceived
        }
        "DOWNSTREAM_HEADER_BYTES_SENT" | "RESPONSE_HEADER_BYTES" => Operator::HeaderBytesSent,
        "UPSTREAM_HOST" | "UPSTREAM_REMOTE_ADDRESS" => Operator::UpstreamHost,
        "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => Operator::UpstreamHostWithoutPort,
        "UPSTREAM_CLUSTER" | "UPSTREAM_CLUSTER_RAW" => Operator::UpstreamCluster,
        "UPSTREAM_LOCAL_ADDRESS" => Operator::UpstreamLocal,
        "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => Operator::UpstreamLocalWithoutPort,
        "UPSTREAM_TRANSPORT_FAILURE_REASON" => Operator::UpstreamFailure,
        "UPSTREAM_REQUEST_ATTEMPT_COUNT" => Operator::Attempts,
        "DOWNSTREAM_LOCAL_ADDRESS" => Operator::Local(AddressForm::Whole),
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => Operator::Local(AddressForm::WithoutPort),
        "DOWNSTREAM_LOCAL_PORT" => Operator::Local(AddressForm::Port),
        "DOWNSTREAM_REMOTE_ADDRESS" | "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" => {
            Operator::Remote(AddressForm::Whole)
        }
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"
        | "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" => {
            Operator::Remote(AddressForm::WithoutPort)
        }
        "DOWNSTREAM_REMOTE_PORT" | "DOWNSTREAM_DIRECT_REMOTE_PORT" => {
            Operator::Remote(AddressForm::Port)
        }
        "DOWNSTREAM_PEER_URI_SAN" => Operator::PeerUriSan,
        "DOWNSTREAM_TLS_VERSION" => Operator::TlsVersion,
        "ROUTE_NAME" => Operator::RouteName,
        "GRPC_STATUS_NUMBER" => Operator::GrpcStatus(GrpcForm::Number),
        "STREAM_ID" => Operator::Request(Choice::header("x-request-id")),
        "TRACE_ID" => Operator::TraceId,
        "SPAN_ID" => Operator::SpanId,
        "MESH_SOURCE_WORKLOAD" => Operator::SourceWorkload,
        "MESH_SOURCE_NAMESPACE" => Operator::SourceNamespace,
        "MESH_DESTINATION_WORKLOAD" => Operator::DestinationWorkload,
        "MESH_DESTINATION_NAMESPACE" => Operator::DestinationNamespace,
        "MESH_DESTINATION_SERVICE" => Operator::DestinationService,
        "CONNECTION_TERMINATION_DETAILS" => Operator::Termination,
        "CONNECTION_ID"
        | "DOWNSTREAM_PEER_SUBJECT"
        | "REQUESTED_SERVER_NAME"
        | "UPSTREAM_WIRE_BYTES_RECEIVED"
        | "UPSTREAM_WIRE_BYTES_SENT"
        | "VIRTUAL_CLUSTER_NAME" => Operator::Absent,
        _ => return None,
    })
}

/// Times between two moments, in milliseconds.
fn moment(name: &str) -> Option<Operator> {
    let (from, to) = match name {
        "DURATION" => (Moment::Start, Moment::Ended),
        "REQUEST_DURATION" => (Moment::Start, Moment::Received),
        "REQUEST_TX_DURATION" => (Moment::Start, Moment::Unknown),
        "RESPONSE_DURATION" => (Moment::Start, Moment::Answered),
        "RESPONSE_TX_DURATION" => (Moment::Answered, Moment::Ended),
        _ => return None,
    };
    Some(Operator::Span(from, to, Unit::Milliseconds))
}

fn common_duration(arguments: &str) -> Result<Operator, FormatProblem> {
    const EXPECTED: FormatProblem = FormatProblem::Arguments("two moments and ms, us or ns");
    let mut parts = arguments.split(':');
    let moment = |name: Option<&str>| {
        Ok(match name {
            Some("DS_RX_BEG") => Moment::Start,
            Some("DS_RX_END") => Moment::Received,
            Some("US_TX_BEG") => Moment::Sent,
            Some("US_RX_BEG") => Moment::Answered,
            Some("DS_TX_END") => Moment::Ended,
            Some(
                "DS_TX_BEG" | "US_CX_BEG" | "US_CX_END" | "US_HS_END" | "US_TX_END" | "US_RX_END"
                | "US_RX_BODY_BEG",
            ) => Moment::Unknown,
            _ => return Err(EXPECTED),
        })
    };
    let (from, to) = (moment(parts.next())?, moment(parts.next())?);
    let unit = match (parts.next(), parts.next()) {
        (Some("ms"), None) => Unit::Milliseconds,
        (Some("us"), None) => Unit::Microseconds,
        (Some("ns"), None) => Unit::Nanoseconds,
        _ => return Err(EXPECTED),
    };
    Ok(Operator::Span(from, to, unit))
}

impl Choice {
    /// `A` or `A?B`.
    fn parse(text: &str) -> Result<Self, FormatProblem> {
        let (first, second) = match text.split_once('?') {
            Some((first, second)) => (first, Some(second)),
            None => (text, None),
        };
        Ok(Self {
            first: Field::parse(first)?,
            second: second.map(Field::parse).transpose()?,
        })
    }

    fn header(name: &'static str) -> Self {
        Self {
            first: Field::Header(HeaderName::from_static(name)),
            second: None,
        }
    }

    /// The headers that it may ask for.
    pub(super) fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        let fields = std::iter::once(&self.first).chain(&self.second);
        fields.filter_map(|field| match field {
            Field::Header(name) => Some(name),
            _ => None,
        })
    }
}

impl Field {
    fn parse(name: &str) -> Result<Self, FormatProblem> {
        Ok(match &*name.to_ascii_lowercase() {
            ":method" => Self::Method,
            ":path" => Self::Path,
            ":authority" | "host" => Self::Authority,
            ":scheme" => Self::Scheme,
            ":status" => Self::Status,
            name => Self::Header(
                name.parse()
                    .map_err(|_| FormatProblem::Arguments("the name of a header"))?,
            ),
        })
    }
}
