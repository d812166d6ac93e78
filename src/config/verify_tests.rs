//! Tests: mistakes in the settings of a verification are reported with their place.

use super::tests::error;
use super::*;

const FARM: &str = "[farm.web]\nmembers = [\"app/*\"]\n[farm.web.verify]\n";

fn refused(cases: &[(&str, &str, &str)]) {
    for (text, place, says) in cases {
        let error = error(&format!("{FARM}{text}\n"), &[]);
        assert!(error.starts_with(place) && error.contains(says), "{text:?} gave {error}");
    }
}

#[test]
fn an_impossible_source_of_the_version_is_refused() {
    refused(&[
        ("http = { path = \"/\", version = { json = \"version\" } }", "4:41: ", "begins with a slash"),
        ("http = { path = \"/\", version = { json = \"/a~b\" } }", "4:41: ", "a tilde in a name"),
        ("http = { path = \"/\", version = { regex = \"build ([0-9]\" } }", "4:42: ", "unclosed group"),
        ("http = { path = \"/\", version = { header = \"x\", json = \"/v\" } }", "4:32: ", "exactly one of header"),
        ("http = { path = \"/\", version = {} }", "4:32: ", "exactly one of header"),
        ("http = { path = \"/\", version = { built = {} } }", "4:42: ", "exactly one of header and json"),
        ("http = { path = \"/\", version = { built = { regex = \"x\" } } }", "4:44: ", "unknown field `regex`"),
        ("http = { path = \"/\", version = { header = \"a b\" } }", "4:22: ", "not the name of a header"),
        ("[farm.web.verify.http]\npath = \"status\"", "5:1: ", "is not a path"),
        ("http = { path = \"/\", expect = 20 }", "4:22: ", "20 is not the HTTP status of an answer"),
        ("http = { path = \"/\", port = 0 }", "4:22: ", "verify.http.port: nothing listens on port 0"),
        ("http = { path = \"/\", port = 65536 }", "4:29: ", "u16"),
        ("http = { path = \"/\", timeout = \"0s\" }", "4:22: ", "verify.http.timeout: the timeout is zero"),
        ("deadline = \"0s\"", "4:1: ", "verify.deadline is zero"),
    ]);
}

#[test]
fn tls_without_an_authority_is_refused() {
    refused(&[
        ("http = { path = \"/\", tls = true }", "4:22: ", "write tls = { ca = "),
        ("http = { path = \"/\", tls = \"perhaps\" }", "4:28: ", "expected true, false, or a table"),
        ("http = { path = \"/\", tls = { cert = \"/c\" } }", "4:30: ", "unknown field `cert`"),
        ("http = { path = \"/\", tls = { ca = \"c.pem\" } }", "4:22: ", "not an absolute path"),
    ]);
}

#[test]
fn an_impossible_warm_up_is_refused() {
    let all = "paths = [\"/\"]\nbelow = \"200ms\"\n";
    let with = |line: &str| format!("[farm.web.verify.warm_up]\n{all}{line}");
    for (line, place, says) in [
        ("in_a_row = 0", "7:1: ", "give at least 1"),
        ("in_a_row = -1", "7:12: ", "invalid value"),
        ("deadline = \"100ms\"", "7:1: ", "not longer than one fast answer"),
        ("on_deadline = \"kill\"", "7:15: ", "unknown variant `kill`"),
        ("expect = 2000", "7:1: ", "not the HTTP status of an answer"),
        ("port = 0", "7:1: ", "verify.warm_up.port: nothing listens on port 0"),
        ("times = 3", "7:1: ", "unknown field `times`"),
        ("host = \"a b\"", "7:1: ", "not a host"),
        ("tls = true", "7:1: ", "write tls = { ca = "),
    ] {
        refused(&[(&with(line), place, says)]);
    }
    refused(&[
        ("warm_up = { paths = [], below = \"200ms\" }", "4:13: ", "give at least one path"),
        ("warm_up = { paths = [\"/\", \"products\"], below = \"200ms\" }", "4:27: ", "\"products\" is not a path"),
        ("warm_up = { paths = [\"/\"], below = \"0s\" }", "4:28: ", "below is zero"),
        ("warm_up = { paths = [\"/\"], below = \"200\" }", "4:36: ", "is not a length of time"),
        ("warm_up = { paths = [\"/\"] }", "4:11: ", "missing field `below`"),
        ("warm_up = { below = \"1s\" }", "4:11: ", "missing field `paths`"),
    ]);
}

#[test]
fn variables_set_the_verification() {
    let verify = |name: &str, value: &str| {
        let name = format!("TEETER_FARM__web__VERIFY__{name}");
        let config = tests::load(&format!("{FARM}http.path = \"/\"\n"), &[(&name, value)]).unwrap();
        config.farms[&"web".parse().unwrap()].settings.verify.clone()
    };
    let http = verify("HTTP__VERSION", "{ json = \"/v\" }").http.unwrap();
    assert!(matches!(http.version, Some(crate::farm::VersionSource::Json(place)) if place.as_str() == "/v"));
    let http = verify("HTTP__VERSION__BUILT__HEADER", "x-built").http.unwrap();
    assert!(http.version.is_some_and(|version| !version.names()));
    assert_eq!(verify("HTTP__TLS", "false").http.unwrap().tls, None);
    assert!(verify("HTTP__TLS__INSECURE", "true").http.unwrap().tls.unwrap().insecure);
    let warm_up = verify("WARM_UP", "{ paths = [\"/\"], below = \"200ms\", in_a_row = 5 }").warm_up.unwrap();
    assert_eq!((warm_up.in_a_row, warm_up.expect), (5, 200));
}
