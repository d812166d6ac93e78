//! Reading haproxy.cfg.

use proptest::prelude::*;

use super::*;

fn check(text: &str) -> Option<HttpCheck> {
    Cfg::parse(&format!("backend app\n{text}")).backends["app"].http_check.clone()
}

#[test]
fn path_of_a_check_is_found_in_each_way_of_writing_it() {
    let path = |path: &str| HttpCheck { path: Some(path.to_owned()), ..HttpCheck::default() };
    for (text, expected) in [
        ("option httpchk /health", path("/health")),
        ("option httpchk GET /health", path("/health")),
        ("option httpchk\nhttp-check send meth GET uri /health ver HTTP/1.1", path("/health")),
        ("option httpchk HEAD /h HTTP/1.1\\r\\nHost:\\ a.b", HttpCheck { host: Some("a.b".into()), ..path("/h") }),
        ("option httpchk\nhttp-check send uri /h hdr Host a.b", HttpCheck { host: Some("a.b".into()), ..path("/h") }),
        ("option httpchk GET /h\nhttp-check expect status 204", HttpCheck { status: Some(204), ..path("/h") }),
        ("option httpchk GET /1\nhttp-check send uri /2\nhttp-check send uri /3", path("/2")),
        ("option httpchk", HttpCheck::default()),
    ] {
        assert_eq!(check(text), Some(expected), "{text}");
    }
    let ranges = check("option httpchk GET /h\nhttp-check expect comment up status 200-399").expect("a check");
    assert_eq!((ranges.status, ranges.other_condition.as_deref()), (None, Some("comment up status 200-399")));
    assert!(check("option httpchk GET /h\nhttp-check expect ! status 500").expect("a check").status.is_none());
    for text in ["", "option httpchk /h\nno option httpchk", "option httpchk /h\noption tcp-check"] {
        assert_eq!(check(text), None, "{text}");
    }
}

#[test]
fn sections_inherit_from_their_defaults() {
    let cfg = Cfg::parse(
        "defaults one\n option httpchk GET /one\n default-server ssl verify none\ndefaults two from one\n \
         option httpchk GET /two\nbackend a\n server s 10.0.0.1:443 check\nbackend b from one\n \
         server s 10.0.0.1:80 no-ssl port 8080\nlisten c\n server s unix@/run/c.sock\n",
    );
    let path = |backend: &str| cfg.backends[backend].http_check.as_ref().and_then(|check| check.path.clone());
    assert_eq!([path("a"), path("b"), path("c")].map(Option::unwrap), ["/two", "/one", "/two"]);
    let a = cfg.server("a", "s").expect("a server");
    assert!(a.tls && a.verify_none && a.address == "10.0.0.1:443");
    let b = cfg.server("b", "s").expect("a server");
    assert!(!b.tls && b.check_port == Some(8080));
    assert_eq!(cfg.server("c", "s").map(|server| server.address.as_str()), Some("unix@/run/c.sock"));
}

#[test]
fn lookups_that_choose_a_backend_are_found() {
    let lookups = |text: &str| -> Vec<(String, Option<String>)> {
        let cfg = Cfg::parse(&format!("frontend www\n{text}"));
        cfg.lookups.into_iter().map(|lookup| (lookup.map, lookup.key)).collect()
    };
    let live = ("/etc/live.map".to_owned(), Some("web".to_owned()));
    for text in [
        "use_backend %[str(web),map(/etc/live.map)]",
        "use_backend %[str(web),map_str(/etc/live.map,web_all)] if TRUE",
        "http-request set-var(txn.live) str(web),map_str(/etc/live.map,web_all)\nuse_backend %[var(txn.live)]",
    ] {
        assert_eq!(lookups(text), std::slice::from_ref(&live), "{text}");
    }
    let hosts = "use_backend %[req.hdr(host),lower,map_dom(/etc/hosts.map,bk)]";
    assert_eq!(lookups(hosts), [("/etc/hosts.map".to_owned(), None)]);
    assert!(lookups("http-request deny if { src,map_ip(/etc/deny.map) -m found }").is_empty());
}

proptest! {
    #[test]
    fn any_text_is_read(line in "(server|option|no|http-check|stick|defaults|backend|use_backend)?[ -~]{0,60}") {
        Cfg::parse(&format!("backend b\n{line}\n{line} {line}"));
        Cfg::parse(&line);
    }

    #[test]
    fn any_bytes_are_read(text in "\\PC{0,80}") {
        Cfg::parse(&text);
    }
}
