//! A see-saw, and holds by hand, over servers of every kind: each is afterwards as it was.

use crate::fixtures::custom_backends::{Stand, since};
use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT, until};

/// A farm of four in which `web02` is a server of its own kind: its line, and what somebody told HAProxy about it.
struct Kind {
    line: &'static str,
    told: &'static [&'static str],
    /// Its bits before and after.
    bits: u32,
    /// The words for it while it is out, where it is.
    held_by: &'static str,
    /// Why a deploy leaves it alone, where it does.
    skipped: &'static str,
}

impl Kind {
    const UP: Self = Self { line: "check", told: &[], bits: 0, held_by: "", skipped: "" };

    async fn stand(&self, verify: &str) -> Stand {
        let web02 = if self.line.contains("resolvers") {
            format!("nowhere.invalid:80 {}", self.line)
        } else {
            format!("{{web02}} {}", self.line)
        };
        let line = |name: &str| format!("  server {name} {{{name}}} check\n");
        let backends = format!(
            "resolvers nobody\n  nameserver none 127.0.0.1:1\n  resolve_retries 1\n  timeout retry 100ms\n\
             backend app\n  option httpchk GET /_status\n  default-server inter 100ms weight 100\n{}  \
             server web02 {web02}\n{}{}backend api\n  server web01 {{web01}} track app/web01\n  \
             server web03 {{web03}} track app/web03\nbackend old\n  server web01 {{web01}} track api/web01\n  \
             server web03 {{web03}} track api/web03\n",
            line("web01"),
            line("web03"),
            line("web04")
        );
        let farm = format!("[farm.web]\nmembers = [\"app/*\", \"api/*\", \"old/*\"]\nhalves = \"auto\"\n{verify}");
        let stand = Stand::start(&backends, &farm).await;
        for server in ["app/web01", "app/web03", "app/web04"] {
            stand.haproxy.wait_for_check(server).await.unwrap();
        }
        if self.line.contains("check") && self.bits & (MAINT | 32) == 0 {
            stand.haproxy.wait_for_check("app/web02").await.unwrap();
            stand.haproxy.wait_for_status("app/web02", "UP").await.unwrap();
        }
        for command in self.told {
            stand.tell(command).await;
        }
        assert_eq!(
            (stand.bits("app/web02").await, stand.held_by("app/web02").await),
            (self.bits, self.held_by.to_owned())
        );
        stand
    }

    /// Takes it out and brings it back in every way.
    async fn goes_round(&self) {
        for verify in ["", "verify.http = { path = \"/_status\" }\nverify.deadline = \"4s\"\n"] {
            let stand = self.stand(verify).await;
            let serves = stand.status("app/web02").await["in_service"].clone();
            for (command, bits) in [("drain", DRAIN), ("maint", MAINT)] {
                stand.done(&[command, "app/web02", "--reason", "r"]).await;
                let forced = if self.bits & MAINT == 0 { bits } else { MAINT };
                assert_eq!(
                    stand.bits("app/web02").await,
                    self.bits & !(MAINT | DRAIN) | forced,
                    "{command} {}",
                    self.line
                );
                let release: &[&str] = match self.held_by {
                    // It cannot be asked.
                    "its name has no address" if !verify.is_empty() => &["ready", "app/web02", "--no-verify"],
                    _ => &["ready", "app/web02"],
                };
                stand.done(release).await;
                self.is_as_before(&stand, &serves).await;
            }
            let deployed = stand.teeter(&["deploy", "web", "--", "true"]).await;
            assert_eq!(deployed.code, 0, "{}: {deployed:?}\n{}", self.line, stand.daemon.log());
            let shown = stand.done(&["show", "1"]).await;
            let skipped = !self.skipped.is_empty();
            assert_eq!(shown.contains("web02 is skipped"), skipped, "{shown}");
            assert!(shown.contains(self.skipped), "{shown}");
            self.is_as_before(&stand, &serves).await;
            for server in ["app/web01", "api/web01", "old/web01", "app/web03", "old/web03", "app/web04"] {
                assert_eq!(stand.bits(server).await, 0, "{server}");
            }
        }
    }

    async fn is_as_before(&self, stand: &Stand, serves: &serde_json::Value) {
        assert_eq!(stand.bits("app/web02").await, self.bits, "{}", self.line);
        assert_eq!(stand.held_by("app/web02").await, self.held_by, "{}", self.line);
        assert_eq!(stand.status("app/web02").await["in_service"], *serves, "{}", self.line);
        assert_eq!(stand.holds().await, 0, "{}", self.line);
    }
}

#[tokio::test]
async fn servers_with_and_without_checks_are_restored() {
    Kind::UP.goes_round().await;
    Kind { line: "", ..Kind::UP }.goes_round().await;
}

#[tokio::test]
async fn server_with_disabled_checks_is_restored() {
    Kind { told: &["disable health app/web02"], ..Kind::UP }.goes_round().await;
}

