//! What the program says about itself.

pub(crate) const HELP: &str = "\
What a mesh's policies decide, why, and what is questionable about them.

    meshctl authz check   --manifests DIR [MESH] QUESTION [--output text|json]
    meshctl authz check   --manifests DIR [MESH] --batch FILE [--stats]
    meshctl authz explain --manifests DIR [MESH] QUESTION [--output text|json]
    meshctl authz lint    --manifests DIR [MESH] [--level error|warning|info] [--output text|json]

--manifests DIR          YAML and JSON files of Kubernetes, Gateway API and Istio objects, or one file
--batch FILE             one question as JSON a line, one answer a line; - is standard input
--stats                  how many answers a second, on standard error

MESH, what the mesh's configuration says:
--mesh-config FILE       meshConfig of Istio as YAML or JSON; options below take precedence
--root-namespace NS      default istio-system
--trust-domain DOMAIN    default cluster.local; again for aliases
--profile PROFILE        strict (default), or compat: as Istio, bit for bit
--path-normalization M   none, base, merge-slashes or decode-and-merge-slashes; default the last one,
                         with the profile compat base

QUESTION, in JSON (--request FILE, - is standard input) or by options:
--workload NS/POD        who is asked for: a pod, or
--service NS/NAME        the waypoint of a service
--layer l4|l7            the node proxy, or a sidecar; default l7 with a request, l4 without
--identity SPIFFE-ID     verified identity of the caller; none without mutual TLS
--source IP[:PORT]       address of the caller
--remote-ip IP           address of the client behind trusted proxies
--destination IP:PORT    address of the destination
--sni NAME               server name of the client's handshake
--method M, --host H, --path P, --header 'NAME: VALUE' (again for more)
--claims JSON            claims of a verified token; without, tokens in the headers are checked

check ends with 0 when it is allowed, 1 when it is denied, 3 when what is known does not decide it; a
batch ends with 0 when all lines were answered, errors of single lines among the answers. explain ends
like check. lint ends with 0 when nothing is found and 1 otherwise. All end with 2 when the command
line is wrong or something cannot be read.
";
