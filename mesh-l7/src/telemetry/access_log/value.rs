//! What operators stand for.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use http::Version;
use mesh_core::identity::SpiffeId;
use mesh_core::name::Name;

use super::super::grpc;
use super::operator::{AddressForm, Choice, Field, GrpcForm, Moment, Operator, Unit};
use super::redaction::Redaction;
use super::time::TimeFormat;
use crate::downstream::Downstream;
use crate::record::{Captured, Entry, Flags};
use crate::target::ServiceTarget;

/// A record, and what values are made with.
pub(super) struct Context<'a> {
    pub(super) entry: &'a Entry,
    /// The time of day at the start.
    pub(super) start: SystemTime,
    pub(super) redaction: &'a Redaction,
}

/// What an operator stands for.
pub(super) enum Value<'a> {
    Absent,
    Number(u128),
    /// What a peer sent, or a text of configuration.
    Bytes(Cow<'a, [u8]>),
    /// What is written from its parts; never with bytes that a peer chose.
    Shown(Shown<'a>),
    Time(&'a TimeFormat, SystemTime),
}

pub(super) enum Shown<'a> {
    Address(SocketAddr),
    Ip(IpAddr),
    Flags(Flags),
    FlagsLong(Flags),
    Identity(&'a SpiffeId),
    Cluster(&'a ServiceTarget, &'static str),
    Hex(u128, usize),
}

const GRPC_NAMES: [(&str, &str); 17] = [
    ("OK", "OK"),
    ("Canceled", "CANCELLED"),
    ("Unknown", "UNKNOWN"),
    ("InvalidArgument", "INVALID_ARGUMENT"),
    ("DeadlineExceeded", "DEADLINE_EXCEEDED"),
    ("NotFound", "NOT_FOUND"),
    ("AlreadyExists", "ALREADY_EXISTS"),
    ("PermissionDenied", "PERMISSION_DENIED"),
    ("ResourceExhausted", "RESOURCE_EXHAUSTED"),
    ("FailedPrecondition", "FAILED_PRECONDITION"),
    ("Aborted", "ABORTED"),
    ("OutOfRange", "OUT_OF_RANGE"),
    ("Unimplemented", "UNIMPLEMENTED"),
    ("Internal", "INTERNAL"),
    ("Unavailable", "UNAVAILABLE"),
    ("DataLoss", "DATA_LOSS"),
    ("Unauthenticated", "UNAUTHENTICATED"),
];

impl<'a> Context<'a> {
    /// What an operator stands for.
    pub(super) fn value(&self, operator: &'a Operator) -> Value<'a> {
        match operator {
            Operator::StartTime(format) => Value::Time(format, self.start),
            Operator::Request(choice) => self.either(choice, |field| self.request(field)),
            Operator::Response(choice) => self.either(choice, |field| match field {
                Field::Status => self.status(),
                field => self.header(field, &self.entry.response.headers),
            }),
            Operator::Trailer(choice) => self.either(choice, |field| {
                self.header(field, &self.entry.response.trailers)
            }),
            Operator::ResponseCode
            | Operator::ResponseCodeDetails
            | Operator::Termination
            | Operator::Flags
            | Operator::FlagsLong
            | Operator::GrpcStatus(_) => self.outcome(operator),
            Operator::Span(from, to, unit) => self.span(*from, *to, *unit),
            Operator::UpstreamHost
            | Operator::UpstreamHostWithoutPort
            | Operator::UpstreamCluster
            | Operator::UpstreamLocal
            | Operator::UpstreamLocalWithoutPort
            | Operator::UpstreamFailure
            | Operator::Attempts => self.upstream(operator),
            Operator::Local(_)
            | Operator::Remote(_)
            | Operator::PeerUriSan
            | Operator::TlsVersion => self.downstream(operator),
            Operator::SourceWorkload
            | Operator::SourceNamespace
            | Operator::DestinationWorkload
            | Operator::DestinationNamespace
            | Operator::DestinationService => self.mesh(operator),
            Operator::Fixed(fixed) => text(fixed),
            Operator::Absent => Value::Absent,
            _ => self.request_facts(operator),
        }
    }

    fn either(&self, choice: &'a Choice, value: impl Fn(&'a Field) -> Value<'a>) -> Value<'a> {
        match (value(&choice.first), &choice.second) {
            (Value::Absent, Some(second)) => value(second),
            (first, _) => first,
        }
    }

    fn request(&self, field: &'a Field) -> Value<'a> {
        let Some(head) = &self.entry.request else {
            return Value::Absent;
        };
        match field {
            Field::Method => text(head.method.as_str()),
            Field::Path => bytes(self.redaction.target(head.target().as_bytes())),
            Field::Authority => text(head.authority()),
            Field::Scheme => head.uri.scheme_str().map_or(Value::Absent, text),
            Field::Status => Value::Absent,
            Field::Header(_) => self.header(field, &head.headers),
        }
    }

    fn header(&self, field: &Field, of: &'a Captured) -> Value<'a> {
        let Field::Header(name) = field else {
            return Value::Absent;
        };
        let value = of.value(name);
        value.map_or(Value::Absent, |value| {
            bytes(self.redaction.header(name, value.as_bytes()))
        })
    }

    fn status(&self) -> Value<'a> {
        let status = self.entry.status.map_or(0, |status| status.as_u16());
        Value::Number(status.into())
    }

    fn outcome(&self, operator: &Operator) -> Value<'a> {
        let entry = self.entry;
        match operator {
            Operator::ResponseCode => self.status(),
            Operator::ResponseCodeDetails => text(entry.denial.as_deref().unwrap_or(entry.detail)),
            Operator::Termination => text(entry.termination.as_deref().unwrap_or_default()),
            Operator::Flags => Value::Shown(Shown::Flags(entry.flags)),
            Operator::FlagsLong => Value::Shown(Shown::FlagsLong(entry.flags)),
            Operator::GrpcStatus(form) => {
                grpc::final_status(entry).map_or(Value::Absent, |status| grpc_status(status, *form))
            }
            _ => Value::Absent,
        }
    }

    fn request_facts(&self, operator: &Operator) -> Value<'a> {
        let entry = self.entry;
        let head = entry.request.as_ref().map_or(0, |head| head.bytes);
        let trace = entry.trace.as_ref();
        match operator {
            Operator::Protocol => {
                let version = entry.request.as_ref().map(|head| head.version);
                version.map_or(Value::Absent, |version| text(protocol(version)))
            }
            Operator::BytesReceived => number(entry.request_bytes),
            Operator::BytesSent => number(entry.response_bytes),
            Operator::HeaderBytesReceived => number(head),
            Operator::HeaderBytesSent => number(entry.response.bytes),
            Operator::WireBytesReceived => number(head.saturating_add(entry.request_bytes)),
            Operator::WireBytesSent => {
                number(entry.response.bytes.saturating_add(entry.response_bytes))
            }
            Operator::RouteName => {
                let rule = entry.rule.as_ref();
                rule.map_or(Value::Absent, |rule| text(&rule.name))
            }
            Operator::TraceId => trace.map_or(Value::Absent, |trace| {
                Value::Shown(Shown::Hex(u128::from_be_bytes(trace.trace_id()), 32))
            }),
            Operator::SpanId => trace.map_or(Value::Absent, |trace| {
                let id = u64::from_be_bytes(trace.parent_id());
                Value::Shown(Shown::Hex(id.into(), 16))
            }),
            _ => Value::Absent,
        }
    }

    fn span(&self, from: Moment, to: Moment, unit: Unit) -> Value<'a> {
        let (Some(from), Some(to)) = (self.moment(from), self.moment(to)) else {
            return Value::Absent;
        };
        let span = to.saturating_sub(from);
        Value::Number(match unit {
            Unit::Milliseconds => span.as_millis(),
            Unit::Microseconds => span.as_micros(),
            Unit::Nanoseconds => span.as_nanos(),
        })
    }

    fn moment(&self, moment: Moment) -> Option<Duration> {
        match moment {
            Moment::Start => Some(Duration::ZERO),
            Moment::Received => self.entry.received,
            Moment::Sent => self.entry.sent,
            Moment::Answered => self.entry.answered,
            Moment::Ended => self.entry.ended,
            Moment::Unknown => None,
        }
    }

    fn upstream(&self, operator: &Operator) -> Value<'a> {
        let entry = self.entry;
        let host = entry.host.as_deref();
        match operator {
            Operator::UpstreamHost => host.map_or(Value::Absent, text),
            Operator::UpstreamHostWithoutPort => {
                let host = host.map(|host| host.rsplit_once(':').map_or(host, |(ip, _)| ip));
                host.map_or(Value::Absent, text)
            }
            Operator::UpstreamCluster => {
                let target = entry.target.as_ref();
                // What has no head is a connection of bytes.
                let protocol = entry.request.as_ref().map_or("tcp", |_| "http");
                target.map_or(Value::Absent, |target| {
                    Value::Shown(Shown::Cluster(target, protocol))
                })
            }
            Operator::UpstreamLocal => address(entry.upstream_local, AddressForm::Whole),
            Operator::UpstreamLocalWithoutPort => {
                address(entry.upstream_local, AddressForm::WithoutPort)
            }
            Operator::UpstreamFailure => {
                let failed = entry.flags.contains(Flags::UPSTREAM_CONNECT);
                let failure = entry.failure.as_deref().filter(|_| failed);
                failure.map_or(Value::Absent, text)
            }
            Operator::Attempts => number(entry.attempts.into()),
            _ => Value::Absent,
        }
    }

    fn downstream(&self, operator: &Operator) -> Value<'a> {
        let Some(downstream) = self.entry.downstream.as_deref() else {
            return Value::Absent;
        };
        match (operator, &downstream.identity) {
            (Operator::Local(form), _) => address(Some(downstream.destination), *form),
            (Operator::Remote(form), _) => address(Some(downstream.source), *form),
            (Operator::PeerUriSan, Some(identity)) => Value::Shown(Shown::Identity(identity)),
            // Identities come from mutual TLS, which is version 1.3 here.
            (Operator::TlsVersion, Some(_)) => text("TLSv1.3"),
            _ => Value::Absent,
        }
    }

    fn mesh(&self, operator: &Operator) -> Value<'a> {
        let entry = self.entry;
        let (source, destination) = (entry.source.as_deref(), entry.destination.as_deref());
        let name: Option<&Name> = match operator {
            Operator::SourceWorkload => source.map(|source| source.workload_name()),
            Operator::SourceNamespace => source.map(|source| source.namespace()),
            Operator::DestinationWorkload => destination.map(|to| to.workload_name()),
            Operator::DestinationNamespace => destination.map(|to| to.namespace()),
            _ => entry
                .target
                .as_ref()
                .or_else(|| service(entry.downstream.as_deref()))
                .filter(|target| target.is_service())
                .map(|target| &target.hostname),
        };
        name.map_or(Value::Absent, |name| text(name))
    }
}

