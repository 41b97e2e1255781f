use mesh_core::name::Name;
use serde_json::{Value, json};

use super::{ClaimPath, InvalidClaimPath, SpaceDelimited, VerifiedClaims};

fn claims(value: Value) -> VerifiedClaims {
    claims_with(value, SpaceDelimited::default())
}

fn claims_with(value: Value, lists: SpaceDelimited) -> VerifiedClaims {
    let Value::Object(map) = value else {
        panic!("claims are an object")
    };
    VerifiedClaims::assume_verified_with(map, lists)
}

fn texts(claims: &VerifiedClaims, path: &[&str]) -> Vec<String> {
    let path: Vec<Name> = path.iter().map(|&name| Name::from(name)).collect();
    claims.strings(&path).map(str::to_owned).collect()
}

/// Spec 1.7.4.
#[test]
fn only_strings_and_strings_of_lists_are_texts_of_a_claim() {
    let claims = claims(json!({
        "string": "a", "empty": "", "list": ["a", 1, true, null, ["nested"], {"b": "c"}, "d"],
        "number": 7, "boolean": true, "null": null, "object": {"inner": "deep"},
    }));
    let cases: [(&str, &[&str], &[&str]); 11] = [
        ("a string", &["string"], &["a"]),
        ("an empty string", &["empty"], &[""]),
        ("the strings of a list", &["list"], &["a", "d"]),
        ("a number", &["number"], &[]),
        ("a boolean", &["boolean"], &[]),
        ("null", &["null"], &[]),
        ("an object", &["object"], &[]),
        ("a string in an object", &["object", "inner"], &["deep"]),
        ("a name below a string", &["string", "inner"], &[]),
        ("a claim that is not there", &["other"], &[]),
        ("no path", &[], &[]),
    ];
    for (name, path, expected) in cases {
        assert_eq!(texts(&claims, path), expected, "{name}");
    }
}

/// Spec 1.7.5 and 3.5.2.
#[test]
fn space_delimited_claims_are_split_on_single_spaces_only() {
    let lists = SpaceDelimited::with([Name::from("roles"), Name::from("a.b")]);
    let claims = claims_with(
        json!({
            "scope": "read write", "permission": " a  b ", "roles": "admin user",
            "a.b": "x y", "other": "not split", "nested": {"scope": "read write"},
            "tab": "a\tb",
        }),
        lists,
    );
    let cases: [(&str, &[&str], &[&str]); 6] = [
        ("scope always", &["scope"], &["read", "write"]),
        ("no word is empty", &["permission"], &["a", "b"]),
        ("a name of the rule", &["roles"], &["admin", "user"]),
        ("a name with a dot", &["a.b"], &["x", "y"]),
        ("any other claim", &["other"], &["not split"]),
        (
            "a nested claim of the same name",
            &["nested", "scope"],
            &["read write"],
        ),
    ];
    for (name, path, expected) in cases {
        assert_eq!(texts(&claims, path), expected, "{name}");
    }
    let tabs = claims_with(json!({"scope": "a\tb"}), SpaceDelimited::default());
    assert_eq!(
        texts(&tabs, &["scope"]),
        ["a\tb"],
        "a tabulator separates nothing"
    );
    let listed = claims_with(json!({"scope": ["a b", "c"]}), SpaceDelimited::default());
    assert_eq!(
        texts(&listed, &["scope"]),
        ["a b", "c"],
        "a list stays as it is"
    );
}

