//! Every field of a match: positive, negative, both, several values, without identity.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use mesh_authz::Connection;
use mesh_authz::plain::PlainVerdict::{Allow, DenyExplicit};
use mesh_authz::spec::{Action, MatchSpec, Scope};
use mesh_core::identity::SpiffeId;
use support::{account, decide, id, policy, texts, workload};

/// Whether a match matches, alone in a DENY policy; the same beside 40 others of the same shape
/// that do not, so that it is found through the index, and beside enough that all exclude.
fn matches(one: &MatchSpec, connection: &Connection<'_>) -> bool {
    let deny =
        |key: &str, one: &MatchSpec| policy(key, Scope::Namespace, Action::Deny, one.clone());
    let alone = decide(&[deny("shop/p", one)], &workload(&[]), connection);
    assert!(matches!(alone, Allow | DenyExplicit));
    let mut many = vec![deny("shop/p", one)];
    for at in 0..40 {
        let mut other = one.clone();
        other.destination_ports = vec![9000 + at];
        other.not_destination_ports.clear();
        many.push(deny(&format!("shop/port{at}"), &other));
        let mut other = one.clone();
        other
            .not_destination_ports
            .push(connection.destination.port());
        many.push(deny(&format!("shop/excluded{at}"), &other));
    }
    assert_eq!(decide(&many, &workload(&[]), connection), alone);
    alone == DenyExplicit
}

struct Case<'a> {
    one: MatchSpec,
    /// cart in shop, job in batch, nobody.
    expected: [bool; 3],
    name: &'a str,
}

#[test]
fn fields_of_the_identity() {
    let m = MatchSpec::default;
    let cases = [
        Case {
            name: "namespace exact",
            one: MatchSpec {
                namespaces: texts(&["shop"]),
                ..m()
            },
            expected: [true, false, false],
        },
        Case {
            name: "namespace prefix",
            one: MatchSpec {
                namespaces: texts(&["sh*"]),
                ..m()
            },
            expected: [true, false, false],
        },
        Case {
            name: "namespace suffix",
            one: MatchSpec {
                namespaces: texts(&["*ch"]),
                ..m()
            },
            expected: [false, true, false],
        },
        Case {
            name: "namespace presence",
            one: MatchSpec {
                namespaces: texts(&["*"]),
                ..m()
            },
            expected: [true, true, false],
        },
        Case {
            name: "several namespaces",
            one: MatchSpec {
                namespaces: texts(&["x", "ba*", "shop"]),
                ..m()
            },
            expected: [true, true, false],
        },
        Case {
            name: "not namespace",
            one: MatchSpec {
                not_namespaces: texts(&["shop"]),
                ..m()
            },
            expected: [false, true, true],
        },
        Case {
            name: "not several namespaces",
            one: MatchSpec {
                not_namespaces: texts(&["shop", "batch"]),
                ..m()
            },
            expected: [false, false, true],
        },
        Case {
            name: "not any namespace",
            one: MatchSpec {
                not_namespaces: texts(&["*"]),
                ..m()
            },
            expected: [false, false, true],
        },
        Case {
            name: "namespace both",
            one: MatchSpec {
                namespaces: texts(&["*"]),
                not_namespaces: texts(&["*op"]),
                ..m()
            },
            expected: [false, true, false],
        },
        Case {
            name: "principal exact",
            one: MatchSpec {
                principals: texts(&["cluster.local/ns/shop/sa/cart"]),
                ..m()
            },
            expected: [true, false, false],
        },
        Case {
            name: "principal with scheme",
            one: MatchSpec {
                principals: texts(&["spiffe://cluster.local/ns/shop/sa/cart"]),
                ..m()
            },
            expected: [false, false, false],
        },
        Case {
            name: "principal prefix",
            one: MatchSpec {
                principals: texts(&["cluster.local/ns/ba*"]),
                ..m()
            },
            expected: [false, true, false],
        },
        Case {
            name: "principal suffix",
            one: MatchSpec {
                principals: texts(&["*/sa/cart"]),
                ..m()
            },
            expected: [true, false, false],
        },
        Case {
            name: "principal presence",
            one: MatchSpec {
                principals: texts(&["*"]),
                ..m()
            },
            expected: [true, true, false],
        },
        Case {
            name: "several principals",
            one: MatchSpec {
                principals: texts(&["x*", "*/job", "*/cart"]),
                ..m()
            },
            expected: [true, true, false],
        },
        Case {
            name: "not principal",
            one: MatchSpec {
                not_principals: texts(&["*/sa/cart"]),
                ..m()
            },
            expected: [false, true, true],
        },
        Case {
            name: "not any principal",
            one: MatchSpec {
                not_principals: texts(&["*"]),
                ..m()
            },
            expected: [false, false, true],
        },
        Case {
            name: "not several principals",
            one: MatchSpec {
                not_principals: texts(&["*/job", "nobody"]),
                ..m()
            },
            expected: [true, false, true],
        },
        Case {
            name: "principal both",
            one: MatchSpec {
                principals: texts(&["*"]),
                not_principals: texts(&["*/job"]),
                ..m()
            },
            expected: [true, false, false],
        },
        Case {
            name: "account",
            one: MatchSpec {
                service_accounts: vec![account("shop/cart")],
                ..m()
            },
            expected: [true, false, false],
        },
        Case {
            name: "account of another namespace",
            one: MatchSpec {
                service_accounts: vec![account("batch/cart")],
                ..m()
            },
            expected: [false, false, false],
        },
        Case {
            name: "several accounts",
            one: MatchSpec {
                service_accounts: vec![account("batch/job"), account("shop/cart")],
                ..m()
            },
            expected: [true, true, false],
        },
        Case {
            name: "not account",
            one: MatchSpec {
                not_service_accounts: vec![account("shop/cart")],
                ..m()
            },
            expected: [false, true, true],
        },
        Case {
            name: "not several accounts",
            one: MatchSpec {
                not_service_accounts: vec![account("shop/cart"), account("batch/job")],
                ..m()
            },
            expected: [false, false, true],
        },
        Case {
            name: "account both",
            one: MatchSpec {
                service_accounts: vec![account("shop/cart")],
                not_service_accounts: vec![account("shop/cart")],
                ..m()
            },
            expected: [false, false, false],
        },
    ];
    let (cart, job) = (id("shop", "cart"), id("batch", "job"));
    for Case {
        name,
        one,
        expected,
    } in cases
    {
        let found =
            [Some(&cart), Some(&job), None].map(|identity| matches(&one, &support::from(identity)));
        assert_eq!(found, expected, "{name}");
    }
}

