use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use PathNormalization::{Base, DecodeAndMergeSlashes, MergeSlashes, None as Unchanged};

mod forms;

const MODES: [PathNormalization; 4] = [Unchanged, Base, MergeSlashes, DecodeAndMergeSlashes];

/// The normalised target, or the status of the refusal.
fn normalized(raw: &str, rules: impl Into<TargetRules>) -> String {
    match Target::normalize(raw.as_bytes(), rules) {
        Ok(target) => target.to_string(),
        Err(error) => error.status().to_string(),
    }
}

#[test]
fn each_mode_does_what_the_table_says() {
    // authz.md 1.13.3: the request, and the path with NONE, BASE, MERGE_SLASHES and
    // DECODE_AND_MERGE_SLASHES.
    let twice = "/%5Capp%2f%5c%2F..%2fadmin%5c/abc";
    for (raw, expected) in [
        (
            "/app/../admin",
            ["/app/../admin", "/admin", "/admin", "/admin"],
        ),
        ("/app//", ["/app//", "/app//", "/app/", "/app/"]),
        ("/app/%2f", ["/app/%2f", "/app/%2f", "/app/%2f", "/app/"]),
        (
            "/xyz%30..//abc",
            [
                "/xyz%30..//abc",
                "/xyz0..//abc",
                "/xyz0../abc",
                "/xyz0../abc",
            ],
        ),
        (
            "/app/%2E./admin",
            ["/app/%2E./admin", "/admin", "/admin", "/admin"],
        ),
        (
            r"/app\admin",
            [r"/app\admin", "/app/admin", "/app/admin", "/app/admin"],
        ),
        (
            r"/app/\/\/\admin",
            [
                r"/app/\/\/\admin",
                "/app//////admin",
                "/app/admin",
                "/app/admin",
            ],
        ),
        (
            "/%2Fapp%5cadmin%5Cabc",
            [
                "/%2Fapp%5cadmin%5Cabc",
                "/%2Fapp%5cadmin%5Cabc",
                "/%2Fapp%5cadmin%5Cabc",
                "/app/admin/abc",
            ],
        ),
        (
            r"/%5Capp%2f%5c%2F%2e%2e%2fadmin%5c\abc",
            [
                r"/%5Capp%2f%5c%2F%2e%2e%2fadmin%5c\abc",
                twice,
                twice,
                "/app/admin/abc",
            ],
        ),
        (
            "/app//../admin",
            ["/app//../admin", "/app/admin", "/app/admin", "/app/admin"],
        ),
        ("/a/../../b", ["/a/../../b", "/b", "/b", "/b"]),
        ("/a/.", ["/a/.", "/a/", "/a/", "/a/"]),
        ("/a/..", ["/a/..", "/", "/", "/"]),
        ("/%252e%252e/admin", ["/%252e%252e/admin"; 4]),
        ("/.../admin", ["/.../admin"; 4]),
        ("/Admin", ["/Admin"; 4]),
        ("/admin;a=b", ["/admin;a=b"; 4]),
        ("/a%20b", ["/a%20b"; 4]),
        ("/a%3fb", ["/a%3fb"; 4]),
        ("/a%zz", ["/a%zz"; 4]),
        ("/a%", ["/a%"; 4]),
        ("/..;/admin", ["/..;/admin", "/admin", "/admin", "/admin"]),
        ("/zz/%2e%2e;a/y", ["/zz/%2e%2e;a/y", "/y", "/y", "/y"]),
        ("/admin%00", ["/admin%00", "400", "400", "400"]),
        ("/app#foo", ["/app"; 4]),
        ("/a b", ["400"; 4]),
        ("/a\tb", ["400"; 4]),
        ("/a\u{80}b", ["400"; 4]),
        ("/a\u{7f}b", ["400"; 4]),
        ("/a\u{1}b", ["400"; 4]),
        ("/a?b c", ["400"; 4]),
    ] {
        assert_eq!(MODES.map(|mode| normalized(raw, mode)), expected, "{raw:?}");
    }
}

