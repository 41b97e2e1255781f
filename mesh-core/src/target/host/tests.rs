use proptest::prelude::*;

use super::*;

#[test]
fn hosts_are_compared_in_lower_case_with_and_without_port() {
    for (raw, text, name, port) in [
        ("a.com", "a.com", "a.com", None),
        ("A.Com:8080", "a.com:8080", "a.com", Some(8080)),
        ("a.com.", "a.com.", "a.com", None),
        ("a.com.:80", "a.com.:80", "a.com", Some(80)),
        ("web", "web", "web", None),
        ("web_1.ns", "web_1.ns", "web_1.ns", None),
        ("10.0.0.1:0", "10.0.0.1:0", "10.0.0.1", Some(0)),
        ("[::1]", "[::1]", "[::1]", None),
        (
            "[FE80::A]:65535",
            "[fe80::a]:65535",
            "[fe80::a]",
            Some(65535),
        ),
        ("[::1]:1", "[::1]:1", "[::1]", Some(1)),
        ("a:00080", "a:00080", "a", Some(80)),
    ] {
        let host = Host::parse(raw.as_bytes()).unwrap();
        assert_eq!(
            (host.as_str(), host.name(), host.port()),
            (text, name, port),
            "{raw}"
        );
        assert_eq!(matches!(host.text, Cow::Borrowed(_)), raw == text);
        assert_eq!(host.clone().into_owned(), host);
    }
}

#[test]
fn what_is_not_a_host_is_refused() {
    let long = "a".repeat(261);
    for (raw, why) in [
        ("", BadHost::Empty),
        (":80", BadHost::Empty),
        (".", BadHost::Label),
        (".a", BadHost::Label),
        ("a..b", BadHost::Label),
        ("a..", BadHost::Label),
        ("a.com:", BadHost::Port),
        ("a.com:+80", BadHost::Port),
        ("a.com:65536", BadHost::Port),
        ("a.com:http", BadHost::Port),
        ("a.com:80:80", BadHost::Port),
        ("::1", BadHost::Empty),
        ("1::2", BadHost::Port),
        ("[::1", BadHost::Address),
        ("[]", BadHost::Address),
        ("[1.2.3.4]", BadHost::Address),
        ("[::1]80", BadHost::Port),
        ("[::1]:", BadHost::Port),
        ("a[::1]", BadHost::Address),
        ("a]", BadHost::Address),
        ("u@a.com", BadHost::Character { position: 1 }),
        ("a.com,b.com", BadHost::Character { position: 5 }),
        ("a.com b.com", BadHost::Character { position: 5 }),
        ("a%2ecom", BadHost::Character { position: 1 }),
        ("a/b", BadHost::Character { position: 1 }),
        ("a\\b", BadHost::Character { position: 1 }),
        ("a\0", BadHost::Character { position: 1 }),
        ("\u{e4}.com", BadHost::Character { position: 0 }),
        (&long, BadHost::TooLong),
    ] {
        let refused = Host::parse(raw.as_bytes());
        assert_eq!(refused, Err(why), "{raw}");
    }
    assert!(Host::parse(&long.as_bytes()[..260]).is_ok());
}

proptest! {
    #[test]
    fn the_case_of_a_host_does_not_count(raw in "[a-zA-Z0-9.:-]{1,12}") {
        let upper = raw.to_ascii_uppercase();
        let found = Host::parse(raw.as_bytes()).map(Host::into_owned);
        prop_assert_eq!(&found, &Host::parse(upper.as_bytes()).map(Host::into_owned));
        if let Ok(host) = found {
            let again = Host::parse(host.as_str().as_bytes());
            prop_assert_eq!(again, Ok(host.clone()));
        }
    }
}