/// The trust domain is part of a principal and of nothing else.
#[test]
fn only_principals_see_the_trust_domain() {
    let other: SpiffeId = "spiffe://other/ns/shop/sa/cart".parse().unwrap();
    let connection = support::from(Some(&other));
    let m = MatchSpec::default;
    for (one, expected) in [
        (
            MatchSpec {
                service_accounts: vec![account("shop/cart")],
                ..m()
            },
            true,
        ),
        (
            MatchSpec {
                namespaces: texts(&["shop"]),
                ..m()
            },
            true,
        ),
        (
            MatchSpec {
                principals: texts(&["cluster.local/ns/shop/sa/cart"]),
                ..m()
            },
            false,
        ),
        (
            MatchSpec {
                principals: texts(&["other/ns/shop/sa/cart"]),
                ..m()
            },
            true,
        ),
        (
            MatchSpec {
                principals: texts(&["other/*"]),
                ..m()
            },
            true,
        ),
    ] {
        assert_eq!(matches(&one, &connection), expected, "{one:?}");
    }
}

#[test]
fn fields_of_addresses_and_ports() {
    let ranges = |ranges: &[&str]| -> Vec<ipnet::IpNet> {
        ranges.iter().map(|r| r.parse().unwrap()).collect()
    };
    let m = MatchSpec::default;
    let source = |r: &[&str]| MatchSpec {
        source_ips: ranges(r),
        ..m()
    };
    let not_source = |r: &[&str]| MatchSpec {
        not_source_ips: ranges(r),
        ..m()
    };
    let destination = |r: &[&str]| MatchSpec {
        destination_ips: ranges(r),
        ..m()
    };
    let not_destination = |r: &[&str]| MatchSpec {
        not_destination_ips: ranges(r),
        ..m()
    };
    let v4 = ("10.0.0.1", "10.9.0.2:80");
    let v6 = ("fd00::1", "[fd00::2]:80");
    let mapped = ("::ffff:10.0.0.1", "[::ffff:10.9.0.2]:80");
    let cases = [
        ("source address", source(&["10.0.0.1/32"]), v4, true),
        ("source range", source(&["10.0.0.0/24"]), v4, true),
        (
            "source range with host bits",
            source(&["10.0.0.77/24"]),
            v4,
            true,
        ),
        ("source elsewhere", source(&["10.0.1.0/24"]), v4, false),
        (
            "several sources",
            source(&["192.168.0.0/16", "10.0.0.0/8"]),
            v4,
            true,
        ),
        (
            "adjacent sources",
            source(&["10.0.0.0/32", "10.0.0.1/32"]),
            v4,
            true,
        ),
        (
            "nested sources",
            source(&["10.0.0.0/8", "10.0.0.0/30"]),
            v4,
            true,
        ),
        ("every source", source(&["0.0.0.0/0"]), v4, true),
        ("other family", source(&["::/0"]), v4, false),
        ("source of version 6", source(&["fd00::/64"]), v6, true),
        (
            "source of version 6 elsewhere",
            source(&["fd01::/64"]),
            v6,
            false,
        ),
        ("not source", not_source(&["10.0.0.0/24"]), v4, false),
        (
            "not source elsewhere",
            not_source(&["10.0.1.0/24"]),
            v4,
            true,
        ),
        (
            "not several sources",
            not_source(&["10.1.0.0/16", "10.0.0.0/16"]),
            v4,
            false,
        ),
        (
            "source both",
            MatchSpec {
                not_source_ips: ranges(&["10.0.0.1/32"]),
                ..source(&["10.0.0.0/8"])
            },
            v4,
            false,
        ),
        (
            "source both elsewhere",
            MatchSpec {
                not_source_ips: ranges(&["10.0.0.7/32"]),
                ..source(&["10.0.0.0/8"])
            },
            v4,
            true,
        ),
        ("mapped connection", source(&["10.0.0.0/8"]), mapped, true),
        ("mapped range", source(&["::ffff:10.0.0.0/104"]), v4, true),
        (
            "mapped both",
            source(&["::ffff:10.0.0.0/104"]),
            mapped,
            true,
        ),
        ("destination", destination(&["10.9.0.0/16"]), v4, true),
        (
            "destination elsewhere",
            destination(&["10.0.0.0/16"]),
            v4,
            false,
        ),
        (
            "several destinations",
            destination(&["fd00::2/128", "10.9.0.2/32"]),
            v4,
            true,
        ),
        (
            "destination of version 6",
            destination(&["fd00::2/128"]),
            v6,
            true,
        ),
        (
            "not destination",
            not_destination(&["10.9.0.2/32"]),
            v4,
            false,
        ),
        (
            "not destination elsewhere",
            not_destination(&["10.9.0.3/32"]),
            v4,
            true,
        ),
        (
            "destination both",
            MatchSpec {
                not_destination_ips: ranges(&["10.9.0.2/32"]),
                ..destination(&["10.9.0.0/16"])
            },
            v4,
            false,
        ),
        (
            "mapped destination",
            destination(&["10.9.0.0/16"]),
            mapped,
            true,
        ),
        (
            "port",
            MatchSpec {
                destination_ports: vec![80],
                ..m()
            },
            v4,
            true,
        ),
        (
            "other port",
            MatchSpec {
                destination_ports: vec![81],
                ..m()
            },
            v4,
            false,
        ),
        (
            "several ports",
            MatchSpec {
                destination_ports: vec![443, 80, 1],
                ..m()
            },
            v4,
            true,
        ),
        (
            "not port",
            MatchSpec {
                not_destination_ports: vec![80],
                ..m()
            },
            v4,
            false,
        ),
        (
            "not other ports",
            MatchSpec {
                not_destination_ports: vec![81, 82],
                ..m()
            },
            v4,
            true,
        ),
        (
            "port both",
            MatchSpec {
                destination_ports: vec![80],
                not_destination_ports: vec![80],
                ..m()
            },
            v4,
            false,
        ),
    ];
    let cart = id("shop", "cart");
    for (name, one, (source, destination), expected) in cases {
        for identity in [Some(&cart), None] {
            let connection = Connection::new(
                source.parse().unwrap(),
                identity,
                destination.parse().unwrap(),
            );
            assert_eq!(matches(&one, &connection), expected, "{name}");
        }
    }
}
