use std::time::Duration;

use mesh_core::limits::BucketSettings;

use super::*;

fn one(text: &str) -> LocalLimit {
    let limits = request_limits(text).unwrap();
    let [limit] = <[LocalLimit; 1]>::try_from(limits).unwrap();
    limit
}

fn bucket_of(most: u32, number: u32, seconds: u64) -> BucketSettings {
    BucketSettings::new(most, number, Duration::from_secs(seconds)).unwrap()
}

#[test]
fn a_rate_alone_is_for_all_requests() {
    for text in ["100/1s", " 100 / 1s ", "\n100/1000ms;\n", "100/\u{b}\t1s"] {
        let limit = one(text);
        assert_eq!(limit.bucket, bucket_of(100, 100, 1), "{text:?}");
        assert_eq!(limit.main, MainBucket::Always);
        assert!(limit.descriptors.is_empty() && limit.matches.is_empty());
        assert_eq!(limit.enforced, Percent::ALL);
    }
    assert_eq!(one("5/1m burst 20").bucket, bucket_of(20, 5, 60));
    assert_eq!(one("5/1m shadow").enforced, Percent::NONE);
}

#[test]
fn keys_make_buckets() {
    let keys = [
        ("per identity", LimitKey::Identity),
        ("per namespace", LimitKey::Namespace),
        ("per address", LimitKey::SourceAddress),
        ("per path", LimitKey::Path),
        ("per method", LimitKey::Method),
        ("per host", LimitKey::Host),
        (
            "per header X-User",
            LimitKey::Header("x-user".parse().unwrap()),
        ),
    ];
    for (text, key) in keys {
        let limit = one(&format!("2/1s {text}"));
        let wanted = Wanted::EachOrNone;
        let [descriptor] = &*limit.descriptors else {
            panic!("{text}");
        };
        assert_eq!(descriptor.entries, [Entry { key, wanted }], "{text}");
        assert_eq!(descriptor.bucket, bucket_of(2, 2, 1));
        assert_eq!(descriptor.most, Descriptor::MOST);
        assert_eq!(limit.main, MainBucket::Never);
    }
    let both = one("2/1s per identity per path keys 7");
    assert_eq!(both.descriptors[0].entries.len(), 2);
    assert_eq!(both.descriptors[0].most, 7);
}

#[test]
fn conditions_say_which_requests_count() {
    let is = [
        (
            "identity cluster.local/ns/a/sa/b",
            LimitKey::Identity,
            "spiffe://cluster.local/ns/a/sa/b",
        ),
        (
            "identity spiffe://cluster.local/ns/a/sa/b",
            LimitKey::Identity,
            "spiffe://cluster.local/ns/a/sa/b",
        ),
        ("namespace a", LimitKey::Namespace, "a"),
        ("host Web.Shop", LimitKey::Host, "web.shop"),
    ];
    for (text, key, value) in is {
        let limit = one(&format!("2/1s for {text}"));
        let wanted = Wanted::Is(value.into());
        assert_eq!(
            limit.descriptors[0].entries,
            [Entry { key, wanted }],
            "{text}"
        );
        assert_eq!(limit.main, MainBucket::Never, "others do not count");
    }
    let matches = |text: &str| one(&format!("2/1s for {text}")).matches.remove(0);
    for (text, path) in [
        ("path /a", PathMatch::Exact("/a".into())),
        ("path /a/*", PathMatch::Below("/a/".into())),
        ("path /a*", PathMatch::Prefix("/a".into())),
        ("path /*", PathMatch::Below("/".into())),
    ] {
        assert_eq!(matches(text).path, path, "{text}");
    }
    let post = TextMatch::Exact("POST".into());
    assert_eq!(matches("method POST").method, Some(post));
    for (value, test) in [
        ("a", TextMatch::Exact("a".into())),
        ("a*", TextMatch::Prefix("a".into())),
        ("*a", TextMatch::Suffix("a".into())),
        ("*", TextMatch::Present),
    ] {
        let header = matches(&format!("header X-A {value}")).headers.remove(0);
        assert_eq!(
            (header.name.as_str(), header.test),
            ("x-a", test),
            "{value}"
        );
    }
    let all = "2/1s for path /a for method GET for header x-a 1 for header x-b 2 for namespace n per identity";
    let all = one(all);
    assert_eq!((all.matches.len(), all.matches[0].headers.len()), (1, 2));
    assert_eq!(all.descriptors[0].entries.len(), 2);
}

