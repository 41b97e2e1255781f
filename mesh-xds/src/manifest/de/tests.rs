//! Tests of reading types: what is accepted, and where problems are.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::manifest::parse;
use crate::manifest::unread::Unread;

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    text: String,
    port: u16,
    flag: Option<bool>,
    list: Vec<Inner>,
    map: BTreeMap<String, String>,
    ports: BTreeMap<u16, Mode>,
    mode: Option<Mode>,
    rest: Unread,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Inner {
    name: String,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum Mode {
    Strict,
    Disable,
}

fn read(spec: &str) -> Result<(Spec, Vec<String>), String> {
    let text = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n{spec}");
    let documents = parse(&text, "f").unwrap();
    let read = documents[0].read_field::<Spec>("spec");
    read.map(|read| {
        let unknown = read.unknown.iter().map(ToString::to_string);
        (read.value, unknown.collect())
    })
    .map_err(|problem| problem.to_string())
}

#[test]
fn each_value_is_read_as_its_type() {
    let (spec, unknown) = read(
        "  text: 'yes'\n  port: 0x50\n  flag: on\n  list: [{name: a}]\n  map: {a: b}\n  \
         ports: {8080: STRICT}\n  mode: DISABLE\n  rest: {any: [thing]}\n",
    )
    .unwrap();
    assert_eq!(
        spec,
        Spec {
            text: "yes".to_owned(),
            port: 80,
            flag: Some(true),
            list: vec![Inner {
                name: "a".to_owned()
            }],
            map: [("a".to_owned(), "b".to_owned())].into(),
            ports: [(8080, Mode::Strict)].into(),
            mode: Some(Mode::Disable),
            rest: Unread,
        }
    );
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_null_field_counts_as_absent_and_a_null_entry_of_a_map_does_not() {
    let (spec, unknown) = read("  text: null\n  list: ~\n  mode:\n  nonsense: null\n").unwrap();
    assert_eq!(spec, Spec::default());
    assert!(unknown.is_empty());
    // A label that vanished would make a selector wider.
    let problem = read("  map: {a: null}\n").unwrap_err();
    assert_eq!(problem, "f:5:12: spec.map.a: expected a text, got nothing");
}

#[test]
fn problems_have_place_and_field() {
    let cases = [
        (
            "  text: 8080\n",
            "f:5:9: spec.text: expected a text, got the number 8080; quote it",
        ),
        (
            "  text: yes\n",
            "f:5:9: spec.text: expected a text, got `yes`, the truth value true; quote it",
        ),
        (
            "  port: '80'\n",
            "f:5:9: spec.port: expected a whole number, got `80`",
        ),
        (
            "  port: 70000\n",
            "f:5:9: spec.port: invalid value: integer `70000`, expected u16",
        ),
        (
            "  port: 1.5\n",
            "f:5:9: spec.port: expected a whole number, got the number 1.5",
        ),
        (
            "  flag: 'true'\n",
            "f:5:9: spec.flag: expected true or false, got `true`",
        ),
        (
            "  list: {}\n",
            "f:5:9: spec.list: expected a list, got a map",
        ),
        (
            "  list:\n  - name: a\n  - a\n",
            "f:7:5: spec.list[1]: expected a map, got `a`",
        ),
        (
            "  list:\n  - {}\n",
            "f:6:5: spec.list[0]: missing field `name`",
        ),
        (
            "  list:\n  - name: a\n    nmae: b\n",
            "f:7:5: spec.list[0].nmae: unknown field `nmae`, expected `name`",
        ),
        (
            "  mode: LAX\n",
            "f:5:9: spec.mode: unknown variant `LAX`, expected `STRICT` or `DISABLE`",
        ),
        (
            "  map: {a: {}}\n",
            "f:5:12: spec.map.a: expected a text, got a map",
        ),
        (
            "  ports: {x: STRICT}\n",
            "f:5:11: spec.ports.x: invalid type: string \"x\", expected u16",
        ),
        ("  7\n", "f:5:3: spec: expected a map, got the number 7"),
    ];
    for (spec, expected) in cases {
        assert_eq!(read(spec).unwrap_err(), expected, "{spec}");
    }
}

#[test]
fn what_no_type_asks_for_is_told() {
    let (_, unknown) = read("  txet: a\n  deep: {er: 1}\n").unwrap();
    assert_eq!(
        unknown,
        [
            "f:5:9: spec.txet: unknown field",
            "f:6:9: spec.deep: unknown field"
        ]
    );
}
