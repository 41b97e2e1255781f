use proptest::prelude::*;

use super::*;
use InvalidTemplate::{AfterAny, Brace, Character, Empty, NoOperator, NoSlash};

#[test]
fn operators_are_whole_segments_and_literals_are_made_of_path_characters() {
    // authz.md 1.14.1.
    for valid in [
        "/{*}",
        "/{**}",
        "/a/{*}/b/{*}/c",
        "/{*}/{**}",
        "/store/{**}/cart",
        "/store/{*}/x/{**}/cart/end",
        "/a/{*}/",
        "/a/{**}/",
        "/{*}/a-._~%!$&'()+,;:@=Z9",
    ] {
        assert_eq!(
            PathTemplate::parse(valid).map(|t| t.to_string()).as_deref(),
            Ok(valid)
        );
        assert!(PathTemplate::is_template(valid), "{valid}");
    }
    for (invalid, why) in [
        ("/plain", NoOperator),
        ("/plain*", NoOperator),
        ("", NoOperator),
        ("{*}", NoSlash),
        ("{**}", NoSlash),
        ("*/{*}", NoSlash),
        ("/{a}", Brace { segment: 0 }),
        ("/a/{}", Brace { segment: 1 }),
        ("/a{*}", Brace { segment: 0 }),
        ("/{*}a", Brace { segment: 0 }),
        ("/{*", Brace { segment: 0 }),
        ("/a}/{*}", Brace { segment: 0 }),
        ("/{***}", Brace { segment: 0 }),
        ("/{*}{*}", Brace { segment: 0 }),
        ("/{ * }", Brace { segment: 0 }),
        ("/{*}/{x=*}", Brace { segment: 1 }),
        ("/{**}/{*}", AfterAny { segment: 1 }),
        ("/{**}/a/{**}", AfterAny { segment: 2 }),
        ("/a//{*}", Empty { segment: 1 }),
        ("//{*}", Empty { segment: 0 }),
        ("/{*}//", Empty { segment: 1 }),
        ("/a/{*}/bar/*", Character { segment: 3 }),
        ("/{*}/foo/?abc", Character { segment: 2 }),
        ("/{*}/a b", Character { segment: 1 }),
        ("/{*}/a#b", Character { segment: 1 }),
        ("/{*}/a|b", Character { segment: 1 }),
        ("/{*}/\u{e4}", Character { segment: 1 }),
    ] {
        assert_eq!(PathTemplate::parse(invalid), Err(why), "{invalid}");
    }
}

#[test]
fn what_istio_takes_and_refuses_as_templates() {
    // istio/istio pkg/config/security/security_test.go, TestCheckValidPathTemplate, TestIsPathTemplate.
    for valid in ["/{*}/foo", "/foo/{**}/bar"] {
        assert!(PathTemplate::parse(valid).is_ok(), "{valid}");
    }
    for invalid in [
        "/{*}/foo/{}/bar",
        "/foo/{*}/bar/*",
        "/foo/{*}/bar/**/buzz",
        "/foo/{buzz}/bar/{**}.txt",
        "/foo/{buzz=*}/bar/{**}.txt",
        "/{*}/foo/{buzz=**}/bar",
    ] {
        assert!(PathTemplate::parse(invalid).is_err(), "{invalid}");
    }
    for (value, is_template) in [
        ("foo/bar/{*}", true),
        ("foo/{**}/bar", true),
        ("{*}/bar/{**}", true),
        ("foo/bar/*", false),
        ("foo/bar/{buzz}", false),
    ] {
        assert_eq!(PathTemplate::is_template(value), is_template, "{value}");
    }
}

