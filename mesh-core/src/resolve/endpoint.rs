//! The way to one workload of the same network.

use std::net::IpAddr;
use std::num::NonZeroU16;

use super::{Hop, HopAddress, ResolveConfig, ResolveError, TunnelAuthority, address_choice, peers};
use crate::authority::ConnectAuthority;
use crate::model::{Service, TunnelProtocol, Workload};

/// The next hop to a port of a workload of the same network, as an endpoint of a service where one is
/// given: HBONE when the workload speaks it, else plain TCP.
///
/// Of the workload's addresses, `asked` is taken if it is one of them, else one of its family. For proxies that
/// choose endpoints themselves; [`outbound`](super::outbound) chooses one and comes to the same.
///
/// ```
/// use std::num::NonZeroU16;
/// use mesh_core::model::{Workload, WorkloadSpec};
/// use mesh_core::resolve::{Hop, ResolveConfig, endpoint};
///
/// let pod = Workload::new(WorkloadSpec {
///     ips: vec!["10.0.0.2".parse()?],
///     ..WorkloadSpec::default()
/// });
/// let port = NonZeroU16::new(8080).ok_or("0")?;
/// let hop = endpoint(&ResolveConfig::new(), &pod, None, "10.0.0.2".parse()?, port)?;
/// assert!(matches!(hop, Hop::Tcp { to } if to.port() == 8080));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ResolveError::NoAddress`] when there is no address to dial, [`ResolveError::NoIdentity`] when nothing says who the
/// peer may be.
pub fn endpoint(
    config: &ResolveConfig,
    workload: &Workload,
    service: Option<&Service>,
    asked: IpAddr,
    port: NonZeroU16,
) -> Result<Hop, ResolveError> {
    let choose = |port| {
        let choice = address_choice::choose(config, workload, service, asked, port);
        choice.ok_or_else(|| ResolveError::NoAddress {
            workload: workload.uid().into(),
        })
    };
    Ok(match workload.tunnel_protocol() {
        TunnelProtocol::Hbone => {
            let to = choose(config.hbone_port)?;
            let authority = match &to {
                HopAddress::Ip(to) => TunnelAuthority::Is(ConnectAuthority::from_ip(to.ip(), port)),
                HopAddress::Hostname { .. } => TunnelAuthority::OfDialledIp(port),
            };
            let expected = peers::of(workload, service)?;
            Hop::Hbone {
                to,
                authority,
                expected,
            }
        }
        TunnelProtocol::None | TunnelProtocol::LegacyIstioMtls => Hop::Tcp {
            to: choose(port.get())?,
        },
    })
}