#[tokio::test]
async fn server_in_slowstart_is_restored() {
    let kind = Kind { line: "check slowstart 10s", ..Kind::UP };
    kind.goes_round().await;
    let stand = kind.stand("").await;
    stand.done(&["maint", "app/web02", "--reason", "r"]).await;
    stand.done(&["ready", "app/web02"]).await;
    // It takes traffic, with a part of its weight.
    let line = stand.haproxy.server_line("app/web02").await.unwrap();
    assert_eq!((line["srv_op_state"].as_str(), line["srv_uweight"].as_str()), ("1", "100"));
    assert_eq!(stand.status("app/web02").await["in_service"], true);
}

#[tokio::test]
async fn server_with_init_state_down_is_restored() {
    if since((3, 1), "`init-state`") {
        Kind { line: "check init-state down", ..Kind::UP }.goes_round().await;
        Kind { line: "check init-state fully-down", ..Kind::UP }.goes_round().await;
    }
}

#[tokio::test]
async fn server_of_weight_0_is_restored() {
    let told = &["set server app/web02 weight 0"];
    Kind { told, held_by: "its weight is 0", ..Kind::UP }.goes_round().await;
}

#[tokio::test]
async fn server_disabled_in_the_configuration_is_restored() {
    let (bits, held_by) = (MAINT | 4, "disabled in haproxy.cfg");
    Kind { line: "check disabled", bits, held_by, skipped: "web02 is skipped: disabled in haproxy.cfg", ..Kind::UP }
        .goes_round()
        .await;
}

#[tokio::test]
async fn server_without_an_address_is_restored() {
    let (line, held_by) = ("check resolvers nobody init-addr none", "its name has no address");
    Kind { line, bits: 32, held_by, skipped: "web02 is skipped: its name has no address", ..Kind::UP }
        .goes_round()
        .await;
}

#[tokio::test]
async fn server_drained_outside_teeter_is_restored() {
    let (told, held_by) = (&["set server app/web02 state drain"], "drain, set outside teeter");
    Kind { told, bits: DRAIN, held_by, skipped: "was set to drain outside teeter", ..Kind::UP }.goes_round().await;
}

#[tokio::test]
async fn backup_server_is_restored() {
    Kind { line: "check backup", ..Kind::UP }.goes_round().await;
}

#[tokio::test]
async fn backup_server_counts_only_when_it_carries_its_backend() {
    let backends = "backend app\n  default-server inter 100ms\n  server web01 {web01} check\n  \
                    server web02 {web02} check\n  server web03 {web03} check backup\n  server web04 {web04} check backup\n";
    let farm = "[farm.web]\nmembers = [\"app/*\"]\nhalves = \"auto\"\nmin_available = 2\n";
    let stand = Stand::start(backends, farm).await;
    for server in ["app/web01", "app/web02", "app/web03", "app/web04"] {
        stand.haproxy.wait_for_check(server).await.unwrap();
    }
    let refused = stand.teeter(&["drain", "app/web01", "--reason", "r"]).await;
    assert_eq!(refused.code, exit::REFUSED, "the backups get nothing beside web02: {refused:?}");
    let refused = stand.teeter(&["deploy", "web", "--", "true"]).await;
    assert!(refused.code == exit::REFUSED && refused.err.contains("1 members in service"), "{refused:?}");
    let config = std::fs::read_to_string(stand.daemon.config()).expect("it is there");
    let one = config.replace("min_available = 2", "min_available = 1");
    std::fs::write(stand.daemon.config(), one).expect("it is written");
    stand.daemon.signal("-HUP").await;
    until(|| async { stand.daemon.log().contains("configuration read again") }).await;
    let deployed = stand.teeter(&["deploy", "web", "--", "true"]).await;
    assert_eq!(deployed.code, 0, "{deployed:?}");
    let refused = stand.teeter(&["drain", "app/*", "--reason", "r"]).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
}

#[tokio::test]
async fn server_set_to_weight_0_during_a_deploy_gets_no_traffic() {
    let stand = Kind::UP.stand("verify.deadline = \"2s\"\n").await;
    stand.done(&["begin", "web"]).await;
    // One of the two: the other carries the traffic.
    stand.tell("set server app/web02 weight 0").await;
    stand.done(&["advance", "1"]).await;
    let shown = stand.done(&["show", "1"]).await;
    assert!(shown.contains("edge:app/web02: its weight is 0"), "{shown}");
    // Both, and a flip would leave nobody.
    stand.done(&["advance", "1"]).await;
    stand.done(&["begin", "web"]).await;
    stand.tell("set server app/web01 weight 0").await;
    let advanced = stand.teeter(&["advance", "2"]).await;
    assert!(advanced.code == exit::FAILED && advanced.err.contains("its weight is 0"), "{advanced:?}");
    assert_eq!((stand.bits("app/web03").await, stand.bits("app/web04").await), (0, 0));
}
