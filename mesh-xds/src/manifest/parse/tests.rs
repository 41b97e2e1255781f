//! Tests of telling objects apart: documents, lists, keys.

use super::parse;

fn keys(text: &str) -> Vec<String> {
    let documents = parse(text, "f").unwrap();
    documents.iter().map(|d| d.key().to_string()).collect()
}

#[test]
fn objects_come_from_documents_and_lists() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("nothing", "# only a comment\n", &[]),
        (
            "documents",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\n---\n\
             apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: b}\n",
            &["Pod shop/a", "ServiceEntry.networking.istio.io default/b"],
        ),
        (
            "what kubectl prints of several kinds",
            "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n\
             - apiVersion: v1\n  kind: Namespace\n  metadata: {name: shop}\nkind: List\n\
             metadata:\n  resourceVersion: \"\"\n",
            &["Pod default/a", "Namespace shop"],
        ),
        (
            "the list of one kind, as the API server gives it",
            "{\"kind\": \"PodList\", \"apiVersion\": \"v1\", \"items\": [{\"metadata\": {\"name\": \"a\"}}]}",
            &["Pod default/a"],
        ),
        (
            "an empty list",
            "apiVersion: v1\nkind: List\nitems: []\n",
            &[],
        ),
        (
            "kinds without namespaces",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, namespace: wrong}\n",
            &["Namespace shop"],
        ),
    ];
    for (name, text, expected) in cases {
        assert_eq!(keys(text), *expected, "{name}");
    }
}

#[test]
fn a_text_that_does_not_say_which_objects_it_has_is_refused() {
    let cases = [
        (
            "kind: Pod\nmetadata: {name: a}\n",
            "f:1:1: apiVersion: missing",
        ),
        (
            "apiVersion: v1\nmetadata: {name: a}\n",
            "f:1:1: kind: missing",
        ),
        (
            "apiVersion: v1\nkind: Pod\n",
            "f:1:1: metadata.name: missing",
        ),
        (
            "apiVersion: 1\nkind: Pod\n",
            "f:1:13: apiVersion: expected a text, got the number 1",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: 7\n",
            "f:4:9: metadata.name: expected a text, got the number 7; quote it",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n    a: true\n",
            "f:6:8: metadata.labels.a: expected a text, got the truth value true; quote it",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: 5\n",
            "f:3:11: metadata: expected",
        ),
        ("- a\n", "f:1:1: expected an object"),
        (
            "apiVersion: v1\nkind: List\nitems:\n- kind: Pod\n",
            "f:4:3: items[0].apiVersion: missing",
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: []}\n",
            "f:4:3: items[0]: expected an object, got a list",
        ),
    ];
    for (text, expected) in cases {
        let problem = parse(text, "f").map(|_| ()).unwrap_err().to_string();
        assert!(problem.starts_with(expected), "{text}: {problem}");
    }
}

#[test]
fn problems_within_a_list_have_the_path_within_the_file() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  \
                metadata: {name: a}\n  spec:\n    nodeName: [n]\n";
    let documents = parse(text, "f").unwrap();
    let problem = documents[0].problem("spec.nodeName[0]", "no");
    assert_eq!(problem.to_string(), "f:8:16: items[0].spec.nodeName[0]: no");
    assert_eq!(documents[0].place().line, 4);
}