#[test]
fn issuer_and_subject_are_strings_or_nothing() {
    let good = claims(json!({"iss": "i", "sub": "s", "aud": ["a", "b"], "azp": "p"}));
    assert_eq!((good.issuer(), good.subject()), (Some("i"), Some("s")));
    assert_eq!(good.audiences().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(good.presenters().collect::<Vec<_>>(), ["p"]);
    let odd = claims(json!({"iss": ["i"], "sub": 7}));
    assert_eq!((odd.issuer(), odd.subject()), (None, None));
}

#[test]
fn values_do_not_show_in_debug() {
    let text = format!("{:?}", claims(json!({"email": "someone@example.com"})));
    assert!(
        text.contains("email") && !text.contains("someone"),
        "{text}"
    );
}

/// Spec 1.7.3.
#[test]
fn condition_keys_are_read_as_istio_reads_them() {
    let cases: [(&str, Result<&[&str], InvalidClaimPath>); 12] = [
        ("request.auth.claims[a]", Ok(&["a"])),
        ("request.auth.claims[a][b][c]", Ok(&["a", "b", "c"])),
        ("request.auth.claims[foo.com/name]", Ok(&["foo.com/name"])),
        ("request.auth.claims[[foo.com/name]", Ok(&["[foo.com/name"])),
        ("request.auth.claims[a[b]]", Ok(&["a[b]"])),
        ("request.auth.claims[a]x[b]", Ok(&["a]x[b"])),
        ("request.auth.claims", Err(InvalidClaimPath::Shape)),
        ("request.auth.claims[]", Err(InvalidClaimPath::EmptyName)),
        ("request.auth.claims[a][]", Err(InvalidClaimPath::EmptyName)),
        ("request.auth.claims[a", Err(InvalidClaimPath::Shape)),
        ("request.auth.claims.a", Err(InvalidClaimPath::Shape)),
        ("request.headers[a]", Err(InvalidClaimPath::Key)),
    ];
    for (key, expected) in cases {
        let path = ClaimPath::from_condition_key(key);
        let names = path
            .as_ref()
            .map(|path| path.names().iter().map(Name::as_str).collect());
        assert_eq!(
            names,
            expected.as_ref().map(|names| names.to_vec()),
            "{key}"
        );
    }
}

/// Spec 3.6.1.
#[test]
fn route_keys_name_claims_by_dots_or_brackets() {
    type Expected = Result<Option<&'static [&'static str]>, InvalidClaimPath>;
    let cases: [(&str, Expected); 13] = [
        ("@request.auth.claims.a", Ok(Some(&["a"]))),
        ("@request.auth.claims.a.b", Ok(Some(&["a", "b"]))),
        ("@Request.Auth.Claims.A", Ok(Some(&["A"]))),
        ("@request.auth.claims[a][b]", Ok(Some(&["a", "b"]))),
        ("@request.auth.claims[a][b.c]", Ok(Some(&["a", "b.c"]))),
        (
            "@request.auth.claims[test.com/group]",
            Ok(Some(&["test.com/group"])),
        ),
        ("x-request.auth.claims.a", Ok(None)),
        ("@request.auth", Ok(None)),
        ("@request.auth.claims", Err(InvalidClaimPath::Shape)),
        ("@request.auth.claims.", Err(InvalidClaimPath::EmptyName)),
        (
            "@request.auth.claims.a..b",
            Err(InvalidClaimPath::EmptyName),
        ),
        ("@request.auth.claims[]", Err(InvalidClaimPath::EmptyName)),
        ("@request.auth.claims-a", Err(InvalidClaimPath::Shape)),
    ];
    for (key, expected) in cases {
        let path = ClaimPath::from_route_key(key);
        let names: Result<Option<Vec<&str>>, _> = path.as_ref().map(|path| {
            path.as_ref()
                .map(|path| path.names().iter().map(Name::as_str).collect())
        });
        assert_eq!(
            names,
            expected.as_ref().map(|names| names.map(<[_]>::to_vec)),
            "{key}"
        );
    }
}

#[test]
fn paths_are_bounded() {
    let deep = format!("request.auth.claims{}", "[a]".repeat(33));
    assert_eq!(
        ClaimPath::from_condition_key(&deep),
        Err(InvalidClaimPath::TooLong)
    );
    let long = format!("@request.auth.claims.{}", "a".repeat(2048));
    assert_eq!(
        ClaimPath::from_route_key(&long),
        Err(InvalidClaimPath::TooLong)
    );
}

/// Spec 3.6.2.
#[test]
fn a_route_matches_any_text_of_its_claim() {
    let claims = claims(json!({"groups": ["a", "b"], "name": "n"}));
    let path = |key: &str| ClaimPath::from_route_key(key).unwrap().unwrap();
    assert!(path("@request.auth.claims.groups").any(&claims, |text| text == "b"));
    assert!(!path("@request.auth.claims.groups").any(&claims, |text| text == "c"));
    assert!(path("@request.auth.claims[name]").any(&claims, |text| text.starts_with('n')));
    assert!(!path("@request.auth.claims.other").any(&claims, |_| true));
}
