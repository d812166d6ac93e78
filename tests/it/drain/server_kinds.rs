//! Holds and see-saw deploys with servers of every kind: each server has its earlier state afterwards.

use crate::fixtures::custom_backends::{CustomBackends, since};
use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT};

/// The kind of the server `web02` in a farm of four.
struct Kind {
    /// The options of its line in haproxy.cfg.
    line: &'static str,
    /// Commands to HAProxy before the test.
    commands: &'static [&'static str],
    /// Its admin bits before and after.
    bits: u32,
    /// The reason in `teeter status` if it is out; otherwise empty.
    held_by: &'static str,
    /// The reason if a deploy skips it; otherwise empty.
    skipped: &'static str,
}

impl Kind {
    const UP: Self = Self { line: "check", commands: &[], bits: 0, held_by: "", skipped: "" };

    async fn start(&self, verify: &str) -> CustomBackends {
        let web02 = if self.line.contains("resolvers") {
            format!("nowhere.invalid:80 {}", self.line)
        } else {
            format!("{{web02}} {}", self.line)
        };
        let line = |name: &str| format!("  server {name} {{{name}}} check\n");
        let backends = format!(
            "resolvers absent\n  nameserver none 127.0.0.1:1\n  resolve_retries 1\n  timeout retry 100ms\n\
             backend app\n  option httpchk GET /_status\n  default-server inter 100ms weight 100\n{}  \
             server web02 {web02}\n{}{}backend api\n  server web01 {{web01}} track app/web01\n  \
             server web03 {{web03}} track app/web03\nbackend old\n  server web01 {{web01}} track api/web01\n  \
             server web03 {{web03}} track api/web03\n",
            line("web01"),
            line("web03"),
            line("web04")
        );
        let farm = format!("[farm.web]\nmembers = [\"app/*\", \"api/*\", \"old/*\"]\nhalves = \"auto\"\n{verify}");
        let site = CustomBackends::start(&backends, &farm).await;
        for server in ["app/web01", "app/web03", "app/web04"] {
            site.haproxy.wait_for_check(server).await.unwrap();
        }
        if self.line.contains("check") && self.bits & (MAINT | 32) == 0 {
            site.haproxy.wait_for_check("app/web02").await.unwrap();
            site.haproxy.wait_for_status("app/web02", "UP").await.unwrap();
        }
        for command in self.commands {
            site.tell(command).await;
        }
        assert_eq!(
            (site.bits("app/web02").await, site.held_by("app/web02").await),
            (self.bits, self.held_by.to_owned())
        );
        site
    }

    /// Takes web02 out and back in by each hold and by a deploy, with and without requests to verify it.
    async fn is_restored(&self) {
        for verify in ["", "verify.http = { path = \"/_status\" }\nverify.deadline = \"4s\"\n"] {
            let site = self.start(verify).await;
            let serves = site.status("app/web02").await["in_service"].clone();
            for (command, bits) in [("drain", DRAIN), ("maint", MAINT)] {
                site.done(&[command, "app/web02", "--reason", "r"]).await;
                let forced = if self.bits & MAINT == 0 { bits } else { MAINT };
                assert_eq!(
                    site.bits("app/web02").await,
                    self.bits & !(MAINT | DRAIN) | forced,
                    "{command} {}",
                    self.line
                );
                let release: &[&str] = match self.held_by {
                    // teeter cannot send it a request.
                    "its name has no address" if !verify.is_empty() => &["ready", "app/web02", "--no-verify"],
                    _ => &["ready", "app/web02"],
                };
                site.done(release).await;
                self.is_as_before(&site, &serves).await;
            }
            let deployed = site.teeter(&["deploy", "web", "--", "true"]).await;
            assert_eq!(deployed.code, 0, "{}: {deployed:?}\n{}", self.line, site.daemon.log());
            let shown = site.done(&["show", "1"]).await;
            let skipped = !self.skipped.is_empty();
            assert_eq!(shown.contains("web02 is skipped"), skipped, "{shown}");
            assert!(shown.contains(self.skipped), "{shown}");
            self.is_as_before(&site, &serves).await;
            for server in ["app/web01", "api/web01", "old/web01", "app/web03", "old/web03", "app/web04"] {
                assert_eq!(site.bits(server).await, 0, "{server}");
            }
        }
    }

    async fn is_as_before(&self, site: &CustomBackends, serves: &serde_json::Value) {
        assert_eq!(site.bits("app/web02").await, self.bits, "{}", self.line);
        assert_eq!(site.held_by("app/web02").await, self.held_by, "{}", self.line);
        assert_eq!(site.status("app/web02").await["in_service"], *serves, "{}", self.line);
        assert_eq!(site.holds().await, 0, "{}", self.line);
    }
}

#[tokio::test]
async fn servers_with_and_without_checks_are_restored() {
    Kind::UP.is_restored().await;
    Kind { line: "", ..Kind::UP }.is_restored().await;
}

