//! From what is seen to the text of teeter.toml, read by the configuration's own code.

use std::path::Path;

use proptest::prelude::*;

use super::cfg::Cfg;
use super::*;
use crate::config::Config;
use crate::farm::{Layout, SameProcess, SeenMap, SeenServer, Side};
use crate::haproxy::commands::{BackendRow, Level, MapEntry};
use crate::haproxy::{AdminBits, MapName, OpState};

/// A HAProxy with these lines, each as `BACKEND/SERVER ADDRESS:PORT` and flags.
fn site(lines: &[&str], cfg: &str) -> Site {
    let cfg = (!cfg.is_empty()).then(|| Cfg::parse(cfg));
    let address: Address = "/run/haproxy/admin.sock".parse().unwrap();
    let mut site = Site {
        name: "edge".parse().unwrap(),
        endpoint: address.into(),
        level: Some(Level::Admin),
        master: None,
        seen: Seen { version: "2.6.12".to_owned(), pid: 1, ..Seen::default() },
        settings: BTreeMap::new(),
        cfg,
        maps: BTreeMap::new(),
        cfg_paths: Vec::new(),
    };
    for line in lines {
        let mut words = line.split(' ');
        let name: crate::haproxy::ServerRef = words.next().unwrap().parse().unwrap();
        let (address, port) = words.next().unwrap().rsplit_once(':').unwrap();
        let mut server =
            SeenServer { address: address.to_owned(), port: port.parse().unwrap(), ..SeenServer::sample() };
        for word in words {
            match word.split_once('=') {
                Some(("weight", weight)) => server.weight = weight.parse().unwrap(),
                Some(("track", tracked)) => server.tracked = Some(tracked.parse().unwrap()),
                Some(("algo", algo)) => {
                    let row = BackendRow { algo: algo.to_owned(), mode: "tcp".to_owned() };
                    site.settings.insert(name.backend.clone(), row);
                }
                _ if word == "backup" => server.backup = true,
                _ if word == "disabled" => server.admin = AdminBits(5),
                _ if word == "down" => server.op = OpState::Stopped,
                _ if word == "cookie" => server.load.sticky = true,
                _ => panic!("{word}"),
            }
        }
        let row = || BackendRow { algo: "roundrobin".to_owned(), mode: "http".to_owned() };
        site.settings.entry(name.backend.clone()).or_insert_with(row);
        site.seen.servers.insert(name, server);
    }
    site
}

fn with_map(mut site: Site, map: &str, entries: &[(&str, &str)]) -> Site {
    let map: MapName = map.parse().unwrap();
    let entry = |(key, value): &(&str, &str)| MapEntry { key: (*key).to_owned(), value: (*value).to_owned() };
    let known = entries.iter().map(|(key, value)| (key.parse().unwrap(), Some((*value).to_owned())));
    site.seen.maps.insert(map.clone(), SeenMap { missing: false, entries: known.collect() });
    site.maps.insert(map, entries.iter().map(entry).collect());
    site
}

/// The text, which the configuration's own code accepts, and the layout of each farm.
fn written(site: &Site) -> (String, BTreeMap<FarmName, (Farm, Layout)>, Vec<String>) {
    let (farms, others) = farms_with_routes(site).unwrap();
    let verified: Vec<Verify> = farms.farms.iter().map(|draft| verify::of(site, draft)).collect();
    let notes = notes::refused(site, &farms, &[], &others);
    let text = text(site, &farms, &verified) + &notes::as_comments(&notes);
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    let config = Config::from_text(&text, Path::new("teeter.toml"), std::iter::empty());
    let config = config.unwrap_or_else(|error| panic!("{error}\n{text}"));
    let seen: BTreeMap<InstanceName, &Seen> = [(site.name.clone(), &site.seen)].into();
    let layout = |farm: &Farm| farm.layout(&seen).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let farms = config.farms.into_iter().map(|(name, farm)| (name, (farm.clone(), layout(&farm)))).collect();
    (text, farms, notes)
}

fn members(layout: &Layout) -> Vec<String> {
    layout
        .members
        .iter()
        .map(|(member, lines)| {
            let lines: Vec<String> = lines.iter().map(|line| line.server.to_string()).collect();
            format!("{member}: {}", lines.join(" "))
        })
        .collect()
}

