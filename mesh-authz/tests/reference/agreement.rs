//! The product and the plain evaluator say the same about random policies and requests (P1), and
//! about random PeerAuthentications (P17).
//!
//! `MESH_AUTHZ_CASES` sets how many; 200,000 are the number of a release.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::cases::{Expected, Question, Word, usual_target};
use crate::evaluator::{Decision, Mesh, Profile, Verdict, View, decide};
use crate::laws::check;
use crate::{peers, product, random};

#[test]
fn p1_the_index_says_what_the_plain_evaluator_says() {
    let counts: [AtomicUsize; 3] = Default::default();
    check(random::question(), |question| {
        let Question {
            mesh,
            policies,
            target,
            view,
            conn,
            req,
        } = &question;
        let plain = decide(
            mesh,
            policies,
            target,
            *view,
            conn,
            matches!(view, View::Request).then_some(req),
        );
        let Some(answer) = product::ask(&question, &Expected::of(Word::Allow)) else {
            return Ok(());
        };
        let place = match view {
            View::Request => 0,
            View::Connection => 1,
            _ => 2,
        };
        counts[place].fetch_add(1, Ordering::Relaxed);
        let (said, plain) = match (answer, view) {
            (Err(why), _) => return Err(TestCaseError::fail(why)),
            // A projection has fewer rules than its policy.
            (Ok(said), View::Ztunnel) => (unnumbered(said), unnumbered(plain)),
            // A connection that is denied in the end may wait for the request.
            (Ok(said), View::Connection)
                if plain.verdict == Verdict::Deny(None) && said.verdict == Verdict::Undecided =>
            {
                return Ok(());
            }
            // Whom to ask is a question about requests, and so is what is noted.
            (Ok(said), View::Connection) => (unasked(said), unasked(plain)),
            (Ok(said), _) => (said, plain),
        };
        prop_assert_eq!(said, plain, "{}", serde_json::to_string(policies).unwrap());
        Ok(())
    });
    let [requests, connections, projected] = counts.map(AtomicUsize::into_inner);
    println!(
        "agreed about {requests} requests, {connections} connections, {projected} connections at a ztunnel"
    );
}

fn unnumbered(mut decision: Decision) -> Decision {
    if let Verdict::Allow(Some(rule)) | Verdict::Deny(Some(rule)) = &mut decision.verdict {
        rule.2 = 0;
    }
    if let Some(rule) = &mut decision.audit {
        rule.2 = 0;
    }
    decision
}

fn unasked(decision: Decision) -> Decision {
    Decision {
        providers: Vec::new(),
        ..decision
    }
}

fn mode() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"mode": "STRICT"}),
        json!({"mode": "PERMISSIVE"}),
        json!({"mode": "DISABLE"}),
        json!({"mode": "UNSET"}),
        json!({}),
    ])
}

const PORTS: [u16; 4] = [1, 80, 8080, 65535];

fn peer_authentication() -> impl Strategy<Value = Value> {
    let ports = btree_map(select(&PORTS[..]), mode(), 1..4);
    let selected = (
        select(&["web", "web", "api"][..]),
        proptest::option::of(ports),
    );
    (
        select(&["app", "app", "istio-system", "other"][..]),
        proptest::option::of(mode()),
        proptest::option::of(selected),
        proptest::option::of(1..4_u8),
    )
        .prop_map(|(namespace, mode, selected, day)| {
            let mut spec = json!({});
            if let Some(mode) = mode {
                spec["mtls"] = mode;
            }
            if let Some((app, ports)) = selected {
                spec["selector"] = json!({"matchLabels": {"app": app}});
                if let Some(ports) = ports {
                    let ports: BTreeMap<String, Value> = ports
                        .into_iter()
                        .map(|(port, mode)| (port.to_string(), mode))
                        .collect();
                    spec["portLevelMtls"] = json!(ports);
                }
            }
            let mut metadata = json!({"namespace": namespace});
            if let Some(day) = day {
                metadata["creationTimestamp"] = format!("2026-01-0{day}T00:00:00Z").into();
            }
            json!({
                "apiVersion": "security.istio.io/v1",
                "kind": "PeerAuthentication",
                "metadata": metadata,
                "spec": spec,
            })
        })
}

#[test]
fn p17_a_converted_peer_authentication_refuses_what_the_effective_modes_refuse() {
    let objects = vec(peer_authentication(), 0..7).prop_map(|mut objects| {
        for (number, object) in objects.iter_mut().enumerate() {
            object["metadata"]["name"] = format!("p{number}").into();
        }
        objects
    });
    check(objects, |objects| {
        let mesh = Mesh::new(Profile::Strict);
        let target = usual_target();
        let modes = peers::compose(&mesh, &objects, &target);
        for shape in product::SHAPES {
            let converted = product::peers(&mesh, &objects, &target, shape).unwrap();
            for port in PORTS.into_iter().chain([443]) {
                prop_assert_eq!(
                    converted.accepts(port, false),
                    modes.accepts_plaintext(port),
                    "{}",
                    port
                );
                prop_assert!(
                    converted.accepts(port, true),
                    "a peer is accepted on {}",
                    port
                );
            }
        }
        Ok(())
    });
}
