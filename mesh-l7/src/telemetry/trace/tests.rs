//! Headers from the examples of W3C Trace Context and of openzipkin's b3-propagation.

use super::*;

const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
const SPAN: &str = "e457b5a2e4d86bd1";

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

/// All trace headers that a request goes on with, sorted; new ids are 0x77 and up.
fn passed_on(settings: &TraceSettings, lines: &[(&'static str, &str)]) -> Vec<String> {
    let mut headers = headers(lines);
    let mut next = 0x76_u64;
    let mut random = || {
        next += 1;
        next
    };
    settings.pass_on(&mut headers, &mut random);
    let line =
        |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let mut lines: Vec<_> = headers.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn a_trace_goes_on_in_the_formats_that_it_came_with() {
    let w3c = format!("00-{TRACE}-{SPAN}-01");
    let next = format!("traceparent: 00-{TRACE}-0000000000000077-01");
    type Case<'a> = (&'a str, &'a [(&'static str, &'a str)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (
            "W3C with its state",
            &[("traceparent", &w3c), ("tracestate", "congo=t61")],
            &[&next, "tracestate: congo=t61"],
        ),
        (
            "W3C before B3",
            &[
                ("traceparent", &w3c),
                ("b3", "00000000000000010000000000000002-0000000000000003-0"),
            ],
            &[
                "b3: 80f198ee56343ba864fe8b2a57d3eff7-0000000000000077-1-e457b5a2e4d86bd1",
                &next,
            ],
        ),
        (
            "B3 in one header, and a state without a parent",
            &[
                (
                    "b3",
                    "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
                ),
                ("tracestate", "congo=t61"),
            ],
            &[
                "b3: 80f198ee56343ba864fe8b2a57d3eff7-0000000000000077-1-e457b5a2e4d86bd1",
                &next,
            ],
        ),
        (
            "B3 in many headers",
            &[
                ("x-b3-traceid", TRACE),
                ("x-b3-spanid", SPAN),
                ("x-b3-parentspanid", "05e3ac9a4f6e3b90"),
                ("x-b3-sampled", "0"),
            ],
            &[
                "traceparent: 00-80f198ee56343ba864fe8b2a57d3eff7-0000000000000077-00",
                "x-b3-parentspanid: e457b5a2e4d86bd1",
                "x-b3-sampled: 0",
                "x-b3-spanid: 0000000000000077",
                "x-b3-traceid: 80f198ee56343ba864fe8b2a57d3eff7",
            ],
        ),
        (
            "B3 with a short id, to be recorded by all means",
            &[
                ("x-b3-traceid", "64fe8b2a57d3eff7"),
                ("x-b3-spanid", SPAN),
                ("x-b3-flags", "1"),
            ],
            &[
                "traceparent: 00-000000000000000064fe8b2a57d3eff7-0000000000000077-01",
                "x-b3-flags: 1",
                "x-b3-parentspanid: e457b5a2e4d86bd1",
                "x-b3-spanid: 0000000000000077",
                "x-b3-traceid: 64fe8b2a57d3eff7",
            ],
        ),
        (
            "one header of B3 that is wrong, and many that are right",
            &[
                ("b3", "nonsense"),
                ("x-b3-traceid", TRACE),
                ("x-b3-spanid", SPAN),
                ("x-b3-sampled", "true"),
            ],
            &[
                "b3: 80f198ee56343ba864fe8b2a57d3eff7-0000000000000077-1-e457b5a2e4d86bd1",
                &next,
                "x-b3-parentspanid: e457b5a2e4d86bd1",
                "x-b3-sampled: 1",
                "x-b3-spanid: 0000000000000077",
                "x-b3-traceid: 80f198ee56343ba864fe8b2a57d3eff7",
            ],
        ),
    ];
    for (name, lines, expected) in cases {
        let found = passed_on(&TraceSettings::default(), lines);
        assert_eq!(found, *expected, "{name}");
    }
}

#[test]
fn a_request_without_a_trace_gets_one() {
    // 0x77 and 0x78 are its halves, 0x79 this proxy's place.
    let fresh = |flags| {
        format!("traceparent: 00-00000000000000770000000000000078-0000000000000079-{flags}")
    };
    let all = TraceSettings {
        sampled: 1_000_000,
        ..TraceSettings::default()
    };
    let none = TraceSettings { sampled: 0, ..all };
    assert_eq!(passed_on(&none, &[]), [fresh("00")]);
    assert_eq!(passed_on(&all, &[]), [fresh("01")]);
    let wrong = [("traceparent", "00-0-0-01"), ("tracestate", "a=b")];
    assert_eq!(passed_on(&none, &wrong), [fresh("00")]);
    let two = format!("00-{TRACE}-{SPAN}-01");
    let twice = [("traceparent", &*two), ("traceparent", &*two)];
    assert_eq!(passed_on(&none, &twice), [fresh("00")], "which one is it?");
    let refused = passed_on(&all, &[("b3", "0")]);
    let b3 = "b3: 00000000000000770000000000000078-0000000000000079-0";
    assert_eq!(refused, [b3, &fresh("00")], "a decision without a trace");
    let formats = TraceFormats {
        w3c: false,
        b3: false,
        b3_multi: true,
    };
    let multi = TraceSettings { formats, ..all };
    assert_eq!(
        passed_on(&multi, &[]),
        [
            "x-b3-sampled: 1",
            "x-b3-spanid: 0000000000000079",
            "x-b3-traceid: 00000000000000770000000000000078",
        ]
    );
}

#[test]
fn without_a_place_of_its_own_a_proxy_changes_nothing() {
    let settings = TraceSettings {
        place: TracePlace::None,
        ..TraceSettings::default()
    };
    assert_eq!(passed_on(&settings, &[]), [""; 0]);
    let value = format!("00-{TRACE}-{SPAN}-00");
    let lines = [("traceparent", &*value), ("tracestate", "a=b")];
    assert_eq!(
        passed_on(&settings, &lines),
        [
            format!("traceparent: {value}"),
            "tracestate: a=b".to_owned()
        ]
    );
    let trace = settings.pass_on(&mut headers(&lines), &mut || 1);
    assert_eq!(trace.unwrap().to_string(), value);
}

#[test]
fn a_share_of_the_traces_is_recorded_and_all_proxies_agree_which() {
    let settings = TraceSettings {
        sampled: 250_000,
        ..TraceSettings::default()
    };
    let sampled = |low: u64| {
        let value = format!("{low:016x}-{SPAN}");
        let mut headers = headers(&[("b3", &value)]);
        let trace = settings.pass_on(&mut headers, &mut || 5);
        trace.unwrap().is_sampled()
    };
    let share = (1..=1_000)
        .filter(|n| sampled(u64::MAX / 1_000 * n))
        .count();
    assert!((249..=250).contains(&share), "{share}");
}

#[test]
fn b3_is_read_as_it_is_written() {
    for (value, ok) in [
        ("0", true),
        ("1", true),
        ("d", true),
        ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1", true),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-0", true),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-d-05e3ac9a4f6e3b90", true),
        ("", false),
        ("2", false),
        ("true", false),
        ("80F198EE56343BA864FE8B2A57D3EFF7-e457b5a2e4d86bd1", false),
        ("80f198ee56343ba864fe8b2a57d3eff-e457b5a2e4d86bd1", false),
        ("0000000000000000-e457b5a2e4d86bd1", false),
        ("64fe8b2a57d3eff7-0000000000000000", false),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd", false),
        ("64fe8b2a57d3eff7", false),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-", false),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-1-", false),
        (
            "64fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90-",
            false,
        ),
    ] {
        let parsed = B3::parse(value.as_bytes());
        assert_eq!(parsed.is_ok(), ok, "{value}");
        if let Ok(b3) = parsed {
            assert_eq!(b3.value(), value);
        }
    }
}
