//! Connections that are carried as bytes: to which host, for how long, and what is told about them.

mod arrived;
mod limits;
mod report;

use std::sync::Arc;

use bytes::BytesMut;
use http::HeaderMap;
use mesh_core::outcome::Outcome;
use mesh_core::random::ThreadRandom;
use mesh_core::watch::Watch;
use mesh_hbone::Tunnel;
use mesh_hbone::copy::{CopyError, Meter, Plain, copy};
use mesh_hbone::server::{Incoming, Refusal};
use mesh_l7::mesh::{Endpoint, MeshUpstreams};
use mesh_l7::record::Flags;
use mesh_l7::route::BackendTarget;
use mesh_l7::tcp::{
    ConnectSettings, Held, NotConnected, Reason, TcpHead, TcpRules, connect, read_server_name,
};
use mesh_l7::upstream::{Upstream, Upstreams};
use mesh_xds::manifest::Routing;
use tokio::io::AsyncWriteExt;

use crate::connector::Connector;
use crate::permit::Permit;
use crate::stream::Stream;

pub(crate) use arrived::{Arrived, Told};

use limits::Limits;
use report::{Report, Unrouted};

/// Carries connections as bytes. One for each worker.
#[derive(Clone, Debug)]
pub(crate) struct Passthrough {
    pub(crate) upstreams: Arc<MeshUpstreams>,
    pub(crate) routing: Watch<Routing>,
    pub(crate) connector: Connector,
    pub(crate) told: Told,
}

/// A connection to a host.
struct Open {
    stream: Stream,
    _held: Held,
    limits: Limits,
}

impl Passthrough {
    /// Connects, answers, and carries, as long as it is permitted.
    pub(crate) async fn answer(&self, incoming: Incoming, mut arrived: Arrived, permit: Permit) {
        let mut report = Report::new(&self.told, &arrived);
        if let Some(denied) = permit.denied() {
            report.denied(denied);
            return incoming.refuse(Refusal::Unauthorized);
        }
        let rules = self.routing.load().tcp.of(&arrived.target).cloned();
        if rules.as_ref().is_some_and(|rules| rules.want_server_name()) {
            // It comes after the answer.
            let Ok(tunnel) = incoming.accept(HeaderMap::new()) else {
                return report.ended(Outcome::Reset, Flags::CLIENT_GONE, None);
            };
            let first = BytesMut::new();
            return self.routed((first, tunnel), arrived, report, permit).await;
        }
        if let Err(failed) = choose(rules.as_deref(), None, &mut arrived) {
            report.unrouted(failed);
            return incoming.refuse(Refusal::Unavailable);
        }
        let Some(open) = self.open(&arrived, &mut report).await else {
            return incoming.refuse(Refusal::Unavailable);
        };
        match incoming.accept(HeaderMap::new()) {
            Ok(tunnel) => open.carry((&[], tunnel), report, permit).await,
            Err(_) => report.ended(Outcome::Reset, Flags::CLIENT_GONE, None),
        }
    }

    /// Carries a tunnel that was answered, of which these bytes have been read.
    pub(crate) async fn go_on(&self, read: (BytesMut, Tunnel), arrived: Arrived, permit: Permit) {
        let report = Report::new(&self.told, &arrived);
        match permit.denied() {
            Some(denied) => report.denied(denied),
            None => self.routed(read, arrived, report, permit).await,
        }
    }

    /// Reads the server name where rules want it. The tunnel is reset where there is no host.
    async fn routed(
        &self,
        (mut first, mut tunnel): (BytesMut, Tunnel),
        mut arrived: Arrived,
        mut report: Report,
        permit: Permit,
    ) {
        let rules = self.routing.load().tcp.of(&arrived.target).cloned();
        let mut name = None;
        if rules.as_ref().is_some_and(|rules| rules.want_server_name()) {
            match read_server_name(&mut tunnel, first).await {
                Ok(read) => (first, name) = read,
                Err(error) => {
                    return report.ended(Outcome::Reset, Flags::CLIENT_GONE, Some(&error));
                }
            }
        }
        if let Err(failed) = choose(rules.as_deref(), name.as_deref(), &mut arrived) {
            return report.unrouted(failed);
        }
        if let Some(open) = self.open(&arrived, &mut report).await {
            open.carry((&first, tunnel), report, permit).await;
        }
    }

