//! Copies for others.

use crate::matching::split_port;
use crate::target::ServiceTarget;

use super::percent::Percent;

/// Copies of requests for a service whose answers nobody reads.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct Mirror {
    /// Where copies go.
    pub target: ServiceTarget,
    /// Of how many requests.
    pub share: Percent,
}

/// The host of a copy: `-shadow` is added before the port, so that logs can tell it apart.
///
/// ```
/// use mesh_l7::filter::shadow_host;
///
/// assert_eq!(shadow_host("svc.ns:8080"), "svc.ns-shadow:8080");
/// ```
#[must_use]
pub fn shadow_host(authority: &str) -> String {
    match split_port(authority) {
        (host, Some(port)) => format!("{host}-shadow:{port}"),
        (host, None) => format!("{host}-shadow"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_stays_at_the_end() {
        let cases = [
            ("a", "a-shadow"),
            ("a:80", "a-shadow:80"),
            ("[::1]:80", "[::1]-shadow:80"),
        ];
        for (authority, shadow) in cases {
            assert_eq!(shadow_host(authority), shadow);
        }
    }
}
