use super::*;

/// Source: the tests of the node proxy of Istio: each form with a hit, a miss and nothing.
#[test]
fn eleven_comparisons_of_texts() {
    let exact = StringMatch::exact("abc").unwrap();
    let prefix = StringMatch::prefix("abc").unwrap();
    let suffix = StringMatch::suffix("abc").unwrap();
    let presence = StringMatch::Presence;
    for (number, (form, text, expected)) in [
        (&exact, "abc", true),
        (&exact, "abcd", false),
        (&exact, "", false),
        (&prefix, "abcd", true),
        (&prefix, "xabc", false),
        (&prefix, "", false),
        (&suffix, "xabc", true),
        (&suffix, "abcd", false),
        (&suffix, "", false),
        (&presence, "x", true),
        (&presence, "", false),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(
            form.matches(text),
            expected,
            "case {number}: {form} {text:?}"
        );
    }
}

#[test]
fn case_counts() {
    assert!(!StringMatch::exact("abc").unwrap().matches("ABC"));
    assert!(!StringMatch::suffix("abc").unwrap().matches("xABC"));
}

#[test]
fn empty_texts_and_accounts_are_mistakes() {
    assert_eq!(StringMatch::exact(""), Err(Problem::EmptyText));
    assert_eq!(StringMatch::prefix(""), Err(Problem::EmptyText));
    assert_eq!(StringMatch::suffix(""), Err(Problem::EmptyText));
    assert_eq!(
        ServiceAccountMatch::new("", "a"),
        Err(Problem::ServiceAccount)
    );
    assert_eq!(
        ServiceAccountMatch::new("a", ""),
        Err(Problem::ServiceAccount)
    );
}

#[test]
fn ranges_come_from_4_or_16_bytes() {
    assert_eq!(cidr(&[10, 1, 0, 0], 16).unwrap().to_string(), "10.1.0.0/16");
    assert_eq!(cidr(&[0; 16], 0).unwrap().to_string(), "::/0");
    assert_eq!(cidr(&[10, 1, 2, 3], 32).unwrap().to_string(), "10.1.2.3/32");
    for bytes in [0, 3, 5, 15, 17] {
        let address = vec![0; bytes];
        assert_eq!(cidr(&address, 0), Err(Problem::Address { bytes }));
    }
    for (bytes, length) in [(4, 33), (16, 129), (4, 256), (16, u32::MAX)] {
        let address = vec![0; bytes];
        assert_eq!(
            cidr(&address, length),
            Err(Problem::PrefixLength { length })
        );
    }
}

#[test]
fn ports_have_16_bits() {
    assert_eq!(port(0), Ok(0));
    assert_eq!(port(65_535), Ok(65_535));
    assert_eq!(port(65_536), Err(Problem::Port { port: 65_536 }));
}
