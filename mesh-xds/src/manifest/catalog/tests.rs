//! Tests of keeping objects while their files change.

use std::sync::Arc;

use super::{Catalog, Kinds};
use crate::manifest::{Document, GroupKind, Problem, State};

fn service(name: &str, port: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  ports:\n  - port: {port}\n---\n"
    )
}

fn port(catalog: &Catalog, name: &str) -> Option<u16> {
    let inventory = catalog.inventory();
    let service = inventory.services.get("default", name)?.clone();
    service.spec.ports.first().map(|port| port.port.get())
}

fn rejections(catalog: &Catalog) -> Vec<String> {
    let statuses = catalog.statuses();
    let rejections = statuses.iter().filter_map(|status| status.rejection());
    rejections.map(ToString::to_string).collect()
}

#[test]
fn an_object_with_a_mistake_keeps_its_last_good_version_and_no_other_object_notices() {
    let mut catalog = Catalog::new();
    catalog.set_file("a.yaml", &(service("one", "80") + &service("two", "80")));
    assert!(catalog.settle());
    assert!(!catalog.settle(), "nothing is new");

    catalog.set_file("a.yaml", &(service("one", "0") + &service("two", "81")));
    assert!(catalog.settle());
    assert_eq!(
        (port(&catalog, "one"), port(&catalog, "two")),
        (Some(80), Some(81))
    );
    assert_eq!(
        rejections(&catalog),
        ["a.yaml:6:11: spec.ports[0].port: expected a port from 1 to 65535, got 0"]
    );
    let statuses = catalog.statuses();
    assert!(matches!(
        statuses[0].state,
        State::Rejected {
            earlier_stays: true,
            ..
        }
    ));
    assert_eq!(statuses[1].state, State::Accepted);

    catalog.set_file("a.yaml", &(service("one", "82") + &service("two", "81")));
    catalog.settle();
    assert_eq!(port(&catalog, "one"), Some(82));
    assert!(rejections(&catalog).is_empty());
}

#[test]
fn an_object_that_says_the_same_stays_what_it_is_in_whatever_line() {
    let place = |catalog: &Catalog, name: &str| {
        let statuses = catalog.statuses();
        let status = statuses.iter().find(|one| one.key.name == *name);
        status.map(|one| one.place.to_string())
    };
    let object = |catalog: &Catalog, name: &str| {
        let inventory = catalog.inventory();
        inventory.services.get("default", name).cloned().unwrap()
    };
    let mut catalog = Catalog::new();
    catalog.set_file("a.yaml", &(service("one", "80") + &service("two", "80")));
    catalog.settle();
    let two = object(&catalog, "two");
    assert_eq!(place(&catalog, "two").as_deref(), Some("a.yaml:8:1"));

    catalog.set_file("a.yaml", &(service("one", "81") + &service("two", "80")));
    assert!(catalog.settle());
    assert!(Arc::ptr_eq(&object(&catalog, "two"), &two));
    assert_eq!(port(&catalog, "one"), Some(81));

    let moved = format!(
        "# A line.\n{}{}",
        service("one", "81"),
        service("two", "80")
    );
    catalog.set_file("a.yaml", &(moved.clone() + "}"));
    assert_eq!(place(&catalog, "two").as_deref(), Some("a.yaml:8:1"));
    catalog.set_file("a.yaml", &moved);
    assert!(!catalog.settle());
    assert!(Arc::ptr_eq(&object(&catalog, "two"), &two));
    assert_eq!(place(&catalog, "two").as_deref(), Some("a.yaml:9:1"));
    let field = two.document.place_of("spec.ports[0].port");
    assert_eq!(field.to_string(), "a.yaml:14:11: spec.ports[0].port");

    catalog.set_file("b.yaml", &service("two", "80"));
    catalog.set_file("a.yaml", &service("one", "81"));
    catalog.settle();
    assert_eq!(place(&catalog, "two").as_deref(), Some("b.yaml:1:1"));
}

#[test]
fn what_is_told_of_an_object_is_told_of_where_it_is_now() {
    let unknown = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {surprise: 1}\n";
    let wrong = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: 1}\n";
    let policy =
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\n";
    for (case, text) in [
        ("a note", unknown),
        ("a problem", wrong),
        ("a policy", policy),
    ] {
        let told = |catalog: &Catalog| {
            let status = catalog.statuses().remove(0);
            let inventory = catalog.inventory();
            let policy = inventory
                .authorization_policies
                .get("default", "a")
                .cloned();
            format!("{:?} {:?} {policy:?}", status.state, status.notes)
        };
        let mut moved = Catalog::new();
        moved.set_file("a.yaml", text);
        moved.settle();
        let mut fresh = Catalog::new();
        for catalog in [&mut moved, &mut fresh] {
            catalog.set_file("a.yaml", &format!("\n\n{text}"));
            catalog.settle();
        }
        assert_eq!(told(&moved), told(&fresh), "{case}");
    }
}