#[test]
fn the_cases_of_istio_for_none_base_merge_and_decode() {
    // istio/istio tests/integration/security/normalization_test.go.
    let all = r"/%5Capp%2f%5c%2F%2e%2e%2fadmin%5c\\abc";
    for (raw, expected) in [
        ("/", ["/"; 4]),
        ("/app#foo", ["/app"; 4]),
        ("/app/", ["/app/"; 4]),
        (
            "/app/../admin",
            ["/app/../admin", "/admin", "/admin", "/admin"],
        ),
        ("/app", ["/app"; 4]),
        ("/app//", ["/app//", "/app//", "/app/", "/app/"]),
        ("/app/%2f", ["/app/%2f", "/app/%2f", "/app/%2f", "/app/"]),
        ("/app%2f/", ["/app%2f/", "/app%2f/", "/app%2f/", "/app/"]),
        (
            "/xyz%30..//abc",
            [
                "/xyz%30..//abc",
                "/xyz0..//abc",
                "/xyz0../abc",
                "/xyz0../abc",
            ],
        ),
        (
            "/app/%2E./admin",
            ["/app/%2E./admin", "/admin", "/admin", "/admin"],
        ),
        (
            r"/app\admin",
            [r"/app\admin", "/app/admin", "/app/admin", "/app/admin"],
        ),
        (
            r"/app/\/\/\admin",
            [
                r"/app/\/\/\admin",
                "/app//////admin",
                "/app/admin",
                "/app/admin",
            ],
        ),
        (
            "/%2Fapp%5cadmin%5Cabc",
            [
                "/%2Fapp%5cadmin%5Cabc",
                "/%2Fapp%5cadmin%5Cabc",
                "/%2Fapp%5cadmin%5Cabc",
                "/app/admin/abc",
            ],
        ),
        (
            all,
            [
                all,
                "/%5Capp%2f%5c%2F..%2fadmin%5c//abc",
                "/%5Capp%2f%5c%2F..%2fadmin%5c/abc",
                "/app/admin/abc",
            ],
        ),
        (
            "/app//../admin",
            ["/app//../admin", "/app/admin", "/app/admin", "/app/admin"],
        ),
        (
            "/app//../../admin",
            ["/app//../../admin", "/admin", "/admin", "/admin"],
        ),
    ] {
        assert_eq!(MODES.map(|mode| normalized(raw, mode)), expected, "{raw:?}");
    }
    assert_eq!(
        normalized("/%c0%2e%c0%2e/admin", DecodeAndMergeSlashes),
        "/%c0.%c0./admin"
    );
    assert_eq!(
        normalized("/%c0%2fadmin", DecodeAndMergeSlashes),
        "/%c0/admin"
    );
    assert_eq!(normalized("/admin%00", DecodeAndMergeSlashes), "400");
}

#[test]
fn the_cases_of_istio_that_nothing_changes() {
    // The same file has 23; the other one, `/..;/admin`, is `/admin` by the table above.
    for raw in [
        "/0x2e0x2e/admin",
        "/0x2e0x2e0x2fadmin",
        "/0x2e0x2e0x5cadmin",
        "/0x2f0x2fadmin",
        "/0x5c0x5cadmin",
        "/%25c0%25ae%25c1%259cadmin",
        "/%25c0%25ae%25c0%25ae/admin",
        "/%25c0%25afadmin",
        "/%25c1%259cadmin",
        "/%252e%252e/admin",
        "/%252e%252e%252fadmin",
        "/%c1%9cadmin",
        "/%c0%ae%c0%ae/admin",
        "/%c0%afadmin",
        "/.../admin",
        "/..../admin",
        "/;/admin",
        "/admin;a=b",
        "/admin;a=b/xyz",
        "/admin,a=b/xyz",
        "/Admin",
        "/ADMIN",
    ] {
        assert_eq!(normalized(raw, DecodeAndMergeSlashes), raw);
    }
}

#[test]
fn of_all_escapes_those_of_unreserved_characters_and_slashes_are_decoded() {
    // The 255 cases of Istio's test.
    for byte in 1..=0xff_u8 {
        let raw = format!("/admin%{byte:02x}");
        let expected = match char::from(byte) {
            '/' | '\\' => "/admin/".into(),
            c @ ('a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' | '~') => format!("/admin{c}"),
            _ => raw.clone(),
        };
        assert_eq!(normalized(&raw, DecodeAndMergeSlashes), expected);
    }
}

#[test]
fn paths_come_out_as_envoy_makes_them() {
    // 600 paths of random pieces, and what Envoy 1.40.0 made of them in each mode.
    let mut cases = 0;
    for line in include_str!("tests/envoy_1_40.tsv").lines() {
        let (raw, expected) = line.split_once('\t').unwrap();
        let ours = MODES.map(|mode| normalized(raw, mode)).join("\t");
        assert_eq!(ours, expected, "{raw}");
        cases += 1;
    }
    assert_eq!(cases, 600);
}

#[test]
fn many_slashes_alone_are_one_where_slashes_are_merged() {
    for raw in ["//", "///", "//?q"] {
        let query = raw.trim_start_matches('/');
        assert_eq!(normalized(raw, MergeSlashes), format!("/{query}"));
        assert_eq!(normalized(raw, Base), raw);
    }
    assert_eq!(normalized("/%2f%5C", DecodeAndMergeSlashes), "/");
}

