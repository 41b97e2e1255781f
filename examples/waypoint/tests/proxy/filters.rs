//! How requests and answers are changed on their way, and what is answered in place of upstreams.

use std::collections::BTreeMap;

use crate::objects::{route, virtual_service};
use crate::world::{WEB, World};

#[tokio::test]
async fn headers_are_set_added_and_removed_both_ways() {
    let gateway_api = "[{
      filters: [
        {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set, value: new}], add: [{name: x-add, value: more}], remove: [x-gone]}},
        {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-app, value: hidden}], add: [{name: x-answer, value: '1'}]}}],
      backendRefs: [{name: web, port: 80}]}]";
    let istio = "[{
      headers: {
        request: {set: {x-set: new}, add: {x-add: more}, remove: [x-gone]},
        response: {set: {x-app: hidden}, add: {x-answer: '1'}}},
      route: [{destination: {host: web}}]}]";
    for objects in [route(gateway_api), virtual_service(istio, "{}")] {
        let world = World::start(&objects).await;
        let sent = "x-set: old\r\nx-add: some\r\nx-gone: 1\r\nx-kept: 1\r\n";
        let answer = world.client.send(WEB, "GET", "/edited", sent).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.headers["x-app"], "hidden");
        assert_eq!(answer.headers["x-answer"], "1");
        let mut seen = world.v1.seen("/edited");
        seen.extend(world.v2.seen("/edited"));
        let seen = &seen[0].headers;
        assert_eq!(seen["x-set"], "new");
        // The application keeps the last line of several.
        assert!(
            ["some,more", "some, more", "more"].contains(&&*seen["x-add"]),
            "{seen:?}"
        );
        assert_eq!((seen.get("x-gone"), &*seen["x-kept"]), (None, "1"));
    }
}

/// l7.md 1.5, the table of prefixes, and 1.13: Istio replaces texts.
#[tokio::test]
async fn paths_and_hosts_are_rewritten() {
    let prefix = |path: &str, with: &str| {
        format!(
            "{{matches: [{{path: {{value: {path}}}}}], filters: [{{type: URLRewrite, urlRewrite: {{hostname: inner.example, path: {{type: ReplacePrefixMatch, replacePrefixMatch: {with}}}}}}}], backendRefs: [{{name: web, port: 80}}]}}"
        )
    };
    let full = "{matches: [{path: {value: /all}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /one}}}], backendRefs: [{name: web, port: 80}]}";
    let rules = format!(
        "[{}, {}, {full}]",
        prefix("/foo", "/xyz"),
        prefix("/bare", "/")
    );
    let world = World::start(&route(&rules)).await;
    let rows = [
        ("/foo/bar?q=1", "/xyz/bar?q=1", "inner.example"),
        ("/foo", "/xyz", "inner.example"),
        ("/foo/", "/xyz/", "inner.example"),
        ("/bare/bar", "/bar", "inner.example"),
        ("/bare", "/", "inner.example"),
        ("/all/of/it?q=1", "/one?q=1", "web"),
    ];
    for (sent, received, host) in rows {
        assert_eq!(world.client.get(WEB, sent).await.status, 200, "{sent}");
        let mut seen = world.v1.seen(received);
        seen.extend(world.v2.seen(received));
        let seen = seen
            .last()
            .unwrap_or_else(|| panic!("{sent} as {received}"));
        assert_eq!(seen.headers["host"], host, "{sent}");
        assert_eq!(seen.headers["x-envoy-original-path"], sent);
    }

    let istio = virtual_service(
        "[{match: [{uri: {prefix: /foo}}], rewrite: {uri: /x, authority: other.example}, route: [{destination: {host: web}}]},
          {match: [{uri: {prefix: /book}}], rewrite: {uriRegexRewrite: {match: '/book/([0-9]+)/(.*)', rewrite: '/\\2/of/\\1'}}, route: [{destination: {host: web}}]}]",
        "{}",
    );
    world.write(&istio);
    let replaced = async || {
        world.client.get(WEB, "/foobar").await;
        !(world.v1.seen("/xbar").is_empty() && world.v2.seen("/xbar").is_empty())
    };
    world.until("the text is replaced", replaced).await;
    assert_eq!(world.client.get(WEB, "/book/12/pages").await.status, 200);
    let mut seen = world.v1.seen("/pages/of/12");
    seen.extend(world.v2.seen("/pages/of/12"));
    assert_eq!(seen.len(), 1);
}

#[tokio::test]
async fn an_answer_is_given_in_place_of_the_upstream() {
    let world = World::start(&virtual_service(
        "[{match: [{uri: {exact: /teapot}}], headers: {response: {add: {x-kind: tea}}}, directResponse: {status: 418, body: {string: short and stout}}},
          {route: [{destination: {host: web}}]}]",
        "{}",
    ))
    .await;
    let answer = world.client.get(WEB, "/teapot").await;
    assert_eq!((answer.status, &*answer.body), (418, "short and stout"));
    assert_eq!(answer.headers["content-type"], "text/plain");
    assert_eq!(answer.headers["x-kind"], "tea");
    assert_eq!(world.v1.requests() + world.v2.requests(), 0);
    let logged = async || world.lines(&["\"GET /teapot HTTP/1.1\" 418 - direct_response"]) == 1;
    world.until("a line of the access log", logged).await;
}

fn cors(headers: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    let headers = headers.iter().map(|(name, value)| (&**name, &**value));
    headers
        .filter(|(name, _)| name.starts_with("access-control-"))
        .collect()
}

