//! The packet rules of a captured pod, as Istio's CNI plug-in writes them.

use super::namespace::Namespace;

/// The mark of the proxy's own sockets, as `PACKET_MARK` takes it.
pub(super) const PROXY_MARK: &str = "1337";

/// Marked replies to connections that the proxy made with the client's address are sent to `lo`, where
/// the proxy's transparent sockets take them. Source: Istio's CNI plug-in, chains `ISTIO_PRERT` and
/// `ISTIO_OUTPUT`; the rules for DNS are left out, as nothing here asks for names.
const RULES: &str = "\
*mangle
:ISTIO_PRERT - [0:0]
:ISTIO_OUTPUT - [0:0]
-A PREROUTING -j ISTIO_PRERT
-A OUTPUT -j ISTIO_OUTPUT
-A ISTIO_PRERT -m mark --mark 0x539/0xfff -j CONNMARK --set-xmark 0x111/0xfff
-A ISTIO_OUTPUT -m connmark --mark 0x111/0xfff -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff
COMMIT
*nat
:ISTIO_PRERT - [0:0]
:ISTIO_OUTPUT - [0:0]
-A PREROUTING -j ISTIO_PRERT
-A OUTPUT -j ISTIO_OUTPUT
-A ISTIO_PRERT -s 169.254.7.127/32 -p tcp -j ACCEPT
-A ISTIO_PRERT ! -d 127.0.0.1/32 -p tcp -m tcp ! --dport 15008 -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15006
-A ISTIO_OUTPUT -d 169.254.7.127/32 -p tcp -j ACCEPT
-A ISTIO_OUTPUT -p tcp -m mark --mark 0x111/0xfff -j ACCEPT
-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -j ACCEPT
-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -p tcp -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15001
COMMIT
";

const ROUTES: &str = "\
rule add fwmark 0x111/0xfff pref 32764 lookup 100
route add local default dev lo table 100
";

/// Redirects the connections from and to the pod to its proxy.
pub(super) fn capture(pod: &Namespace) {
    pod.filter("iptables-restore", RULES);
    pod.configure(ROUTES);
}