#[tokio::test]
async fn server_with_disabled_checks_is_restored() {
    Kind { commands: &["disable health app/web02"], ..Kind::UP }.is_restored().await;
}

#[tokio::test]
async fn server_in_slowstart_is_restored() {
    let kind = Kind { line: "check slowstart 10s", ..Kind::UP };
    kind.is_restored().await;
    let site = kind.start("").await;
    site.done(&["maint", "app/web02", "--reason", "r"]).await;
    site.done(&["ready", "app/web02"]).await;
    // It takes traffic with a part of its weight.
    let line = site.haproxy.server_line("app/web02").await.unwrap();
    assert_eq!((line["srv_op_state"].as_str(), line["srv_uweight"].as_str()), ("1", "100"));
    assert_eq!(site.status("app/web02").await["in_service"], true);
}

#[tokio::test]
async fn server_with_init_state_down_is_restored() {
    if since((3, 1), "`init-state`") {
        Kind { line: "check init-state down", ..Kind::UP }.is_restored().await;
        Kind { line: "check init-state fully-down", ..Kind::UP }.is_restored().await;
    }
}

#[tokio::test]
async fn server_of_weight_0_is_restored() {
    let commands = &["set server app/web02 weight 0"];
    Kind { commands, held_by: "its weight is 0", ..Kind::UP }.is_restored().await;
}

#[tokio::test]
async fn server_disabled_in_the_configuration_is_restored() {
    let (bits, held_by) = (MAINT | 4, "disabled in haproxy.cfg");
    Kind { line: "check disabled", bits, held_by, skipped: "web02 is skipped: disabled in haproxy.cfg", ..Kind::UP }
        .is_restored()
        .await;
}

#[tokio::test]
async fn server_without_an_address_is_restored() {
    let (line, held_by) = ("check resolvers absent init-addr none", "its name has no address");
    Kind { line, bits: 32, held_by, skipped: "web02 is skipped: its name has no address", ..Kind::UP }
        .is_restored()
        .await;
}

#[tokio::test]
async fn server_drained_outside_teeter_is_restored() {
    let (commands, held_by) = (&["set server app/web02 state drain"], "drain, set outside teeter");
    Kind { commands, bits: DRAIN, held_by, skipped: "was set to drain outside teeter", ..Kind::UP }.is_restored().await;
}

#[tokio::test]
async fn backup_server_is_restored() {
    Kind { line: "check backup", ..Kind::UP }.is_restored().await;
}

#[tokio::test]
async fn backup_server_counts_only_when_it_carries_its_backend() {
    let backends = "backend app\n  default-server inter 100ms\n  server web01 {web01} check\n  \
                    server web02 {web02} check\n  server web03 {web03} check backup\n  \
                    server web04 {web04} check backup\n";
    let farm = "[farm.web]\nmembers = [\"app/*\"]\nhalves = \"auto\"\nmin_available = 2\n";
    let site = CustomBackends::start(backends, farm).await;
    for server in ["app/web01", "app/web02", "app/web03", "app/web04"] {
        site.haproxy.wait_for_check(server).await.unwrap();
    }
    let refused = site.teeter(&["drain", "app/web01", "--reason", "r"]).await;
    assert_eq!(refused.code, exit::REFUSED, "the backup servers get no traffic beside web02: {refused:?}");
    let refused = site.teeter(&["deploy", "web", "--", "true"]).await;
    assert!(refused.code == exit::REFUSED && refused.err.contains("1 members in service"), "{refused:?}");
    site.daemon.reconfigure(|toml| toml.replace("min_available = 2", "min_available = 1")).await;
    let deployed = site.teeter(&["deploy", "web", "--", "true"]).await;
    assert_eq!(deployed.code, 0, "{deployed:?}");
    let refused = site.teeter(&["drain", "app/*", "--reason", "r"]).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
}

#[tokio::test]
async fn server_set_to_weight_0_during_a_deploy_gets_no_traffic() {
    let site = Kind::UP.start("verify.deadline = \"2s\"\n").await;
    site.done(&["begin", "web"]).await;
    // One of the two servers has weight 0: the other carries the traffic.
    site.tell("set server app/web02 weight 0").await;
    site.done(&["advance", "1"]).await;
    let shown = site.done(&["show", "1"]).await;
    assert!(shown.contains("edge:app/web02: its weight is 0"), "{shown}");
    // Both have weight 0: a flip would leave no server.
    site.done(&["advance", "1"]).await;
    site.done(&["begin", "web"]).await;
    site.tell("set server app/web01 weight 0").await;
    let advanced = site.teeter(&["advance", "2"]).await;
    assert!(advanced.code == exit::FAILED && advanced.err.contains("its weight is 0"), "{advanced:?}");
    assert_eq!((site.bits("app/web03").await, site.bits("app/web04").await), (0, 0));
}