#[tokio::test]
async fn pages_of_other_origins_are_told_what_they_may() {
    let world = World::start(&virtual_service(
        "[{corsPolicy: {allowOrigins: [{exact: 'https://app.example'}], allowMethods: [GET, PUT], allowHeaders: [x-one], exposeHeaders: [x-app], maxAge: 10m, allowCredentials: true, unmatchedPreflights: IGNORE}, route: [{destination: {host: web}}]}]",
        "{}",
    ))
    .await;
    let preflight = |origin: &str| {
        format!(
            "origin: {origin}\r\naccess-control-request-method: PUT\r\naccess-control-request-headers: x-one\r\n"
        )
    };
    let allowed = world
        .client
        .send(WEB, "OPTIONS", "/", &preflight("https://app.example"))
        .await;
    assert_eq!(allowed.status, 200);
    let said = cors(&allowed.headers);
    for wanted in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET,PUT"),
        ("access-control-allow-headers", "x-one"),
        ("access-control-max-age", "600"),
    ] {
        let (name, value) = wanted;
        let found = said.iter().find(|(known, _)| *known == name);
        let found = found.map(|(_, value)| value.replace(' ', ""));
        assert_eq!(found.as_deref(), Some(value), "{name}");
    }
    let refused = world
        .client
        .send(WEB, "OPTIONS", "/", &preflight("https://evil.example"))
        .await;
    // l7.md 1.8: without any header of CORS.
    assert_eq!((refused.status, cors(&refused.headers)), (204, Vec::new()));
    assert_eq!(
        world.v1.requests() + world.v2.requests(),
        0,
        "preflights are answered here"
    );

    let page = world
        .client
        .send(WEB, "GET", "/", "origin: https://app.example\r\n")
        .await;
    assert_eq!(
        page.headers["access-control-allow-origin"],
        "https://app.example"
    );
    assert_eq!(page.headers["access-control-expose-headers"], "x-app");
    assert!(page.headers["vary"].to_ascii_lowercase().contains("origin"));
    let page = world
        .client
        .send(WEB, "GET", "/", "origin: https://evil.example\r\n")
        .await;
    assert_eq!((page.status, cors(&page.headers)), (200, Vec::new()));
    assert_eq!(world.v1.requests() + world.v2.requests(), 2);
}

#[tokio::test]
async fn routes_are_chosen_by_all_that_requests_have() {
    let to = |subset: &str| format!("route: [{{destination: {{host: web, subset: {subset}}}}}]");
    let world = World::start(&virtual_service(
        &format!(
            "[{{match: [{{headers: {{x-version: {{exact: '2'}}}}}}], {}}},
              {{match: [{{queryParams: {{v: {{regex: '[2-9]'}}}}, method: {{exact: GET}}}}], {}}},
              {{match: [{{uri: {{regex: '/items/[0-9]+'}}, withoutHeaders: {{x-old: {{}}}}}}], {}}},
              {{match: [{{authority: {{exact: two.example}}}}], {}}},
              {{{}}}]",
            to("v2"),
            to("v2"),
            to("v2"),
            to("v2"),
            to("v1")
        ),
        "{}",
    ))
    .await;
    let rows = [
        ("GET", "/", "", "v1"),
        ("GET", "/", "x-version: 2\r\n", "v2"),
        ("GET", "/", "x-version: 3\r\n", "v1"),
        ("GET", "/?v=3", "", "v2"),
        ("GET", "/?v=33", "", "v1"),
        ("POST", "/?v=3", "content-length: 0\r\n", "v1"),
        ("GET", "/items/12", "", "v2"),
        ("GET", "/items/12", "x-old: 1\r\n", "v1"),
        ("GET", "/items/x", "", "v1"),
        ("GET", "/", "host: two.example\r\n", "v2"),
    ];
    for (method, path, headers, instance) in rows {
        let answer = world.client.send(WEB, method, path, headers).await;
        assert_eq!(
            answer.headers["x-app"], instance,
            "{method} {path} {headers}"
        );
    }
}

#[tokio::test]
async fn trace_context_is_passed_on_in_the_form_that_it_came_in() {
    let world = World::start("").await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let span = "b7ad6b7169203331";
    let rows = [
        (
            "/w3c",
            format!("traceparent: 00-{trace}-{span}-01\r\ntracestate: a=1,b=2\r\n"),
        ),
        ("/b3", format!("b3: {trace}-{span}-1\r\n")),
        (
            "/multi",
            format!("x-b3-traceid: {trace}\r\nx-b3-spanid: {span}\r\nx-b3-sampled: 1\r\n"),
        ),
    ];
    let mut seen = BTreeMap::new();
    for (path, headers) in &rows {
        assert_eq!(
            world.client.send(WEB, "GET", path, headers).await.status,
            200
        );
        let mut requests = world.v1.seen(path);
        requests.extend(world.v2.seen(path));
        seen.insert(*path, requests.remove(0).headers);
    }
    let parts: Vec<&str> = seen["/w3c"]["traceparent"].split('-').collect();
    assert_eq!((parts[0], parts[1], parts[3]), ("00", trace, "01"));
    assert!(parts[2] != span && parts[2].len() == 16, "{parts:?}");
    assert_eq!(seen["/w3c"]["tracestate"], "a=1,b=2");
    let parts: Vec<&str> = seen["/b3"]["b3"].split('-').collect();
    assert_eq!((parts[0], parts[2]), (trace, "1"));
    assert!(parts[1] != span && parts[1].len() == 16, "{parts:?}");
    let multi = &seen["/multi"];
    assert_eq!(
        (&*multi["x-b3-traceid"], &*multi["x-b3-sampled"]),
        (trace, "1")
    );
    assert_ne!(multi["x-b3-spanid"], span);
    // All of them go on with W3C's header, too, and in the same trace.
    for (path, headers) in &seen {
        assert_eq!(
            headers["traceparent"].split('-').nth(1),
            Some(trace),
            "{path}"
        );
    }
}