#[test]
fn a_dot_segment_is_one_with_parameters_too() {
    for (raw, expected) in [
        ("/a/.;x/b", "/a/b"),
        ("/a/..;x/b", "/b"),
        ("/a/%2e;x/b", "/a/b"),
        ("/a/.%2E;x/b", "/b"),
        ("/a/%2e%2e;x", "/"),
        ("/a/b;../c", "/a/b;../c"),
        ("/a/;../c", "/a/;../c"),
        ("/a/...;x/b", "/a/...;x/b"),
        ("/a/..%3b/b", "/a/..%3b/b"),
    ] {
        for mode in [Base, MergeSlashes, DecodeAndMergeSlashes] {
            assert_eq!(normalized(raw, mode), expected, "{raw}");
        }
    }
}

#[test]
fn decoding_makes_no_new_escape() {
    for (raw, expected) in [
        ("/%%32e%%32e/admin", "/%252e%252e/admin"),
        ("/%2%46", "/%252F"),
        ("/%%32%65", "/%252e"),
        ("/%%%32e", "/%%252e"),
        ("/%%32", "/%2"),
        ("/%%32z", "/%2z"),
        ("/%%", "/%%"),
        ("/%/%41%41", "/%/AA"),
        ("/%a/../%41%41", "/AA"),
    ] {
        for mode in [Base, MergeSlashes, DecodeAndMergeSlashes] {
            assert_eq!(normalized(raw, mode), expected, "{raw}");
        }
    }
}

#[test]
fn the_query_is_never_changed_and_the_fragment_never_stays() {
    for (raw, path, query) in [
        ("/a/../b?x=%2e%2f//..\\", "/b", Some("x=%2e%2f//..\\")),
        ("/b?", "/b", Some("")),
        ("/b??", "/b", Some("?")),
        ("/b?x#y", "/b", Some("x")),
        ("/b#y?x", "/b", None),
        ("/b/.#y", "/b/", None),
        ("/b/.?#y", "/b/", Some("")),
        ("/b%3fx", "/b%3fx", None),
        ("/b%23x", "/b%23x", None),
        ("/a/..?q", "/", Some("q")),
    ] {
        let target = Target::normalize(raw.as_bytes(), Base).unwrap();
        assert_eq!((target.path(), target.query()), (path, query), "{raw}");
        let whole = query.map_or(path.to_owned(), |query| format!("{path}?{query}"));
        assert_eq!(target.as_str(), whole);
        assert_eq!(target.clone().into_owned(), target);
    }
}

#[test]
fn nothing_is_copied_when_nothing_changes() {
    for raw in [
        "/",
        "/a/b.c/d?e=f",
        "/a%20b",
        "/a/.b",
        "/a/b.",
        "/a;x/%zz?//",
        "/%c3%a4",
        "/a/b#c",
    ] {
        for mode in MODES {
            let target = Target::normalize(raw.as_bytes(), mode).unwrap();
            assert!(matches!(target.text, Cow::Borrowed(_)), "{raw} {mode:?}");
        }
    }
    // A part of what was sent is no copy either.
    let target = Target::normalize(b"/a/b/..", Base).unwrap();
    assert!(matches!(target.text, Cow::Borrowed("/a/")));
}

#[test]
fn what_is_not_a_path_is_refused() {
    for raw in [
        "",
        "a",
        "?q",
        "#f",
        "*?q",
        "**",
        "*a",
        "http://a/b",
        "\\a",
        "%2fa",
    ] {
        let refused = Target::normalize(raw.as_bytes(), Base);
        assert_eq!(refused, Err(BadTarget::Form), "{raw}");
    }
    let server = Target::normalize(b"*", Base).unwrap();
    assert!(server.is_asterisk() && server.path() == "*" && server.query().is_none());
    let bytes = Target::normalize(b"/a\xc3\xa4", Unchanged);
    assert_eq!(bytes, Err(BadTarget::Character { position: 2 }));
    assert_eq!(Target::normalize(b"/a%00", Base), Err(BadTarget::Nul));
}

