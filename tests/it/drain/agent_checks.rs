//! Servers with an agent check: teeter disables it while they are held, and its last answer applies again afterwards.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::fixtures::custom_backends::CustomBackends;
use crate::fixtures::site::{DRAIN, MAINT, until};

/// An HAProxy with the server `app/web01`, and the agent of that server.
struct AgentSite {
    site: CustomBackends,
    backends: String,
    answer: Arc<Mutex<String>>,
}

impl AgentSite {
    /// Starts the agent with this answer.
    async fn start(answer: &str) -> Self {
        let agent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = agent.local_addr().unwrap().port();
        let current = Arc::new(Mutex::new(answer.to_owned()));
        let shared = Arc::clone(&current);
        tokio::spawn(async move {
            let mut unanswered = Vec::new();
            while let Ok((mut stream, _)) = agent.accept().await {
                let line = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if line.is_empty() {
                    unanswered.push(stream);
                } else {
                    // HAProxy may have closed the connection.
                    let _ = stream.write_all(format!("{line}\n").as_bytes()).await;
                }
            }
        });
        let backends = format!(
            "backend app\n  server web01 {{web01}} check inter 100ms agent-check agent-port {port} agent-inter 50ms\n  \
             server web02 {{web02}}\n"
        );
        let site = CustomBackends::start(&backends, "").await;
        // HAProxy does not check a server in maintenance.
        if answer != "maint" {
            site.haproxy.wait_for_check("app/web01").await.unwrap();
        }
        Self { site, backends, answer: shared }
    }

    /// Sets the answer of the agent; if it is empty, the agent accepts connections and does not answer.
    fn set_answer(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock().unwrap_or_else(PoisonError::into_inner));
    }

    async fn agent_is_enabled(&self) -> bool {
        let line = self.site.haproxy.server_line("app/web01").await.expect("HAProxy has it");
        line["srv_agent_state"].parse::<u32>().expect("bits are a number") & 4 != 0
    }

    async fn hold(&self, command: &str) {
        self.site.done(&[command, "app/web01", "--reason", "r"]).await;
        assert!(!self.agent_is_enabled().await, "disabled by {command}");
    }

    async fn release(&self) {
        self.site.done(&["ready", "app/web01"]).await;
        assert_eq!(self.site.holds().await, 0);
    }
}

#[tokio::test]
async fn agent_is_disabled_while_its_server_is_held() {
    let agent = AgentSite::start("ready up").await;
    assert!(agent.agent_is_enabled().await);
    for command in ["drain", "maint"] {
        agent.hold(command).await;
    }
    // An agent that is still enabled would have answered many times within this second.
    let site = &agent.site;
    until(|| async { site.haproxy.stat("app/web02").await.unwrap()["lastchg"].parse::<u32>().unwrap() > 1 }).await;
    assert_eq!(site.bits("app/web01").await, MAINT);
    agent.release().await;
    assert_eq!((site.bits("app/web01").await, agent.agent_is_enabled().await), (0, true));
}

#[tokio::test]
async fn agent_is_enabled_after_a_hold_that_a_killed_daemon_began() {
    let mut agent = AgentSite::start("ready up").await;
    for (command, bits) in [("drain", DRAIN), ("maint", MAINT)] {
        agent.hold(command).await;
        agent.site.daemon.kill().await;
        assert_eq!((agent.site.bits("app/web01").await, agent.agent_is_enabled().await), (bits, false));
        agent.site.daemon.restart().await;
        assert_eq!((agent.site.bits("app/web01").await, agent.agent_is_enabled().await), (bits, false));
        agent.release().await;
        assert_eq!((agent.site.bits("app/web01").await, agent.agent_is_enabled().await), (0, true));
    }
}

#[tokio::test]
async fn agent_enabled_by_a_reload_is_disabled_again() {
    let mut agent = AgentSite::start("ready up").await;
    agent.hold("maint").await;
    agent.site.reload(&agent.backends).await;
    until(|| async { agent.site.bits("app/web01").await == MAINT && !agent.agent_is_enabled().await }).await;
    // The same while no daemon runs.
    agent.site.daemon.kill().await;
    agent.site.reload(&agent.backends).await;
    assert!(agent.agent_is_enabled().await);
    agent.site.daemon.restart().await;
    until(|| async { agent.site.bits("app/web01").await == MAINT && !agent.agent_is_enabled().await }).await;
    agent.release().await;
    assert_eq!((agent.site.bits("app/web01").await, agent.agent_is_enabled().await), (0, true));
}

#[tokio::test]
async fn agent_disabled_outside_teeter_stays_disabled() {
    let agent = AgentSite::start("ready up").await;
    agent.site.tell("disable agent app/web01").await;
    for reload in [false, true] {
        agent.hold("drain").await;
        if reload {
            agent.site.reload(&agent.backends).await;
            until(|| async { agent.site.bits("app/web01").await == DRAIN && !agent.agent_is_enabled().await }).await;
        }
        agent.release().await;
        assert_eq!((agent.site.bits("app/web01").await, agent.agent_is_enabled().await), (0, false));
    }
}

#[tokio::test]
async fn state_set_by_an_agent_is_restored_and_left_to_the_agent() {
    for (word, bits) in [("drain", DRAIN), ("maint", MAINT)] {
        let agent = AgentSite::start(word).await;
        agent.site.wait_for_bits("app/web01", bits).await;
        let held_by = agent.site.held_by("app/web01").await;
        assert_eq!(held_by, format!("{word}, set outside teeter or by its agent"));
        agent.hold("maint").await;
        agent.set_answer("");
        agent.release().await;
        assert_eq!((agent.site.bits("app/web01").await, agent.agent_is_enabled().await), (bits, true));
        agent.set_answer("ready");
        agent.site.wait_for_bits("app/web01", 0).await;
    }
}

#[tokio::test]
async fn server_down_by_its_agent_stays_down_until_the_agent_reports() {
    let agent = AgentSite::start("down").await;
    agent.site.haproxy.wait_for_status("app/web01", "DOWN (agent)").await.unwrap();
    assert_eq!(agent.site.held_by("app/web01").await, "its agent says down");
    for (command, release) in
        [("drain", &["ready", "app/web01"][..]), ("maint", &["ready", "app/web01", "--no-verify"])]
    {
        agent.hold(command).await;
        agent.set_answer("");
        let ready = agent.site.done(release).await;
        assert!(ready.contains("app/web01 stays out: its agent says down"), "{ready}");
        let status = agent.site.status("app/web01").await;
        assert_eq!((&status["status"], &status["in_service"]), (&"DOWN (agent)".into(), &false.into()));
        assert!(agent.agent_is_enabled().await);
    }
    agent.set_answer("up");
    agent.site.haproxy.wait_for_status("app/web01", "UP").await.unwrap();
}