#[test]
fn a_template_fits_by_segments() {
    // authz.md 1.14.3.
    for (template, path, fits) in [
        ("/{*}", "/a", true),
        ("/{*}", "/", false),
        ("/{*}", "", false),
        ("/{*}", "a", false),
        ("/{*}", "/a/", false),
        ("/{*}", "/a/b", false),
        ("/{**}", "/", true),
        ("/{**}", "/a", true),
        ("/{**}", "/a/b/", true),
        ("/{**}", "", false),
        ("/a/{**}", "/a/", true),
        ("/a/{**}", "/a/b/c", true),
        ("/a/{**}", "/a", false),
        ("/a/{**}", "/ab", false),
        ("/a/{**}/", "/a//", true),
        ("/a/{**}/", "/a/b/", true),
        ("/a/{**}/", "/a/b", false),
        ("/a/{**}/", "/a/", false),
        ("/a/{*}/c", "/a/b/c", true),
        ("/a/{*}/c", "/a//c", false),
        ("/a/{*}/c", "/a/b/c/", false),
        ("/a/{*}/c", "/a/b/d", false),
        ("/a/{*}/c", "/a/b/x/c", false),
        ("/a/{*}/c", "/A/b/c", false),
        ("/a/{*}/", "/a/b/", true),
        ("/a/{*}/", "/a/b", false),
        ("/store/{**}/cart", "/store//cart", true),
        ("/store/{**}/cart", "/store/x/cart", true),
        ("/store/{**}/cart", "/store/x/y/cart", true),
        ("/store/{**}/cart", "/store/cart/cart", true),
        ("/store/{**}/cart", "/store/cart", false),
        ("/store/{**}/cart", "/store/x/cart/", false),
        ("/store/{**}/cart", "/store/x-cart", false),
        ("/a/{*}/{**}/b/c", "/a/1/2/3/b/c", true),
        ("/a/{*}/{**}/b/c", "/a/1//b/c", true),
        ("/a/{*}/{**}/b/c", "/a/1/b/c", false),
        ("/a/{*}/{**}/b/c", "/a///b/c", false),
        ("/{*}/{*}", "/a/b", true),
        ("/{*}/{*}", "/a", false),
    ] {
        let parsed = PathTemplate::parse(template).unwrap();
        for charset in [TemplateCharset::Compat, TemplateCharset::AnyButSlash] {
            assert_eq!(
                parsed.matches(path, charset),
                fits,
                "{template} {path} {charset:?}"
            );
        }
    }
}

#[test]
fn the_characters_that_an_operator_stands_for_depend_on_what_it_is_used_for() {
    // authz.md 1.14.4.
    let one = PathTemplate::parse("/x/{*}").unwrap();
    let any = PathTemplate::parse("/x/{**}").unwrap();
    let compat = "!$%&'()*+,-.0123456789:;=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
    for byte in 0u8..=0x7f {
        let path = format!("/x/a{}", char::from(byte));
        let in_set = compat.contains(char::from(byte));
        let slash = byte == b'/';
        assert_eq!(
            one.matches(&path, TemplateCharset::Compat),
            in_set,
            "{byte:#x}"
        );
        assert_eq!(
            any.matches(&path, TemplateCharset::Compat),
            in_set || slash,
            "{byte:#x}"
        );
        assert_eq!(
            one.matches(&path, TemplateCharset::AnyButSlash),
            !slash,
            "{byte:#x}"
        );
        assert!(
            any.matches(&path, TemplateCharset::AnyButSlash),
            "{byte:#x}"
        );
    }
    assert!(!one.matches("/x/\u{e4}", TemplateCharset::Compat));
    assert!(one.matches("/x/\u{e4}", TemplateCharset::AnyButSlash));
}

#[test]
fn a_template_tells_its_parts() {
    let template = PathTemplate::parse("/a/b/{*}/{**}/c/").unwrap();
    assert_eq!(template.prefix(), "/a/b/");
    assert_eq!(
        template.segments().collect::<Vec<_>>(),
        [
            TemplateSegment::Literal("a"),
            TemplateSegment::Literal("b"),
            TemplateSegment::One,
            TemplateSegment::Any,
            TemplateSegment::Literal("c"),
            TemplateSegment::Literal(""),
        ]
    );
    assert_eq!(PathTemplate::parse("/{**}").unwrap().prefix(), "/");
    assert_eq!(size_of::<PathTemplate>(), size_of::<Name>());
}

/// The rules of 1.14.3 as a matcher that tries everything.
fn fits(template: &[u8], path: &[u8], set: &dyn Fn(u8) -> bool) -> bool {
    if let Some(rest) = template.strip_prefix(b"{**}") {
        return (0..=path.len()).any(|n| {
            path[..n].iter().all(|&b| b == b'/' || set(b)) && fits(rest, &path[n..], set)
        });
    }
    if let Some(rest) = template.strip_prefix(b"{*}") {
        return (1..=path.len()).any(|n| {
            path[..n].iter().all(|&b| b != b'/' && set(b)) && fits(rest, &path[n..], set)
        });
    }
    match (template.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((t, template)), Some((p, path))) => t == p && fits(template, path, set),
        _ => false,
    }
}

proptest! {
    #[test]
    fn matching_is_what_the_rules_say(
        template in "(/(a|b|\\{\\*\\})){0,4}(/\\{\\*\\*\\})?(/(a|b)){0,2}/?",
        path in "(/[ab|]{0,2}){0,6}",
    ) {
        let Ok(parsed) = PathTemplate::parse(&template) else { return Ok(()) };
        let compat = |b: u8| b != b'|' && b != b'/';
        prop_assert_eq!(
            parsed.matches(&path, TemplateCharset::Compat),
            fits(template.as_bytes(), path.as_bytes(), &compat)
        );
        prop_assert_eq!(
            parsed.matches(&path, TemplateCharset::AnyButSlash),
            fits(template.as_bytes(), path.as_bytes(), &|b| b != b'/')
        );
    }
}