#[test]
fn escaped_slashes_are_kept_refused_redirected_or_decoded() {
    let rules = |escaped_slashes| TargetRules {
        escaped_slashes,
        ..Base.into()
    };
    let location =
        |raw: &str| match Target::normalize(raw.as_bytes(), rules(EscapedSlashes::Redirect)) {
            Err(BadTarget::Redirect { location }) => location.to_string(),
            other => panic!("{other:?}"),
        };
    for (raw, decoded) in [
        ("/a%2fb", "/a/b"),
        ("/a%2Fb?q", "/a/b?q"),
        ("/a%5cb", "/a/b"),
        ("/a%5Cb", "/a/b"),
        ("/a%2f%2fb", "/a//b"),
    ] {
        assert_eq!(normalized(raw, rules(EscapedSlashes::Keep)), raw);
        let refused = Target::normalize(raw.as_bytes(), rules(EscapedSlashes::Reject));
        assert_eq!(refused, Err(BadTarget::EscapedSlash));
        assert_eq!(normalized(raw, rules(EscapedSlashes::Forward)), decoded);
        assert_eq!(location(raw), decoded);
    }
    assert_eq!(location("/a/..%2fb%2e#f"), "/b.");
    for raw in ["/a/b", "/a?x=%2f", "/a%252f", "/a%2"] {
        assert_eq!(normalized(raw, rules(EscapedSlashes::Reject)), raw);
        assert_eq!(normalized(raw, rules(EscapedSlashes::Redirect)), raw);
    }
    // Without other normalisation, only the escapes are decoded.
    let only = TargetRules {
        escaped_slashes: EscapedSlashes::Forward,
        ..Unchanged.into()
    };
    assert_eq!(normalized("/a%2f..%5Cb%2e\\//", only), "/a/..\\b%2e\\//");
}

#[test]
fn no_redirect_leads_to_another_host() {
    let rules = |from: PathNormalization| TargetRules {
        escaped_slashes: EscapedSlashes::Redirect,
        ..from.into()
    };
    for raw in ["/%2fevil.com", "/%5cevil.com", "//evil.com/%2f"] {
        assert_eq!(normalized(raw, rules(Base)), "400", "{raw}");
        assert_eq!(normalized(raw, rules(Unchanged)), "400", "{raw}");
        assert_eq!(normalized(raw, rules(MergeSlashes)), "307", "{raw}");
    }
    assert_eq!(normalized("/.%2f/evil.com", rules(Base)), "400");
}

#[test]
fn fragments_and_parameters_are_refused_where_that_is_asked_for() {
    let strict = TargetRules {
        fragment: Fragment::Reject,
        parameters: PathParameters::Reject,
        ..TargetRules::default()
    };
    for (raw, why) in [
        ("/a#", BadTarget::Fragment),
        ("/a?b#c", BadTarget::Fragment),
        ("/a;b", BadTarget::Parameters),
    ] {
        assert_eq!(Target::normalize(raw.as_bytes(), strict), Err(why));
    }
    assert_eq!(normalized("/a%23?b;c", strict), "/a%23?b;c");
}

#[test]
fn the_default_is_to_decode_and_merge() {
    assert_eq!(PathNormalization::default(), DecodeAndMergeSlashes);
    assert_eq!(TargetRules::default(), DecodeAndMergeSlashes.into());
}

/// Paths of the pieces that are read differently by different servers.
fn path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "/", ".", "..", "%2e", "%2E", "%2f", "%5C", "\\", ";", ";x", "a", "%", "2", "e",
        "%32", "%65", "%25", "%20", "%00", "{", "|", "[", "#", "?", "//",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn normalising_twice_changes_nothing_more(raw in path()) {
        for mode in MODES {
            let Ok(once) = Target::normalize(raw.as_bytes(), mode) else { continue };
            let twice = Target::normalize(once.as_str().as_bytes(), mode).unwrap();
            prop_assert_eq!(&once, &twice);
            prop_assert!(matches!(twice.text, Cow::Borrowed(_)));
        }
    }

    #[test]
    fn nothing_is_left_that_another_reader_could_resolve(raw in path()) {
        for mode in MODES {
            let Ok(target) = Target::normalize(raw.as_bytes(), mode) else { continue };
            let path = target.path();
            prop_assert!(path.starts_with('/') && !path.contains(['?', '#']));
            prop_assert!(target.as_str().bytes().all(|b| b.is_ascii_graphic()));
            if mode == Unchanged { continue }
            let dot = |s: &str| matches!(s.split(';').next(), Some("." | ".."));
            prop_assert!(!path.contains('\\') && !path.split('/').any(dot), "{}", path);
            let lower = path.to_ascii_lowercase();
            for escape in ["%00", "%2e", "%41", "%65", "%32", "%7e"] {
                prop_assert!(!lower.contains(escape), "{}", path);
            }
            if mode != Base { prop_assert!(!path.contains("//"), "{}", path) }
            if mode == DecodeAndMergeSlashes {
                prop_assert!(!lower.contains("%2f") && !lower.contains("%5c"), "{}", path);
            }
        }
    }
}
