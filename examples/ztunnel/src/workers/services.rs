//! The layers that a connection passes through, composed for one worker.

use std::sync::Arc;

use mesh_authz::guard::Redecider;
use mesh_core::drain::Drain;
use mesh_core::telemetry::{Direction, Telemetry};
use mesh_hbone::awake::{Awake, AwakeDialer};
use mesh_hbone::proxy::{
    AcceptOptions, HopConnector, Inbound, InboundOptions, LocalWorkload, MeshResolver, Outbound,
    Passthrough, Socks5, TcpAcceptor, TcpDialer, serve,
};
use mesh_hbone::server::{Server, ServerLayer};
use mesh_hbone::sock::Listener;
use mesh_hbone::{Client, ClientLayer, ConfigError, Http2Config};
use tower_layer::Layer;

use super::listeners::Listeners;
use super::on_demand::OnDemandResolver;
use super::resolution::resolve_config;
use super::shared::Shared;
use crate::authorization::PolicyAuthorizer;
use crate::config::Settings;
use crate::telemetry::CountedLookup;

type Dialer = AwakeDialer<TcpDialer>;
type Connector = HopConnector<Dialer, Client<Dialer>>;

/// The listeners and services of one worker.
///
/// ```text
/// outbound:  accept -> original destination -> resolve -> record -> connect -> copy
/// SOCKS5:    accept -> handshake            -> resolve -> record -> connect -> copy
/// HBONE:     accept -> mutual TLS -> CONNECT -> resolve -> record -> authorize -> dial -> 200 -> copy
/// plaintext: accept -> original destination -> resolve -> record -> authorize -> dial -> copy
/// ```
pub(super) struct Services {
    listeners: Listeners,
    shared: Shared,
    awake: Awake,
    outbound: Outbound<OnDemandResolver, Connector, CountedLookup>,
    hbone: Server<Inbound<OnDemandResolver, PolicyAuthorizer, Dialer>>,
    plaintext: Passthrough<OnDemandResolver, PolicyAuthorizer, Dialer>,
    redecider: Redecider,
}

impl Services {
    pub(super) fn new(
        shared: &Shared,
        listeners: Listeners,
        drain: &Drain,
    ) -> Result<Self, ConfigError> {
        let settings = &shared.settings;
        let telemetry: Arc<dyn Telemetry> = shared.metrics.clone();
        let resolver = resolver(shared);
        let log_info = settings.log_policies;
        let (authorizer, redecider) = PolicyAuthorizer::new(
            &shared.policies,
            &shared.store,
            &shared.missing_policies,
            log_info,
        );
        shared.metrics.guards().add(authorizer.guard().clone());
        let awake = Awake::new(settings.net.awake);
        let dialer = awake.dialer(TcpDialer::new(settings.net.sockets));
        let client = client(shared, drain)?.layer(dialer.clone());
        let mut outbound = Outbound::new(
            resolver.clone(),
            HopConnector::new(dialer.clone(), client),
            shared.lookup.clone(),
            telemetry.clone(),
        );
        if let Some(traffic) = &shared.traffic {
            outbound = outbound.with_traffic_policy(traffic.clone());
        }
        let mut options = InboundOptions::default();
        options.baggage = settings.response_baggage;
        options.preserve_source = preserve(settings, &listeners.inbound_hbone);
        let inbound = Inbound::new(
            resolver.clone(),
            authorizer.clone(),
            dialer.clone(),
            telemetry.clone(),
        )
        .with_options(options);
        let mut plaintext = Passthrough::new(resolver, authorizer, dialer, telemetry);
        if preserve(settings, &listeners.inbound_plaintext) {
            plaintext = plaintext.preserving_source();
        }
        Ok(Self {
            listeners,
            hbone: server(shared, drain)?.layer(inbound),
            outbound,
            plaintext,
            redecider,
            shared: shared.clone(),
            awake,
        })
    }

    /// Starts to serve, on the current runtime.
    pub(super) fn spawn(self, drain: &Drain) {
        tokio::spawn(self.redecider.run());
        let sockets = self.shared.settings.net.sockets;
        let options =
            |direction| AcceptOptions::new(direction, self.shared.metrics.clone() as Arc<_>);
        let Listeners {
            outbound,
            inbound_plaintext,
            inbound_hbone,
            socks5,
        } = self.listeners;
        let awake = self.awake;
        if let Some(listener) = socks5 {
            tokio::spawn(serve(
                awake.acceptor(TcpAcceptor::direct(listener.socket, sockets)),
                Socks5::new(self.outbound.clone()),
                options(Direction::Outbound),
                drain.clone(),
            ));
        }
        tokio::spawn(serve(
            awake.acceptor(TcpAcceptor::redirected(outbound.socket, sockets)),
            self.outbound,
            options(Direction::Outbound),
            drain.clone(),
        ));
        tokio::spawn(serve(
            awake.acceptor(TcpAcceptor::redirected(inbound_plaintext.socket, sockets)),
            self.plaintext,
            options(Direction::Inbound),
            drain.clone(),
        ));
        tokio::spawn(serve(
            awake.acceptor(TcpAcceptor::direct(inbound_hbone.socket, sockets)),
            self.hbone,
            options(Direction::Inbound),
            drain.clone(),
        ));
        tokio::spawn(awake.run());
    }
}

fn preserve(settings: &Settings, listener: &Listener) -> bool {
    settings.original_source.unwrap_or(listener.transparent)
}

fn resolver(shared: &Shared) -> OnDemandResolver {
    let settings = &shared.settings;
    let local = LocalWorkload::Pod {
        namespace: settings.workload.namespace.clone(),
        name: settings.workload.name.clone(),
        service_account: settings.workload.service_account.clone(),
        node: settings.node.clone(),
    };
    let mesh = shared.store.watch();
    let resolver = MeshResolver::new(mesh.clone(), resolve_config(settings), local);
    OnDemandResolver::new(resolver, mesh, shared.demand.clone(), settings.clone())
}

fn http2(settings: &Settings) -> Result<Http2Config, ConfigError> {
    let mut builder = Http2Config::builder();
    if let Some(bytes) = settings.net.stream_window {
        builder = builder.stream_window(bytes);
    }
    if let Some(bytes) = settings.net.frame_size {
        builder = builder.frame_size(bytes);
    }
    builder.build()
}

fn client(shared: &Shared, drain: &Drain) -> Result<ClientLayer, ConfigError> {
    let settings = &shared.settings;
    let mut builder = ClientLayer::builder(shared.certificates.clone(), shared.tls.clone())
        .http2(http2(settings)?)
        .drain(drain.clone())
        .idle_release(settings.net.unused_release);
    if let Some(streams) = settings.net.max_streams {
        builder = builder.max_streams_per_connection(streams);
    }
    builder.build()
}

fn server(shared: &Shared, drain: &Drain) -> Result<ServerLayer, ConfigError> {
    let identity = shared.identity.clone();
    ServerLayer::builder(identity, shared.certificates.clone(), shared.tls.clone())
        .http2(http2(&shared.settings)?)
        .handshake_gate(shared.gate.clone())
        .telemetry(shared.metrics.clone())
        .drain(drain.clone())
        .build()
}
