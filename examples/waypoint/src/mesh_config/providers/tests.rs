//! The fields are those of Istio's `MeshConfig.ExtensionProvider`; authz.md 4.3.

use super::*;

/// The list in a text.
fn parse(text: &str) -> Result<Parsed, String> {
    let list = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    read(list)
}

#[test]
fn authorizers_are_read_and_other_providers_left_alone() {
    let text = "
- name: tracing
  zipkin: {service: zipkin.istio-system.svc.cluster.local, port: 9411}
- name: oauth
  envoyExtAuthzHttp:
    service: auth/oauth2-proxy.auth.svc.cluster.local
    port: 4180
    timeout: 1.5s
    pathPrefix: /check
    failOpen: true
    includeRequestHeadersInCheck: [cookie, 'x-auth-*']
    includeAdditionalHeadersInCheck: {x-from: mesh}
    headersToUpstreamOnAllow: [authorization]
    headersToDownstreamOnDeny: [set-cookie]
- name: opa
  envoyExtAuthzGrpc: {service: opa.example.com, port: 9191, statusOnError: '503'}
";
    let parsed = parse(text).unwrap();
    assert_eq!(parsed.notes, [""; 0]);
    let [oauth, opa] = &*parsed.providers else {
        panic!("{parsed:?}");
    };
    assert_eq!((oauth.name.as_str(), oauth.port), ("oauth", 4180));
    assert_eq!(oauth.service.namespace.as_deref(), Some("auth"));
    assert_eq!(oauth.timeout, Duration::from_millis(1500));
    assert_eq!(oauth.on_error, OnError::Allow);
    let Check::Http(check) = &oauth.check else {
        panic!("{oauth:?}");
    };
    assert_eq!(check.path_prefix, "/check");
    assert!(check.include.contains(&"x-auth-user".parse().unwrap()));
    assert!(
        check
            .upstream_on_allow
            .contains(&"authorization".parse().unwrap())
    );
    assert_eq!(
        check.add,
        [("x-from".parse().unwrap(), "mesh".parse().unwrap())]
    );
    assert_eq!(opa.service.namespace, None);
    assert_eq!(opa.timeout, Duration::from_secs(600));
    assert_eq!(opa.on_error, OnError::Deny(StatusCode::SERVICE_UNAVAILABLE));
    assert!(matches!(opa.check, Check::Grpc));
    assert!(parse("[]").unwrap().providers.is_empty());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let of = |kind: &str, fields: &str| {
        format!("[{{name: a, {kind}: {{service: a.b, port: 1, {fields}}}}}]")
    };
    let http = |fields: &str| of("envoyExtAuthzHttp", fields);
    let grpc = |fields: &str| of("envoyExtAuthzGrpc", fields);
    for (text, says) in [
        (http("failopen: true"), "failopen"),
        (
            http("timeout: soon"),
            "[0].envoyExtAuthzHttp.timeout: `soon`",
        ),
        (http("timeout: 0s"), "expected a duration"),
        (http("statusOnError: '99'"), "statusOnError: `99`"),
        (http("pathPrefix: check"), "pathPrefix: `check`"),
        (
            http("headersToUpstreamOnAllow: ['*']"),
            "headersToUpstreamOnAllow: `*`",
        ),
        (
            http("includeAdditionalHeadersInCheck: {'a b': c}"),
            "a b: expected a header",
        ),
        (
            grpc("pathPrefix: /a"),
            "pathPrefix: expected only with envoyExtAuthzHttp",
        ),
        (grpc("headersToUpstreamOnAllow: [a]"), "expected only with"),
        (
            "[{envoyExtAuthzGrpc: {service: a, port: 1}}]".into(),
            "name: expected",
        ),
        (
            "[{name: a, envoyExtAuthzGrpc: {port: 1}}]".into(),
            "service: ``",
        ),
        (
            "[{name: a, envoyExtAuthzGrpc: {service: a}}]".into(),
            "port: `0`",
        ),
        ("7".into(), ""),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
}

/// A provider that would decide about less than it is to see must not decide at all.
#[test]
fn an_authorizer_that_wants_bodies_is_none() {
    let text = "[{name: a, envoyExtAuthzGrpc: {service: a.b, port: 1, \
                includeRequestBodyInCheck: {maxRequestBytes: 1000}}}]";
    let parsed = parse(text).unwrap();
    assert!(parsed.providers.is_empty());
    assert!(
        parsed.notes[0].contains("includeRequestBodyInCheck"),
        "{parsed:?}"
    );
}