#[test]
fn a_file_that_cannot_be_read_keeps_all_its_objects() {
    let mut catalog = Catalog::new();
    catalog.set_file("a.yaml", &(service("one", "80") + &service("two", "80")));
    catalog.settle();
    let broken = [
        "}",
        "kind: Service\n",
        "apiVersion: v1\nkind: Service\nmetadata: {}\n",
        "just text",
    ];
    for text in broken {
        catalog.set_file("a.yaml", &(service("one", "90") + text));
        catalog.settle();
        assert_eq!(port(&catalog, "one"), Some(80), "{text}");
        assert_eq!(port(&catalog, "two"), Some(80), "{text}");
        assert_eq!(catalog.file_problems().len(), 1, "{text}");
    }
    catalog.set_file("a.yaml", &service("one", "90"));
    catalog.settle();
    assert_eq!(
        (port(&catalog, "one"), port(&catalog, "two")),
        (Some(90), None)
    );
    catalog.remove_file("a.yaml");
    assert!(catalog.settle());
    assert_eq!(port(&catalog, "one"), None);
}

#[test]
fn an_object_of_two_files_is_the_first_ones() {
    let mut catalog = Catalog::new();
    catalog.set_file("b.yaml", &service("one", "81"));
    catalog.set_file("a.yaml", &service("one", "80"));
    catalog.settle();
    assert_eq!(port(&catalog, "one"), Some(80));
    assert_eq!(
        rejections(&catalog),
        [
            "b.yaml:3:18: metadata.name: Service default/one is already at a.yaml:1:1, expected each \
          object once"
        ]
    );
    catalog.remove_file("a.yaml");
    catalog.settle();
    assert_eq!(port(&catalog, "one"), Some(81));
    assert!(rejections(&catalog).is_empty());
}

#[test]
fn unknown_kinds_are_ignored_except_those_of_security() {
    let mut catalog = Catalog::new();
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n---\n\
                apiVersion: security.istio.io/v1\nkind: NoSuchPolicy\nmetadata: {name: a}\n";
    catalog.set_file("a.yaml", text);
    catalog.settle();
    let states: Vec<_> = catalog.statuses().into_iter().map(|s| s.state).collect();
    assert_eq!(states[0], State::Ignored);
    assert!(matches!(
        states[1],
        State::Rejected {
            earlier_stays: false,
            ..
        }
    ));
}

#[test]
fn headers_of_known_kinds_are_checked() {
    let cases = [
        (
            "apiVersion: v2\nkind: Pod\nmetadata: {name: a}\n",
            "a:1:13: apiVersion: expected v1",
        ),
        (
            "apiVersion: networking.istio.io/v2\nkind: ServiceEntry\nmetadata: {name: a}\n",
            "a:1:13: apiVersion: expected networking.istio.io/v1 or networking.istio.io/v1beta1 or \
             networking.istio.io/v1alpha3",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: A_b}\n",
            "a:3:18: metadata.name: expected lower-case letters, digits, `-` and `.`, got `A_b`",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: a/b}\n",
            "a:3:32: metadata.namespace: expected lower-case letters, digits and `-`, got `a/b`",
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec: {}\n",
            "a:4:7: spec.hosts: missing",
        ),
        (
            "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\n\
             metadata: {name: a}\nspec:\n  from: [{kind: Gateway, namespace: n1, nmae: x}]\n  to: []\n",
            "a:5:47: spec.from[0].nmae: unknown field",
        ),
    ];
    for (text, expected) in cases {
        let mut catalog = Catalog::new();
        catalog.set_file("a", text);
        catalog.settle();
        assert_eq!(rejections(&catalog), [expected], "{text}");
    }
}

#[test]
fn unknown_fields_are_noted() {
    let mut catalog = Catalog::new();
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  prots: []\n  \
                sessionAffinity: None\n";
    catalog.set_file("a", text);
    catalog.settle();
    let statuses = catalog.statuses();
    assert_eq!(statuses[0].state, State::Accepted);
    let notes: Vec<_> = statuses[0].notes.iter().map(ToString::to_string).collect();
    assert_eq!(notes, ["a:5:10: spec.prots: unknown field"]);
}

struct UdpRoutes;

impl Kinds for UdpRoutes {
    fn reads(&self, kind: &GroupKind) -> bool {
        &*kind.kind == "UDPRoute"
    }

    fn check(&self, document: &Document) -> Result<Vec<Problem>, Problem> {
        match document.root().field("spec") {
            Some(_) => Ok(Vec::new()),
            None => Err(document.problem("spec", "missing")),
        }
    }
}

#[test]
fn kinds_of_others_keep_their_last_good_version_as_well() {
    let mut catalog = Catalog::new().with_kinds(Arc::new(UdpRoutes));
    let header = "apiVersion: gateway.networking.k8s.io/v1\nkind: UDPRoute\nmetadata: {name: r}\n";
    catalog.set_file("a", &format!("{header}spec: {{hostnames: [x]}}\n"));
    catalog.settle();
    assert_eq!(catalog.inventory().others.len(), 1);
    catalog.set_file("a", header);
    catalog.settle();
    let inventory = catalog.inventory();
    let kept = inventory.others.values().next().unwrap();
    assert!(kept.root().field("spec").is_some());
    assert_eq!(rejections(&catalog), ["a:1:1: spec: missing"]);
}
