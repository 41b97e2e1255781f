use super::*;

fn origin(text: &str) -> Result<RequestForm<'_>, BadTarget> {
    Ok(RequestForm::Origin(text))
}

#[test]
fn a_request_target_has_one_of_four_forms() {
    // RFC 9112 §3.2.
    let absolute = |scheme, authority, path| {
        Ok(RequestForm::Absolute {
            scheme,
            authority,
            path,
        })
    };
    for (method, raw, expected) in [
        ("GET", "/", origin("/")),
        ("GET", "/a?b", origin("/a?b")),
        ("GET", "//a.com/b", origin("//a.com/b")),
        (
            "GET",
            "http://a.com/b?c",
            absolute(Scheme::Http, "a.com", "/b?c"),
        ),
        (
            "GET",
            "HTTPS://A.com:1",
            absolute(Scheme::Https, "A.com:1", ""),
        ),
        (
            "GET",
            "http://a.com?c",
            absolute(Scheme::Http, "a.com", "?c"),
        ),
        (
            "GET",
            "http://a.com\\@b/c",
            absolute(Scheme::Http, "a.com\\@b", "/c"),
        ),
        (
            "OPTIONS",
            "http://a.com",
            absolute(Scheme::Http, "a.com", "*"),
        ),
        (
            "OPTIONS",
            "http://a.com/",
            absolute(Scheme::Http, "a.com", "/"),
        ),
        ("OPTIONS", "*", Ok(RequestForm::Asterisk)),
        (
            "CONNECT",
            "a.com:443",
            Ok(RequestForm::Authority("a.com:443")),
        ),
        (
            "CONNECT",
            "[::1]:443",
            Ok(RequestForm::Authority("[::1]:443")),
        ),
        ("GET", "*", Err(BadTarget::Form)),
        ("options", "*", Err(BadTarget::Form)),
        ("GET", "", Err(BadTarget::Form)),
        ("GET", "a.com:443", Err(BadTarget::Form)),
        ("GET", "a/b", Err(BadTarget::Form)),
        ("GET", "?a", Err(BadTarget::Form)),
        ("GET", "ftp://a.com/", Err(BadTarget::Scheme)),
        ("GET", "://a.com/", Err(BadTarget::Scheme)),
        ("GET", "http:/a.com/", Err(BadTarget::Form)),
        (
            "CONNECT",
            "/",
            Err(BadTarget::Host(BadHost::Character { position: 0 })),
        ),
        ("CONNECT", "a.com", Err(BadTarget::Host(BadHost::Port))),
        ("CONNECT", "a.com:0", Err(BadTarget::Host(BadHost::Port))),
        ("CONNECT", "", Err(BadTarget::Host(BadHost::Empty))),
        ("GET", "/a\r", Err(BadTarget::Character { position: 2 })),
    ] {
        assert_eq!(
            RequestForm::parse(method, raw.as_bytes()),
            expected,
            "{method} {raw}"
        );
    }
}

#[test]
fn a_uri_gives_host_and_target() {
    for (method, raw, host, target) in [
        (
            "GET",
            "http://A.com:80/x/../y?q#f",
            Some("a.com:80"),
            Some("/y?q"),
        ),
        ("GET", "http://a.com", Some("a.com"), Some("/")),
        ("GET", "http://a.com?q", Some("a.com"), Some("/?q")),
        ("GET", "http://a.com#f", Some("a.com"), Some("/")),
        ("OPTIONS", "http://a.com", Some("a.com"), Some("*")),
        ("OPTIONS", "*", None, Some("*")),
        ("GET", "/a/.", None, Some("/a/")),
        ("CONNECT", "a.com:1", Some("a.com:1"), None),
    ] {
        let form = RequestForm::parse(method, raw.as_bytes()).unwrap();
        let found = form.host().unwrap().map(|h| h.to_string());
        assert_eq!(found.as_deref(), host, "{raw}");
        let found = form.target(Base).unwrap().map(|t| t.to_string());
        assert_eq!(found.as_deref(), target, "{raw}");
    }
    for raw in [
        "http:///a",
        "http://u@a.com/",
        "http://a.com\\@b/c",
        "http://a:b/",
        "http://a%2eb/",
    ] {
        let form = RequestForm::parse("GET", raw.as_bytes()).unwrap();
        assert!(matches!(form.host(), Err(BadTarget::Host(_))), "{raw}");
    }
}