fn groups(layout: &Layout) -> Vec<String> {
    layout
        .groups
        .iter()
        .map(|(group, members)| {
            format!("{group}: {}", members.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        })
        .collect()
}

fn only(farms: &BTreeMap<FarmName, (Farm, Layout)>) -> &(Farm, Layout) {
    assert_eq!(farms.len(), 1, "{:?}", farms.keys());
    farms.values().next().unwrap()
}

#[test]
fn servers_of_several_backends_are_one_farm_with_equal_halves() {
    let cfg = "defaults\n mode http\nbackend app\n option httpchk GET /up\n http-check expect status 204\n";
    let site = site(
        &[
            "app/web1 10.0.0.1:80",
            "app/web2 10.0.0.2:80",
            "app/web10 10.0.0.10:80",
            "app/web3 10.0.0.3:80",
            "api/web1 10.0.0.1:80 track=app/web1",
            "api/web2 10.0.0.2:80 track=app/web2",
            "api/web10 10.0.0.10:80 track=app/web10",
            "api/web3 10.0.0.3:80 track=app/web3",
            "other/x 10.0.1.1:80",
            "other/y 10.0.1.2:80",
            "mail/m 10.0.2.1:25",
        ],
        cfg,
    );
    let (text, farms, notes) = written(&site);
    assert_eq!(farms.keys().map(FarmName::as_str).collect::<Vec<_>>(), ["api", "other"]);
    let (farm, layout) = &farms[&"api".parse().unwrap()];
    assert_eq!(members(layout)[0], "web1: api/web1 app/web1");
    assert_eq!(groups(layout), ["a: web1 web2", "b: web10 web3"]);
    let http = farm.settings.verify.http.as_ref().expect("a request");
    assert_eq!((http.path.as_str(), http.expect), ("/up", 204));
    assert!(text.contains("members = [\"api/*\", \"app/*\"]"), "{text}");
    assert!(notes.iter().any(|note| note.contains("one server") && note.contains("mail")), "{notes:?}");
}

#[test]
fn several_names_of_one_process_are_one_member() {
    let (text, farms, _) = written(&site(
        &[
            "app/web1 10.0.0.1:80",
            "app/web2 10.0.0.2:80",
            "ws/web1-ws 10.0.0.1:80",
            "ws/web2-ws 10.0.0.2:80",
            "admin/web1 10.0.0.1:8080",
            "admin/web2 10.0.0.2:8080",
        ],
        "",
    ));
    let (_, layout) = only(&farms);
    assert_eq!(members(layout), ["web1: admin/web1 app/web1 ws/web1-ws", "web2: admin/web2 app/web2 ws/web2-ws",]);
    assert!(text.contains("web1 = [\"admin/web1\", \"app/web1\", \"ws/web1-ws\"]"), "{text}");
    assert!(text.contains("--cfg"), "{text}");
}

#[test]
fn one_name_of_several_processes_is_several_members() {
    // One name in two backends that share another server.
    let (_, farms, _) =
        written(&site(&["a/s1 10.0.0.1:80", "a/s2 10.0.0.2:80", "b/s1 10.0.0.3:80", "b/s2 10.0.0.2:80"], ""));
    assert_eq!(members(&only(&farms).1), ["a-s1: a/s1", "b-s1: b/s1", "s2: a/s2 b/s2"]);
    // On the machine of HAProxy, ports are different applications.
    let (_, farms, _) =
        written(&site(&["a/s1 127.0.0.1:1", "a/s2 127.0.0.1:2", "b/s1 127.0.0.1:3", "b/s2 127.0.0.1:4"], ""));
    assert_eq!(farms.len(), 2);
}

#[test]
fn halves_of_unequal_weights_are_split_by_weight() {
    let (text, farms, _) = written(&site(
        &[
            "a/s1 10.0.0.1:80 weight=100",
            "a/s2 10.0.0.2:80 weight=100",
            "a/s3 10.0.0.3:80 weight=10",
            "a/s4 10.0.0.4:80 weight=10",
        ],
        "",
    ));
    assert_eq!(groups(&only(&farms).1), ["a: s1 s3", "b: s2 s4"]);
    assert!(text.contains("min_available = 2 "), "{text}");
    let (_, farms, _) = written(&site(&["a/s1 10.0.0.1:80", "a/s2 10.0.0.2:80", "a/s3 10.0.0.3:80"], ""));
    let (farm, layout) = only(&farms);
    assert_eq!(
        (groups(layout), farm.settings.min_available.to_string()),
        (vec!["a: s1".into(), "b: s2 s3".into()], "1".into())
    );
}

#[test]
fn spare_slots_and_sorry_servers_are_no_members_in_use() {
    let (text, farms, _) = written(&site(
        &[
            "a/s1 10.0.0.1:80",
            "a/s2 10.0.0.2:80",
            "a/s3 127.0.0.1:1 disabled",
            "a/s4 127.0.0.1:1 disabled",
            "a/sorry 10.0.9.9:80 backup",
            "b/t1 10.0.1.1:80",
            "b/t2 10.0.1.2:80",
            "b/sorry 10.0.9.9:80 backup",
        ],
        "",
    ));
    assert_eq!(farms.len(), 2, "the server of both that only says sorry does not join them");
    let (farm, layout) = &farms[&"a".parse().unwrap()];
    assert!(farm.settings.halves.is_some() && layout.in_use() == 2 && layout.members.len() == 4, "{text}");
    assert!(text.contains("2 spare slots") && text.contains("stand in for the whole backend: a/sorry"), "{text}");
    // An active server and its standby can carry the traffic for one another.
    let (_, farms, _) = written(&site(&["db/one 10.0.0.1:5432 algo=first", "db/two 10.0.0.2:5432 backup"], ""));
    assert_eq!(only(&farms).1.members.len(), 2);
}

#[test]
fn maps_that_choose_a_backend_are_routes() {
    let cfg = "frontend www\n use_backend %[str(web),map(/etc/live.map,web_all)]\nbackend web_all\n";
    let lines = [
        "web_a/w1 10.0.0.1:80",
        "web_a/w2 10.0.0.2:80",
        "web_b/w3 10.0.0.3:80",
        "web_b/w4 10.0.0.4:80",
        "web_all/w1 10.0.0.1:80",
        "web_all/w2 10.0.0.2:80",
        "web_all/w3 10.0.0.3:80",
        "web_all/w4 10.0.0.4:80",
    ];
    let with_all = with_map(site(&lines, cfg), "/etc/live.map", &[("web", "web_all"), ("unused", "web_a")]);
    let (text, farms, _) = written(&with_all);
    let (farm, layout) = only(&farms);
    assert_eq!((farm.name.as_str(), groups(layout)), ("web", vec!["a: w1 w2".into(), "b: w3 w4".into()]));
    let [route] = &farm.settings.flip.route[..] else { panic!("{text}") };
    assert_eq!(
        (route.key.as_str(), route.side("web_all"), route.side("web_b").map(|side| side.to_string())),
        ("web", Some(Side::All), Some("b".into()))
    );
    // Blue and green share no server.
    let cfg = "frontend www\n use_backend %[req.hdr(host),map(/etc/hosts.map)]\n";
    let lines =
        ["app-blue/b1 10.0.0.1:80", "app-blue/b2 10.0.0.2:80", "app-green/g1 10.0.0.3:80", "app-green/g2 10.0.0.4:80"];
    let twins =
        with_map(site(&lines, cfg), "/etc/hosts.map", &[("a.example", "app-green"), ("b.example", "app-green")]);
    let (text, farms, _) = written(&twins);
    let (farm, layout) = only(&farms);
    assert_eq!(
        (farm.settings.flip.route.len(), groups(layout)),
        (2, vec!["blue: b1 b2".into(), "green: g1 g2".into()]),
        "{text}"
    );
    // A map that leads to one backend only is no route.
    let one = with_map(site(&["x/s1 10.0.0.1:80", "x/s2 10.0.0.2:80"], cfg), "/etc/hosts.map", &[("a.example", "x")]);
    let (text, farms, _) = written(&one);
    assert!(only(&farms).0.settings.flip.route.is_empty() && text.contains("No route: key a.example"), "{text}");
}

#[test]
fn twins_with_the_same_server_names_are_explained() {
    let cfg = "frontend www\n use_backend %[str(x),map(/etc/live.map)]\n";
    let lines = ["x_blue/s1 10.0.0.1:80", "x_blue/s2 10.0.0.2:80", "x_green/s1 10.0.0.3:80", "x_green/s2 10.0.0.4:80"];
    let (_, farms, notes) = written(&with_map(site(&lines, cfg), "/etc/live.map", &[("x", "x_blue")]));
    assert_eq!(farms.len(), 2);
    assert!(notes.iter().any(|note| note.contains("names of their own")), "{notes:?}");
}

#[test]
fn tls_cookies_and_fixed_weights_are_known() {
    let cfg = "backend a\n option httpchk\n http-check send meth GET uri /h hdr Host a.b\n default-server ssl verify none port 8443\n server s1 10.0.0.1:443 check\n server s2 10.0.0.2:443 check\n stick on src\n";
    let (text, farms, notes) =
        written(&site(&["a/s1 10.0.0.1:443 cookie algo=static-rr", "a/s2 10.0.0.2:443 cookie"], cfg));
    let http = only(&farms).0.settings.verify.http.clone().expect("a request");
    assert!(http.tls.is_some_and(|tls| tls.insecure) && http.port == Some(8443) && http.host.as_deref() == Some("a.b"));
    assert!(text.contains("A cookie and a stick table bind"), "{text}");
    assert!(notes.iter().any(|note| note.contains("canary is refused")), "{notes:?}");
    let with_ca = cfg.replace("verify none", "ca-file @system-ca");
    let (text, farms, _) = written(&site(&["a/s1 10.0.0.1:443", "a/s2 10.0.0.2:443"], &with_ca));
    assert!(only(&farms).0.settings.verify.http.is_none() && text.contains("speaks TLS"), "{text}");
}

#[test]
fn leader_of_a_replicated_database_is_recognised() {
    let cfg = "backend redis\n option tcp-check\n tcp-check expect string role:master\n server r1 10.0.0.1:6379 check\n server r2 10.0.0.2:6379 check\n";
    let (_, farms, _) = written(&site(&["redis/r1 10.0.0.1:6379 algo=first", "redis/r2 10.0.0.2:6379 down"], cfg));
    let (farm, layout) = only(&farms);
    assert!(farm.settings.leader && layout.groups.is_empty());
}

#[test]
fn check_for_a_role_verifies_no_server() {
    let cfg = "backend a\n option httpchk GET /leader\n server s1 10.0.0.1:80 check\n server s2 10.0.0.2:80 check\n\
               backend b\n option httpchk GET /up\n server s1 10.0.0.1:80 check\n server s2 10.0.0.2:80 check\n";
    let lines = ["a/s1 10.0.0.1:80", "a/s2 10.0.0.2:80 down", "b/s1 10.0.0.1:80", "b/s2 10.0.0.2:80"];
    let (_, farms, _) = written(&site(&lines, cfg));
    let (farm, _) = only(&farms);
    assert_eq!(farm.settings.verify.http.as_ref().map(|http| http.path.as_str()), Some("/up"));
    assert!(!farm.settings.leader, "each server has a line that is up");
}

#[test]
fn unusual_names_are_written_as_they_are() {
    let (_, farms, _) = written(&site(
        &[
            "shop.example.com:443/w.1:80 10.0.0.1:80",
            "shop.example.com:443/w.2:80 10.0.0.2:80",
            "x/other.1 10.0.0.1:80",
            "x/other.2 10.0.0.2:80",
        ],
        "",
    ));
    assert_eq!(members(&only(&farms).1)[0], "w.1:80: shop.example.com:443/w.1:80 x/other.1");
}

#[test]
fn answer_of_a_server_decides_about_the_request() {
    let cfg = "backend a\n option httpchk GET /h\n server s1 10.0.0.1:80 check\n server s2 10.0.0.2:80 check\n";
    let site = site(&["a/s1 10.0.0.1:80", "a/s2 10.0.0.2:80"], cfg);
    let (farms, _) = farms_with_routes(&site).unwrap();
    let verify = verify::of(&site, &farms.farms[0]);
    assert_eq!(verify.ask.as_deref(), Some("10.0.0.1:80"));
    let learn = |answer| {
        let mut verify = verify.clone();
        verify.learn("10.0.0.1:80", answer);
        verify.http.map(|probe| probe.expect)
    };
    assert_eq!((learn(Ok(200)), learn(Ok(302))), (Ok(200), Ok(302)));
    assert!(learn(Ok(404)).is_err_and(|why| why.contains("404")));
    assert!(learn(Err("no connection".to_owned())).is_err_and(|why| why.contains("no connection")));
}

proptest! {
    #[test]
    fn every_process_is_one_member_of_farms_that_teeter_accepts(
        lines in prop::collection::vec(("[a-d]", "[s-v](\\.[0-9])?", 1..6_u8, 80..83_u16, 0..8_usize), 1..16)
    ) {
        let flags = ["", " backup", " disabled", " weight=0", " weight=7", " down", " cookie", ""];
        let line = |(backend, server, host, port, flag): (String, String, u8, u16, usize)| {
            format!("{backend}/{server} 10.0.0.{host}:{port}{}", flags[flag])
        };
        let lines: Vec<String> = lines.into_iter().map(line).collect();
        let site = site(&lines.iter().map(String::as_str).collect::<Vec<_>>(), "");
        let seen: BTreeMap<InstanceName, &Seen> = [(site.name.clone(), &site.seen)].into();
        let (text, farms, _) = written(&site);
        for (_, layout) in farms.values() {
            let same = SameProcess::find(layout, &seen).without_groups(layout.groups.values());
            prop_assert!(same.is_empty(), "{:?}\n{text}", same.texts());
        }
    }
}