#[test]
fn a_rule_is_known_by_its_words() {
    let names: Vec<_> = request_limits("1/1s;  2/1s   per\tidentity ;;\n3/1s")
        .unwrap()
        .into_iter()
        .map(|limit| limit.name.to_string())
        .collect();
    assert_eq!(names, ["1/1s", "2/1s per identity", "3/1s"]);
}

#[test]
fn what_is_wrong_is_told_with_its_rule_and_what_was_expected() {
    let rate = "a number and a time such as 100/1s: at least 1, in 50ms to 365d, in rule 1";
    let cases = [
        ("", "1 to 16 rules such as 100/1s per identity"),
        (" ;\n; ", "1 to 16 rules such as 100/1s per identity"),
        ("100", "a rate such as 100/1s, in rule 1"),
        ("100/", "a rate such as 100/1s, in rule 1"),
        ("0/1s", rate),
        ("1/1ms", rate),
        ("-1/1s", rate),
        (
            "1/1s; 2/1s per",
            "per identity, namespace, address, path, method, host or header, in rule 2",
        ),
        (
            "1/1s per person",
            "per identity, namespace, address, path, method, host or header, in rule 1",
        ),
        (
            "1/1s per header",
            "a name of a header after header, in rule 1",
        ),
        (
            "1/1s per header a:b",
            "a name of a header after header, in rule 1",
        ),
        ("1/1s per path per path", "each key once, in rule 1"),
        ("1/1s burst", "burst and a number from 1, in rule 1"),
        ("1/1s burst 0", "burst and a number from 1, in rule 1"),
        (
            "9/1s burst 8",
            "a burst of at least 9, as that many come back at once, in rule 1",
        ),
        ("9/1s burst 9 burst 9", "one burst, in rule 1"),
        ("1/1s keys 0", "keys and a number of 1 to 100000, in rule 1"),
        (
            "1/1s keys 100001",
            "keys and a number of 1 to 100000, in rule 1",
        ),
        (
            "1/1s for path a",
            "a path such as /a, /a/* or /a*, in rule 1",
        ),
        (
            "1/1s for path /a*b",
            "a path such as /a, /a/* or /a*, in rule 1",
        ),
        (
            "1/1s for path /a?b",
            "a path such as /a, /a/* or /a*, in rule 1",
        ),
        (
            "1/1s for path /a for path /b",
            "one condition of each kind, in rule 1",
        ),
        (
            "1/1s for header x",
            "a value such as a, a*, *a or * after the header's name, in rule 1",
        ),
        (
            "1/1s for header x *a*",
            "a value such as a, a*, *a or * after the header's name, in rule 1",
        ),
        (
            "1/1s for header x a*b",
            "a star at the beginning or the end only, in rule 1",
        ),
        (
            "1/1s for header x a for header X b",
            "one condition on a header, in rule 1",
        ),
        (
            "1/1s for identity web",
            "an identity such as cluster.local/ns/shop/sa/web, in rule 1",
        ),
        ("1/1s for method", "a method such as POST, in rule 1"),
        (
            "1/1s for port 80",
            "for identity, namespace, host, method, path or header, with a value, in rule 1",
        ),
        ("1/1s shadow shadow", "shadow once, in rule 1"),
        (
            "1/1s and more",
            "burst, per, for, keys or shadow after the time, in rule 1",
        ),
    ];
    for (text, expected) in cases {
        let words = request_limits(text).map_err(|why| why.words().to_owned());
        assert_eq!(words.err().as_deref(), Some(expected), "{text:?}");
    }
}

#[test]
fn rules_and_clauses_are_bounded() {
    let rules = |count: usize| vec!["1/1s"; count].join(";");
    assert_eq!(request_limits(&rules(MOST_RULES)).unwrap().len(), 16);
    assert!(request_limits(&rules(MOST_RULES + 1)).is_err());
    let clauses = |count: usize| {
        let conditions = (0..count).map(|at| format!("for header x-{at} *"));
        let text = conditions.collect::<Vec<_>>().join(" ");
        request_limits(&format!("1/1s {text}"))
    };
    assert!(clauses(MOST_CLAUSES).is_ok());
    let words = clauses(MOST_CLAUSES + 1).unwrap_err();
    assert_eq!(words.words(), "at most 16 clauses, in rule 1");
    assert!(request_limits("1/1s per path keys 100000").is_ok());
}
