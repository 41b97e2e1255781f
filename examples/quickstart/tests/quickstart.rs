//! The program itself, as a new user runs it.
#![allow(clippy::unwrap_used)]

use std::process::Command;

fn quickstart(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_quickstart"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn it_shows_an_allowed_and_a_refused_request_from_both_proxies() {
    let (success, shown, error) = quickstart(&[]);
    assert!(success, "{error}");
    for expected in [
        "answer          200 OK",
        "peer is  spiffe://cluster.local/ns/default/sa/hello (verified)",
        "peer is  spiffe://cluster.local/ns/default/sa/shop (verified)",
        "CONNECT 127.0.0.1:8080",
        "401 Unauthorized",
        "PolicyDenied",
        "hello may be called by shop alone",
        "through the mesh",
    ] {
        assert!(
            shown.contains(expected),
            "{expected:?} is missing in:\n{shown}"
        );
    }
}

#[test]
fn help_is_shown_and_a_wrong_option_is_named() {
    let (success, shown, _) = quickstart(&["--help"]);
    assert!(success && shown.contains("--serve"), "{shown}");
    let (success, _, error) = quickstart(&["--sevre"]);
    assert!(!success && error.contains("--sevre"), "{error}");
}
