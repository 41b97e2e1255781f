use proptest::prelude::*;

use super::*;
use crate::model::{Locality, WorkloadSpec};

fn parse(lines: &[&str]) -> Baggage {
    Baggage::parse(lines.iter().map(|line| line.as_bytes()))
}

/// Seen on the wire between node proxies of an Istio ambient mesh.
const CAPTURED: &str = "k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.pod.name=a,\
                        service.name=a,service.version=latest";

fn captured() -> Baggage {
    Baggage {
        cluster_id: "Kubernetes".into(),
        namespace: "default".into(),
        workload_type: WorkloadType::Pod,
        workload_name: "a".into(),
        canonical_name: "a".into(),
        canonical_revision: "latest".into(),
        ..Baggage::default()
    }
}

#[test]
fn plain_values_give_the_captured_bytes() {
    assert_eq!(captured().encode(), CAPTURED);
    assert_eq!(parse(&[CAPTURED]), captured());
}

#[test]
fn every_field_has_its_place() {
    let workload = Workload::new(WorkloadSpec {
        cluster_id: "c".into(),
        namespace: "n".into(),
        workload_type: WorkloadType::CronJob,
        workload_name: "w".into(),
        canonical_name: "s".into(),
        canonical_revision: "v".into(),
        locality: Locality {
            region: "r".into(),
            zone: "z".into(),
            subzone: "not told".into(),
        },
        ..WorkloadSpec::default()
    });
    let baggage = Baggage::of(&workload);
    assert_eq!(
        baggage.encode(),
        "k8s.cluster.name=c,k8s.namespace.name=n,k8s.cronjob.name=w,service.name=s,\
         service.version=v,cloud.region=r,cloud.availability_zone=z"
    );
    assert_eq!(parse(&[&baggage.encode()]), baggage);
}

#[test]
fn nothing_known_is_an_empty_header() {
    assert_eq!(Baggage::default().encode(), "");
    assert_eq!(parse(&[]), Baggage::default());
    assert_eq!(parse(&[""]), Baggage::default());
}

#[test]
fn separators_in_values_are_encoded() {
    let baggage = Baggage {
        namespace: "a=b,c;d e%f\"g\\hé".into(),
        ..Baggage::default()
    };
    let header = "k8s.namespace.name=a%3Db%2Cc%3Bd%20e%25f%22g%5Ch%C3%A9";
    assert_eq!(baggage.encode(), header);
    assert_eq!(parse(&[header]), baggage);
}

#[test]
fn readers_are_tolerant() {
    let namespace = |name: &str| Baggage {
        namespace: name.into(),
        ..Baggage::default()
    };
    let long = format!("k8s.namespace.name={}", "n".repeat(257));
    let many = format!("{}k8s.namespace.name=n", "x=y,".repeat(64));
    let huge = format!("x={},k8s.namespace.name=n", "y".repeat(8192));
    for (case, lines, expected) in [
        ("blanks", &["  k8s.namespace.name =\t n , x = y"][..], "n"),
        ("several lines", &["x=y", "k8s.namespace.name=n"], "n"),
        (
            "the later one",
            &["k8s.namespace.name=m,k8s.namespace.name=n"],
            "n",
        ),
        ("a property", &["k8s.namespace.name=n;ttl=1;x"], "n"),
        ("an equals sign", &["k8s.namespace.name=n=m"], "n=m"),
        ("an unknown key", &["k8s.namespace=m"], ""),
        ("a key in upper case", &["K8S.NAMESPACE.NAME=m"], ""),
        ("no value", &["k8s.namespace.name"], ""),
        (
            "an empty value",
            &["k8s.namespace.name=n,k8s.namespace.name="],
            "n",
        ),
        ("an empty key", &["=m"], ""),
        ("only separators", &[",;=,;=%,,"], ""),
        ("a lone percent sign", &["k8s.namespace.name=100%"], "100%"),
        ("a malformed escape", &["k8s.namespace.name=%zz%2"], "%zz%2"),
        ("lower-case escape", &["k8s.namespace.name=%2c"], ","),
        (
            "bytes that are no UTF-8",
            &["k8s.namespace.name=a%FFb"],
            "a\u{fffd}b",
        ),
        ("an encoded line feed", &["k8s.namespace.name=a%0Ab"], ""),
        ("an encoded zero", &["k8s.namespace.name=%00"], ""),
        ("not ASCII", &["k8s.namespace.name=n", "é"], ""),
        ("a tab within a value", &["k8s.namespace.name=a\tb"], ""),
        ("a control character", &["k8s.namespace.name=n\n"], ""),
        ("a long value", &[&long], ""),
        ("too many members", &[&many], ""),
        ("too many bytes", &[&huge], ""),
    ] {
        assert_eq!(parse(lines), namespace(expected), "{case}");
    }
}

#[test]
fn the_key_of_the_name_gives_the_type() {
    for kind in [
        WorkloadType::Deployment,
        WorkloadType::CronJob,
        WorkloadType::Pod,
        WorkloadType::Job,
    ] {
        let header = format!("k8s.{}.name=w", kind.as_str());
        let baggage = parse(&[&header]);
        assert_eq!(
            (baggage.workload_type, &*baggage.workload_name),
            (kind, "w")
        );
        assert_eq!(baggage.encode(), header);
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(lines in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
        let _ = Baggage::parse(lines.iter().map(Vec::as_slice));
    }

    #[test]
    fn no_text_panics(line in "((k8s\\.pod\\.name|service\\.name|[a-z.]{0,4})=[ -~é]{0,9}[,;%]){0,9}") {
        let _ = parse(&[&line]);
    }

    #[test]
    fn names_survive(names in proptest::array::uniform7("[^\\p{Cc}]{0,60}")) {
        let [cluster_id, namespace, workload_name, canonical_name, canonical_revision, region, zone] =
            names.map(Name::from);
        let baggage = Baggage {
            cluster_id, namespace, workload_name, canonical_name, canonical_revision, region, zone,
            workload_type: WorkloadType::Deployment,
        };
        let header = baggage.encode();
        prop_assert!(header.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert_eq!(parse(&[&header]), baggage);
    }
}
