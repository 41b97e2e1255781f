//! The settings in the configuration dump.

use serde_json::{Value, json};

use crate::config::{Authority, Settings};

pub(super) fn dump(settings: &Settings) -> Value {
    let Settings {
        workload,
        network,
        node,
        trust_domain,
        cluster_id,
        local,
        xds: _,
        authority: _,
        token: _,
        node_info: _,
        crl,
        log_policies,
        ipv6,
        listen,
        net,
        original_source,
        localhost_app_tunnel,
        response_baggage,
        drain_deadline,
        workers,
        log_format,
        log_filter,
        version: _,
        ignored,
    } = settings;
    let mut dump = json!({
        "proxyMode": "dedicated",
        "proxyWorkloadInfo": {
            "namespace": workload.namespace.as_str(),
            "name": workload.name.as_str(),
            "serviceAccount": workload.service_account.as_str(),
        },
        "network": network.as_str(),
        "localNode": node.as_ref().map(|node| node.as_str()),
        "trustDomain": trust_domain.as_str(),
        "clusterId": cluster_id.as_str(),
        "localXdsConfig": local.as_ref().map(|local| format!("{local:?}")),
        "crlPath": crl,
        "authzPolicyInfoLogging": log_policies,
        "ipv6Enabled": ipv6,
        "outboundAddr": listen.outbound.to_string(),
        "inboundPlaintextAddr": listen.inbound_plaintext.to_string(),
        "inboundAddr": listen.inbound_hbone.to_string(),
        "socks5Addr": listen.socks5.map(|address| address.to_string()),
        "adminAddr": listen.admin.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "statsAddr": listen.metrics.to_string(),
        "readinessAddr": listen.readiness.to_string(),
        "packetMark": net.sockets.mark,
        "keepalive": format!("{:?}", net.sockets.keepalive),
        "userTimeout": format!("{:?}", net.sockets.user_timeout),
        "poolMaxStreamsPerConn": net.max_streams,
        "meshAwake": format!("{:?}", net.awake),
        "poolUnusedReleaseTimeout": format!("{:?}", net.unused_release),
        "windowSize": net.stream_window,
        "frameSize": net.frame_size,
        "requireOriginalSource": original_source,
        "localhostAppTunnel": localhost_app_tunnel,
        "enableResponseBaggage": response_baggage,
        "selfTerminationDeadline": format!("{drain_deadline:?}"),
        "numWorkerThreads": workers,
        "logFormat": format!("{log_format:?}"),
        "logFilter": log_filter,
        "ignoredVariables": ignored,
    });
    if let (Value::Object(dump), Value::Object(more)) = (&mut dump, control_plane(settings)) {
        dump.extend(more);
    }
    dump
}

/// The servers of the control plane and what they are told; no secrets.
fn control_plane(settings: &Settings) -> Value {
    let (ca, dev_ca) = match &settings.authority {
        Authority::ControlPlane(ca) => (Some(ca), None),
        Authority::Development(directory) => (None, Some(directory)),
    };
    let xds = settings.xds.as_ref();
    json!({
        "xdsAddress": xds.map(|xds| &xds.server.address),
        "xdsRootCert": xds.map(|xds| format!("{:?}", xds.server.root)),
        "altXdsHostname": xds.map(|xds| &xds.server.alt_hostname),
        "xdsHeaders": xds.map(|xds| format!("{:?}", xds.server.headers)),
        "xdsOnDemand": xds.is_some_and(|xds| xds.on_demand),
        "fakeCa": ca.is_none(),
        "devCaDir": dev_ca,
        "caAddress": ca.map(|ca| &ca.server.address),
        "caRootCert": ca.map(|ca| format!("{:?}", ca.server.root)),
        "altCaHostname": ca.map(|ca| &ca.server.alt_hostname),
        "caHeaders": ca.map(|ca| format!("{:?}", ca.server.headers)),
        "secretTtl": ca.map(|ca| format!("{:?}", ca.lifetime)),
        "auth": format!("{:?}", settings.token),
        "nodeId": settings.node_info.identity("ztunnel").id(),
        "proxyMetadata": settings.node_info.metadata,
    })
}
