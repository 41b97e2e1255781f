//! Laws of decisions that need no second opinion (section 8.5), held by the plain evaluator, and by
//! whatever agrees with it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::cases::{Question, Word, policy};
use crate::evaluator::{Profile, View, decide};
use crate::random::{policies, question};

/// `MESH_AUTHZ_CASES` times, 256 by default. What fails is made smaller, unless `MESH_AUTHZ_AS_FOUND` is set.
pub(crate) fn check<T: std::fmt::Debug>(
    of: impl Strategy<Value = T>,
    holds: impl Fn(T) -> Result<(), TestCaseError>,
) {
    let cases = std::env::var("MESH_AUTHZ_CASES").map_or(256, |cases| cases.parse().unwrap());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: if std::env::var_os("MESH_AUTHZ_AS_FOUND").is_some() {
            0
        } else {
            20_000
        },
        max_local_rejects: u32::MAX,
        max_global_rejects: u32::MAX,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&of, holds)
        .unwrap_or_else(|error| panic!("{error}"));
}

fn word(question: &Question) -> Word {
    let Question {
        mesh,
        policies,
        target,
        view,
        conn,
        req,
    } = question;
    let req = matches!(view, View::Request).then_some(req);
    Word::of(&decide(mesh, policies, target, *view, conn, req).verdict)
}

fn with(question: &Question, policies: Vec<Value>) -> Question {
    Question {
        policies,
        ..question.clone()
    }
}

/// The question with one more policy of namespace `app`, for all that is there.
fn and(question: &Question, written: &Value) -> Question {
    let mut policies = question.policies.clone();
    let mut added = policy(written, 99);
    if question.target.waypoint {
        added["spec"]["targetRefs"] = serde_json::json!([{"kind": "Service", "name": "web"}]);
    }
    policies.push(added);
    with(question, policies)
}

#[test]
fn p2_a_deny_more_never_allows_more() {
    check((question(), policies(3)), |(question, more)| {
        for mut one in more {
            one["spec"]["action"] = "DENY".into();
            one["metadata"]["name"] = "more".into();
            if one["spec"]["rules"].is_null() {
                continue;
            }
            let mut all = question.policies.clone();
            all.push(one);
            let (before, after) = (word(&question), word(&with(&question, all)));
            prop_assert!(before != Word::Deny || after == Word::Deny);
        }
        Ok(())
    });
}

#[test]
fn p4_the_first_allow_never_allows_more() {
    check(question(), |question| {
        let without: Vec<Value> = question
            .policies
            .iter()
            .filter(|one| one["spec"]["action"] != "ALLOW")
            .cloned()
            .collect();
        let (none, some) = (word(&with(&question, without)), word(&question));
        prop_assert!(none != Word::Deny || some == Word::Deny);
        Ok(())
    });
}

#[test]
fn p3_one_allow_rule_more_never_denies_more_where_there_is_one() {
    check(question(), |question| {
        let base = and(
            &question,
            &serde_json::json!({"rules": [{"to": [{"operation": {"ports": ["443"]}}]}]}),
        );
        let more = and(
            &base,
            &serde_json::json!({"name": "q", "rules": [{"to": [{"operation": {"ports": ["80"]}}]}]}),
        );
        prop_assert!(word(&base) != Word::Allow || word(&more) == Word::Allow);
        Ok(())
    });
}

#[test]
fn p6_order_and_copies_do_not_count() {
    check(question(), |question| {
        let mut turned: Vec<Value> = question.policies.iter().rev().cloned().collect();
        for one in &mut turned {
            if let Some(rules) = one["spec"]["rules"].as_array_mut() {
                rules.reverse();
                rules.extend(rules.clone());
            }
        }
        let copies = turned.clone().into_iter().map(|mut one| {
            one["metadata"]["name"] =
                format!("{}-copy", one["metadata"]["name"].as_str().unwrap()).into();
            one
        });
        let all = turned.iter().cloned().chain(copies).collect();
        prop_assert_eq!(word(&question), word(&with(&question, all)));
        Ok(())
    });
}

#[test]
fn p7_dry_run_and_audit_do_not_count() {
    check(question(), |question| {
        let enforced = question.policies.iter().filter(|one| {
            one["spec"]["action"] != "AUDIT" && one["metadata"]["annotations"].is_null()
        });
        let enforced = enforced.cloned().collect();
        prop_assert_eq!(word(&question), word(&with(&question, enforced)));
        Ok(())
    });
}

#[test]
fn strict_never_allows_what_compat_denies() {
    check(question(), |mut question| {
        prop_assume!(question.view != View::Ztunnel);
        question.mesh.profile = Profile::Compat;
        let compat = word(&question);
        question.mesh.profile = Profile::Strict;
        prop_assert!(compat != Word::Deny || word(&question) == Word::Deny);
        Ok(())
    });
}

#[test]
fn a_connection_that_is_decided_stays_so_for_every_request() {
    check(question(), |mut question| {
        question.view = View::Connection;
        let connection = word(&question);
        question.view = View::Request;
        prop_assert!(connection == Word::Undecided || connection == word(&question));
        Ok(())
    });
}

#[test]
fn p9_strict_denies_at_l4_what_is_denied_with_everything_known() {
    check(question(), |mut question| {
        question.mesh.profile = Profile::Strict;
        question.view = View::Request;
        let full = word(&question);
        question.view = View::Ztunnel;
        let projected = word(&question);
        // What ALLOW alone denies may depend on the request; what DENY denies may not get lost.
        question.view = View::Request;
        question
            .policies
            .retain(|one| one["spec"]["action"] == "DENY");
        let by_deny = word(&question);
        prop_assert!(by_deny != Word::Deny || projected == Word::Deny, "{full:?}");
        Ok(())
    });
}

#[test]
fn p16_an_alias_is_the_same_trust_domain() {
    let whole = || {
        let text = "(td|old|cluster\\.local|other)/ns/(a|shop)/sa/(a|ab)";
        vec(text.prop_map(Value::from), 1..3).prop_map(Value::from)
    };
    let policy = (
        whole(),
        whole(),
        any::<bool>(),
        select(&["ALLOW", "DENY"][..]),
    );
    check(
        (question(), policy),
        |(mut question, (fits, excluded, when, action))| {
            let rule = if when {
                serde_json::json!({"when": [{"key": "source.principal", "values": fits, "notValues": excluded}]})
            } else {
                serde_json::json!({"from": [{"source": {"principals": fits, "notPrincipals": excluded}}]})
            };
            question.policies.clear();
            let mut question = and(
                &question,
                &serde_json::json!({"action": action, "rules": [rule]}),
            );
            question.mesh.trust_domains = vec!["td".to_owned(), "old".to_owned()];
            for account in ["ns/shop/sa/a", "ns/a/sa/ab"] {
                question.conn.identity = Some(format!("td/{account}"));
                let own = word(&question);
                question.conn.identity = Some(format!("old/{account}"));
                prop_assert_eq!(own, word(&question));
            }
            Ok(())
        },
    );
}

#[test]
fn p19_case_counts_in_methods_and_paths_and_not_in_hosts_and_names_of_headers() {
    check(question(), |mut question| {
        question.view = View::Request;
        let all = serde_json::to_string(&question.policies).unwrap();
        // As a header the authority is a text like others.
        prop_assume!(!all.contains(":authority"));
        let before = word(&question);
        question.req.host = question.req.host.to_ascii_uppercase();
        for (name, _) in &mut question.req.headers {
            *name = name.to_ascii_uppercase();
        }
        prop_assert_eq!(before, word(&question));
        Ok(())
    });
}