fn service(downstream: Option<&Downstream>) -> Option<&ServiceTarget> {
    downstream?.service.as_ref()
}

fn number(number: u64) -> Value<'static> {
    Value::Number(number.into())
}

/// An empty text is not known.
fn text(text: &str) -> Value<'_> {
    bytes(Cow::Borrowed(text.as_bytes()))
}

fn bytes(bytes: Cow<'_, [u8]>) -> Value<'_> {
    if bytes.is_empty() {
        return Value::Absent;
    }
    Value::Bytes(bytes)
}

fn address(address: Option<SocketAddr>, form: AddressForm) -> Value<'static> {
    match (address, form) {
        (None, _) => Value::Absent,
        (Some(address), AddressForm::Whole) => Value::Shown(Shown::Address(address)),
        (Some(address), AddressForm::WithoutPort) => Value::Shown(Shown::Ip(address.ip())),
        (Some(address), AddressForm::Port) => number(address.port().into()),
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "",
    }
}

/// A status that gRPC does not define is a number.
fn grpc_status(status: u32, form: GrpcForm) -> Value<'static> {
    let names = usize::try_from(status)
        .ok()
        .and_then(|at| GRPC_NAMES.get(at));
    match (names, form) {
        (Some((camel, _)), GrpcForm::Camel) => text(camel),
        (Some((_, snake)), GrpcForm::Snake) => text(snake),
        _ => number(status.into()),
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Ip(ip) => ip.fmt(f),
            Self::Flags(flags) => flags.fmt(f),
            Self::FlagsLong(flags) => flags.long().fmt(f),
            Self::Identity(identity) => identity.fmt(f),
            Self::Hex(number, width) => write!(f, "{number:0width$x}"),
            // As Istio names what workloads are reached by, and services behind a waypoint.
            Self::Cluster(target, _) if !target.is_service() => f.write_str("encap"),
            Self::Cluster(target, protocol) => {
                write!(f, "inbound-vip|{}|{protocol}", target.port)?;
                if let Some(subset) = &target.subset {
                    write!(f, "/{subset}")?;
                }
                write!(f, "|{}", target.hostname)
            }
        }
    }
}
