//! Which addresses may be asked for keys.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Decides about the addresses that a host name resolved to, before any of them is connected to.
///
/// Whoever may write a RequestAuthentication can name any host, and names resolve to whatever their
/// owner wants. So this machine, its link (where clouds have their metadata services) and further
/// metadata addresses are never asked. Private networks are: issuers run in them.
///
/// ```
/// use mesh_authz::jwt::AddressGuard;
///
/// let guard = AddressGuard::default().block(["10.0.0.0/8".parse()?]);
/// assert!(guard.permits(&["203.0.113.7".parse()?]));
/// assert!(!guard.permits(&["10.1.2.3".parse()?]));
/// // One blocked address blocks the host: it must not depend on which one is tried.
/// assert!(!guard.permits(&["203.0.113.7".parse()?, "127.0.0.1".parse()?]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AddressGuard {
    blocked: Vec<IpNet>,
    exempt: Vec<IpNet>,
}

/// Metadata services beside the link-local ones: of two clouds, and one over IPv6.
const METADATA_V4: [Ipv4Addr; 2] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl AddressGuard {
    /// Blocks these networks as well (Istio: `BLOCKED_CIDRS_IN_JWKS_URIS`).
    #[must_use]
    pub fn block(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.blocked.extend(networks);
        self
    }

    /// Permits these networks, whatever else is blocked: for an issuer on this machine.
    #[must_use]
    pub fn exempt(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.exempt.extend(networks);
        self
    }

    /// Whether a host with these addresses may be connected to: there is one, and all of them are
    /// permitted. What is connected to must be one of these, not the result of another look-up.
    #[must_use]
    pub fn permits(&self, addresses: &[IpAddr]) -> bool {
        !addresses.is_empty() && addresses.iter().all(|&address| self.permits_one(address))
    }

    fn permits_one(&self, address: IpAddr) -> bool {
        let address = embedded(address);
        let within = |networks: &[IpNet]| networks.iter().any(|net| net.contains(&address));
        within(&self.exempt) || !(within(&self.blocked) || is_own(address))
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped (RFC 4291), translated (RFC 6052) or
/// reached through 6to4 (RFC 3056).
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else {
        return address.to_canonical();
    };
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        // The deprecated form of mapped addresses. `::` and `::1` are themselves.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => v4(high, low),
        _ => IpAddr::V6(v6),
    }
}

/// Whether an address is of this machine or its link, of a metadata service, or of no single host.
fn is_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || first == 0
                || first >= 240
                || METADATA_V4.contains(&v4)
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || v6 == METADATA_V6
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AddressGuard;

    fn permits(guard: &AddressGuard, address: &str) -> bool {
        guard.permits(&[address.parse().unwrap()])
    }

    /// Spec 3.7.2.
    #[test]
    fn this_machine_its_link_and_metadata_services_are_blocked_in_every_spelling() {
        let blocked = [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "::127.0.0.1",
        ];
        for address in blocked {
            assert!(!permits(&AddressGuard::default(), address), "{address}");
        }
    }

    #[test]
    fn public_and_private_addresses_are_permitted() {
        let permitted = [
            "203.0.113.1",
            "10.0.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "2001:db8::1",
            "fd00::1",
        ];
        for address in permitted {
            assert!(permits(&AddressGuard::default(), address), "{address}");
        }
        assert!(
            !AddressGuard::default().permits(&[]),
            "a host without addresses"
        );
    }

    #[test]
    fn networks_are_blocked_and_exempt_as_configured() {
        let guard = AddressGuard::default().block(["10.0.0.0/8".parse().unwrap()]);
        assert!(!permits(&guard, "10.9.9.9"));
        assert!(
            !permits(&guard, "::ffff:10.9.9.9"),
            "also as a mapped address"
        );
        assert!(permits(&guard, "11.0.0.1"));
        let guard = guard.exempt([
            "127.0.0.1/32".parse().unwrap(),
            "10.1.0.0/16".parse().unwrap(),
        ]);
        assert!(permits(&guard, "127.0.0.1"));
        assert!(!permits(&guard, "127.0.0.2"));
        assert!(permits(&guard, "10.1.2.3"));
    }
}