    async fn open(&self, arrived: &Arrived, report: &mut Report) -> Option<Open> {
        report.goes_to(&arrived.target);
        let Some(upstream) = self.upstreams.upstream(&arrived.target) else {
            let reason = Reason::NoHost;
            report.not_connected(NotConnected::<Endpoint> {
                reason,
                host: None,
                attempts: 0,
            });
            return None;
        };
        let source = arrived.downstream.source.ip();
        let connector = self.connector.clone();
        let settings = ConnectSettings::default();
        match connect(connector, &upstream, source, &settings, &mut ThreadRandom).await {
            Ok(connected) => {
                report.connected(&connected.host, connected.attempts, &connected.io);
                Some(Open {
                    stream: connected.io,
                    _held: connected.held,
                    limits: limits(&upstream),
                })
            }
            Err(failed) => {
                report.not_connected(failed);
                None
            }
        }
    }
}

/// Where rules send a connection, if there are any.
fn choose(
    rules: Option<&TcpRules>,
    server_name: Option<&str>,
    arrived: &mut Arrived,
) -> Result<(), Unrouted> {
    let Some(rules) = rules else { return Ok(()) };
    let downstream = &arrived.downstream;
    let identity = downstream.identity.as_ref();
    let mut head = TcpHead::of_server_name(server_name);
    head.source = Some(downstream.source.ip());
    head.destination = Some(downstream.destination.ip());
    head.source_namespace = identity.map(|identity| identity.namespace().as_str());
    head.source_labels = downstream.labels.as_deref();
    let rule = rules.select(&head).ok_or(Unrouted::NoRule)?;
    let backend = rule.backends.draw(&mut ThreadRandom);
    match backend.map(|backend| &backend.target) {
        Some(BackendTarget::Service(target)) => {
            arrived.target = target.clone();
            Ok(())
        }
        Some(BackendTarget::Invalid(invalid)) => Err(Unrouted::Invalid(*invalid)),
        None => Err(Unrouted::NoBackend),
    }
}

fn limits(upstream: &Upstream<Endpoint>) -> Limits {
    let settings = &upstream.settings;
    Limits::new(settings.idle_timeout, settings.max_connection_duration)
}

impl Open {
    async fn carry(mut self, (first, tunnel): (&[u8], Tunnel), mut report: Report, permit: Permit) {
        let mut withdrawal = permit.clone().follow();
        // Policies may have changed while the host was connected to.
        if let Some(denied) = permit.denied() {
            return report.withdrawn(&denied);
        }
        report.counts_first(first.len());
        if let Err(error) = self.stream.write_all(first).await {
            return report.ended(Outcome::Reset, Flags::UPSTREAM_CLOSED, Some(&error));
        }
        let copied = copied(tunnel, self.stream, report.meter());
        let ended = tokio::select! {
            biased;
            denied = withdrawal.told() => return report.withdrawn(&denied),
            ended = self.limits.hold(copied, report.meter()) => ended,
        };
        match ended {
            Ok(Ok(())) => report.ended(Outcome::Completed, Flags::NONE, None),
            Ok(Err(error)) => {
                let outcome = error.outcome();
                report.ended(outcome, flags(&error), Some(&error));
            }
            Err(stopped) => report.stopped(stopped),
        }
    }
}

async fn copied(tunnel: Tunnel, stream: Stream, meter: &Meter) -> Result<(), CopyError> {
    match stream {
        Stream::Tcp(stream) => copy(tunnel, Plain::new(stream), meter).await,
        Stream::Tunnel(upstream) => copy(tunnel, *upstream, meter).await,
    }
}

/// Who ended it early.
fn flags(error: &CopyError) -> Flags {
    use mesh_hbone::copy::Side;
    let (CopyError::Reset { side, .. }
    | CopyError::Lost { side, .. }
    | CopyError::Failed { side, .. }) = error
    else {
        return Flags::NONE;
    };
    match side {
        Side::Server => Flags::UPSTREAM_CLOSED,
        _ => Flags::CLIENT_GONE,
    }
}
