//! Tests of reading text: YAML as kubectl reads it, and the budget.

use super::{MAX_ALIASED, MAX_DEPTH, Node, Problem};

/// All documents of a text.
pub(in crate::manifest) fn read(text: &str, file: &str) -> Result<Vec<Node>, Problem> {
    let mut documents = Vec::new();
    super::read(text, file, &mut |document| {
        documents.push(document);
        Ok(())
    })?;
    Ok(documents)
}

fn problem(text: &str) -> String {
    read(text, "f.yaml").map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_key_that_is_there_twice_is_refused_with_both_lines() {
    let problem = problem("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n");
    assert_eq!(
        problem,
        "f.yaml:5:3: expected each key once, it is at line 3 already"
    );
    // In large maps as well, where keys are looked for in another way.
    let many: String = (0..50).map(|n| format!("k{n}: 0\n")).collect();
    assert!(read(&many, "f").is_ok());
    assert!(read(&format!("{many}k3: 0\n"), "f").is_err());
}

#[test]
fn keys_that_kubectl_would_change_must_be_quoted() {
    let cases = [
        ("yes: 1", false),
        ("'yes': 1", true),
        ("8080: 1", true),
        ("010: 1", false),
        ("1.5: 1", false),
        ("null: 1", false),
        ("[a]: 1", false),
        ("2026-01-01: 1", true),
    ];
    for (text, accepted) in cases {
        assert_eq!(read(text, "f").is_ok(), accepted, "{text}");
    }
}

#[test]
fn documents_are_told_apart_and_empty_ones_left_out() {
    let text = "---\na: 1\n---\n# nothing\n---\nb: 2\n...\n---\n~\n";
    let documents = read(text, "f").unwrap();
    let lines: Vec<u64> = documents.iter().map(super::Node::line).collect();
    assert_eq!(lines, [2, 6]);
    assert!(read("", "f").unwrap().is_empty());
}

#[test]
fn json_is_read_with_its_escapes_and_tabs() {
    let text = "{\n\t\"a\": \"\\/ \\u00e4 \\ud83d\\ude00\",\n\t\"b\": [1, true, null]\n}\n";
    let documents = read(text, "f").unwrap();
    let root = &documents[0];
    assert_eq!(root.field("a").unwrap().text(), Some("/ ä \u{1f600}"));
    assert_eq!(root.field("b").unwrap().items().len(), 3);
    assert_eq!(root.field("b").unwrap().line(), 3);
}

#[test]
fn aliases_and_merges_are_resolved() {
    let text = "base: &base {a: 1, b: 2}\nmore: {<<: *base, b: 3}\nsame: *base\n";
    let documents = read(text, "f").unwrap();
    let more = documents[0].field("more").unwrap();
    let keys: Vec<&str> = more.fields().map(|(key, _)| key).collect();
    assert_eq!(keys, ["b", "a"], "what is written there wins");
    assert_eq!(documents[0].field("same").unwrap().fields().count(), 2);
    assert!(problem("a: {<<: 1}").contains("to merge"));
}

#[test]
fn aliases_that_would_fill_the_memory_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..9 {
        let last = format!("*a{}", n - 1);
        let items = [last.as_str(); 10].join(", ");
        text.push_str(&format!("a{n}: &a{n} [{items}]\n"));
    }
    assert!(problem(&text).contains(&MAX_ALIASED.to_string()));
    // An alias within what it stands for.
    assert!(read("a: &a [*a]", "f").is_err());
    // Anchors do not reach into the next document.
    assert!(read("a: &a 1\n---\nb: *a\n", "f").is_err());
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(MAX_DEPTH), "f").is_ok());
    assert!(read(&nested(MAX_DEPTH + 1), "f").is_err());
    assert!(read(&nested(100_000), "f").is_err());
    let blocks: String = (0..300).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert!(read(&blocks, "f").is_err());
}

#[test]
fn text_that_is_not_yaml_is_refused_with_its_place() {
    let cases = [
        ("a: [1,\nb: 2\n", "f.yaml:"),
        ("a: 1\n  b: 2\n", "f.yaml:2:"),
        ("a: \"\n", "f.yaml:"),
        ("a: !secret x\n", "f.yaml:1:"),
        ("a: *b\n", "f.yaml:1:"),
        ("{\"a\": ", "f.yaml:"),
    ];
    for (text, place) in cases {
        assert!(read(text, "f.yaml").is_err(), "{text:?} is accepted");
        let problem = problem(text);
        assert!(problem.starts_with(place), "{text:?}: {problem}");
    }
}
