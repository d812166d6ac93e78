//! Servers with an agent check: it is muted while they are held, and what it said holds again afterwards.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::fixtures::custom_backends::Stand;
use crate::fixtures::site::{DRAIN, MAINT, until};

/// An agent, and a server that it speaks for.
struct Place {
    stand: Stand,
    backends: String,
    word: Arc<Mutex<String>>,
}

impl Place {
    async fn start(word: &str) -> Self {
        let agent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = agent.local_addr().unwrap().port();
        let says = Arc::new(Mutex::new(word.to_owned()));
        let kept = Arc::clone(&says);
        tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = agent.accept().await {
                let line = says.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if line.is_empty() {
                    silent.push(stream);
                } else {
                    // HAProxy may have gone meanwhile.
                    stream.write_all(format!("{line}\n").as_bytes()).await.unwrap_or_default();
                }
            }
        });
        let backends = format!(
            "backend app\n  server web01 {{web01}} check inter 100ms agent-check agent-port {port} agent-inter 50ms\n  \
             server web02 {{web02}}\n"
        );
        let stand = Stand::start(&backends, "").await;
        // In maintenance nothing is checked.
        if word != "maint" {
            stand.haproxy.wait_for_check("app/web01").await.unwrap();
        }
        Self { stand, backends, word: kept }
    }

    /// What it says from now on; nothing at all where empty.
    fn says(&self, word: &str) {
        word.clone_into(&mut self.word.lock().unwrap_or_else(PoisonError::into_inner));
    }

    async fn is_heard(&self) -> bool {
        let line = self.stand.haproxy.server_line("app/web01").await.expect("HAProxy has it");
        line["srv_agent_state"].parse::<u32>().expect("bits are a number") & 4 != 0
    }

    async fn hold(&self, command: &str) {
        self.stand.done(&[command, "app/web01", "--reason", "r"]).await;
        assert!(!self.is_heard().await, "muted by {command}");
    }

    async fn release(&self) {
        self.stand.done(&["ready", "app/web01"]).await;
        assert_eq!(self.stand.holds().await, 0);
    }
}

#[tokio::test]
async fn agent_is_unmuted_after_a_hold_that_a_killed_daemon_began() {
    let mut place = Place::start("ready up").await;
    for (command, bits) in [("drain", DRAIN), ("maint", MAINT)] {
        place.hold(command).await;
        place.stand.daemon.kill().await;
        assert_eq!((place.stand.bits("app/web01").await, place.is_heard().await), (bits, false));
        place.stand.daemon.restart().await;
        assert_eq!((place.stand.bits("app/web01").await, place.is_heard().await), (bits, false));
        place.release().await;
        assert_eq!((place.stand.bits("app/web01").await, place.is_heard().await), (0, true));
    }
}

#[tokio::test]
async fn agent_enabled_by_a_reload_is_muted_again() {
    let mut place = Place::start("ready up").await;
    place.hold("maint").await;
    place.stand.reload(&place.backends).await;
    until(|| async { place.stand.bits("app/web01").await == MAINT && !place.is_heard().await }).await;
    // And where nobody watches meanwhile.
    place.stand.daemon.kill().await;
    place.stand.reload(&place.backends).await;
    assert!(place.is_heard().await);
    place.stand.daemon.restart().await;
    until(|| async { place.stand.bits("app/web01").await == MAINT && !place.is_heard().await }).await;
    place.release().await;
    assert_eq!((place.stand.bits("app/web01").await, place.is_heard().await), (0, true));
}

#[tokio::test]
async fn agent_disabled_outside_teeter_stays_disabled() {
    let place = Place::start("ready up").await;
    place.stand.tell("disable agent app/web01").await;
    for reload in [false, true] {
        place.hold("drain").await;
        if reload {
            place.stand.reload(&place.backends).await;
            until(|| async { place.stand.bits("app/web01").await == DRAIN && !place.is_heard().await }).await;
        }
        place.release().await;
        assert_eq!((place.stand.bits("app/web01").await, place.is_heard().await), (0, false));
    }
}

#[tokio::test]
async fn state_set_by_an_agent_is_restored_and_left_to_the_agent() {
    for (word, bits) in [("drain", DRAIN), ("maint", MAINT)] {
        let place = Place::start(word).await;
        place.stand.wait_for_bits("app/web01", bits).await;
        let held_by = place.stand.held_by("app/web01").await;
        assert_eq!(held_by, format!("{word}, set outside teeter or by its agent"));
        place.hold("maint").await;
        place.says("");
        place.release().await;
        assert_eq!((place.stand.bits("app/web01").await, place.is_heard().await), (bits, true));
        place.says("ready");
        place.stand.wait_for_bits("app/web01", 0).await;
    }
}

#[tokio::test]
async fn server_down_by_its_agent_stays_down_until_the_agent_reports() {
    let place = Place::start("down").await;
    place.stand.haproxy.wait_for_status("app/web01", "DOWN (agent)").await.unwrap();
    assert_eq!(place.stand.held_by("app/web01").await, "its agent says down");
    for (command, release) in
        [("drain", &["ready", "app/web01"][..]), ("maint", &["ready", "app/web01", "--no-verify"])]
    {
        place.hold(command).await;
        place.says("");
        let ready = place.stand.done(release).await;
        assert!(ready.contains("app/web01 stays out: its agent says down"), "{ready}");
        let status = place.stand.status("app/web01").await;
        assert_eq!((&status["status"], &status["in_service"]), (&"DOWN (agent)".into(), &false.into()));
        assert!(place.is_heard().await);
    }
    place.says("up");
    place.stand.haproxy.wait_for_status("app/web01", "UP").await.unwrap();
}
