use proptest::prelude::*;

use super::*;

#[test]
fn malformed_identities_are_refused() {
    use InvalidSpiffeId::{Path, Scheme, TooLong, TrustDomain};
    let long = format!("spiffe://cluster.local/ns/{}/sa/web", "n".repeat(2048));
    let long_domain = format!("spiffe://{}/ns/shop/sa/cart", "d".repeat(256));
    for (case, text, expected) in [
        ("empty", "", Scheme),
        ("no scheme", "cluster.local/ns/shop/sa/cart", Scheme),
        (
            "another scheme",
            "https://cluster.local/ns/shop/sa/cart",
            Scheme,
        ),
        (
            "upper-case scheme",
            "SPIFFE://cluster.local/ns/shop/sa/cart",
            Scheme,
        ),
        ("one slash", "spiffe:/cluster.local/ns/shop/sa/cart", Scheme),
        (
            "space before",
            " spiffe://cluster.local/ns/shop/sa/cart",
            Scheme,
        ),
        ("no trust domain", "spiffe:///ns/shop/sa/cart", TrustDomain),
        (
            "upper-case domain",
            "spiffe://Cluster.local/ns/shop/sa/cart",
            TrustDomain,
        ),
        (
            "port",
            "spiffe://cluster.local:80/ns/shop/sa/cart",
            TrustDomain,
        ),
        (
            "user",
            "spiffe://me@cluster.local/ns/shop/sa/cart",
            TrustDomain,
        ),
        (
            "escaped domain",
            "spiffe://cluster%2elocal/ns/shop/sa/cart",
            TrustDomain,
        ),
        (
            "non-ASCII domain",
            "spiffe://clüster.local/ns/shop/sa/cart",
            TrustDomain,
        ),
        ("long domain", &long_domain, TrustDomain),
        ("no path", "spiffe://cluster.local", Path),
        ("empty path", "spiffe://cluster.local/", Path),
        ("four segments", "spiffe://cluster.local/ns/shop/sa", Path),
        (
            "six segments",
            "spiffe://cluster.local/ns/shop/sa/cart/x",
            Path,
        ),
        (
            "slash after",
            "spiffe://cluster.local/ns/shop/sa/cart/",
            Path,
        ),
        (
            "double slash",
            "spiffe://cluster.local//ns/shop/sa/cart",
            Path,
        ),
        (
            "empty namespace",
            "spiffe://cluster.local/ns//sa/cart",
            Path,
        ),
        ("empty account", "spiffe://cluster.local/ns/shop/sa/", Path),
        ("dot", "spiffe://cluster.local/ns/./sa/cart", Path),
        ("two dots", "spiffe://cluster.local/ns/shop/sa/..", Path),
        (
            "other words",
            "spiffe://cluster.local/namespace/shop/sa/cart",
            Path,
        ),
        (
            "words exchanged",
            "spiffe://cluster.local/sa/shop/ns/cart",
            Path,
        ),
        (
            "upper-case words",
            "spiffe://cluster.local/NS/shop/SA/cart",
            Path,
        ),
        ("escaped", "spiffe://cluster.local/ns/shop/sa/ca%72t", Path),
        ("query", "spiffe://cluster.local/ns/shop/sa/cart?x", Path),
        ("fragment", "spiffe://cluster.local/ns/shop/sa/cart#x", Path),
        ("space", "spiffe://cluster.local/ns/shop/sa/ca rt", Path),
        (
            "zero byte",
            "spiffe://cluster.local/ns/shop/sa/cart\0",
            Path,
        ),
        (
            "non-ASCII",
            "spiffe://cluster.local/ns/shop/sa/wärter",
            Path,
        ),
        ("too long", &long, TooLong),
    ] {
        assert_eq!(text.parse::<SpiffeId>(), Err(expected), "{case}: {text}");
    }
}

#[test]
fn unusual_identities_are_accepted() {
    for text in [
        "spiffe://a/ns/b/sa/c",
        "spiffe://1.2.3.4/ns/1/sa/2",
        "spiffe://my_domain-x.example/ns/Shop.a_b-c/sa/...",
        "spiffe://td/ns/ns/sa/sa",
        "spiffe://td/ns/sa/sa/ns",
    ] {
        let id = text.parse::<SpiffeId>();
        assert_eq!(id.map(|id| id.to_string()).as_deref(), Ok(text));
    }
}

#[test]
fn no_constructor_makes_an_identity_that_is_too_long() {
    let short: TrustDomain = "d".parse().unwrap();
    let long: TrustDomain = "d".repeat(255).parse().unwrap();
    let room = 2048 - "spiffe://d/ns//sa/web".len();
    assert!(SpiffeId::new(short.clone(), &"n".repeat(room + 1), "web").is_err());
    let id = SpiffeId::new(short, &"n".repeat(room), "web").unwrap();
    assert_eq!(id.to_string().parse(), Ok(id.clone()));
    assert_eq!(id.with_trust_domain(long), Err(InvalidSpiffeId::TooLong));
}

#[test]
fn expected_peers_are_a_set() {
    let ids = ["b", "a", "b"]
        .map(|account| -> SpiffeId { format!("spiffe://td/ns/n/sa/{account}").parse().unwrap() });
    let expected = ExpectedPeers::new(ids.clone()).unwrap();
    assert_eq!(expected.iter().collect::<Vec<_>>(), [&ids[1], &ids[0]]);
    assert!(ids.iter().all(|id| expected.contains(id)));
    for other in [
        "spiffe://td/ns/n/sa/c",
        "spiffe://other/ns/n/sa/a",
        "spiffe://td/ns/m/sa/a",
    ] {
        assert!(!expected.contains(&other.parse().unwrap()), "{other}");
    }
    assert_eq!(ExpectedPeers::from(ids[0].clone()).iter().len(), 1);
}

proptest! {
    #[test]
    fn what_is_accepted_is_written_back_the_same(text in "spiffe://[a-z.]{0,8}(/(ns|sa|[a-zA-Z0-9._%-]{0,6})){0,6}") {
        if let Ok(id) = text.parse::<SpiffeId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn parts_survive_the_text(domain in "[a-z0-9._-]{1,255}", ns in "[a-zA-Z0-9_-]{1,63}", account in "[a-zA-Z0-9_-]{1,253}") {
        let id = SpiffeId::new(domain.parse().unwrap(), &ns, &account).unwrap();
        prop_assert_eq!(id.to_string().parse(), Ok(id.clone()));
        prop_assert_eq!(id.namespace().as_str(), ns);
    }

    #[test]
    fn no_text_panics(text in any::<String>(), tail in any::<String>()) {
        let _ = text.parse::<SpiffeId>();
        let _ = format!("spiffe://{text}/ns/{tail}").parse::<SpiffeId>();
        let _ = text.parse::<TrustDomain>();
    }
}
