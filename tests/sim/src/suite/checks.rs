//! Health checks, agents, and weights.

use super::{Found, Subject, answers, becomes, expect, has, row, send, settled, stays};
use crate::fake::Series;

pub(super) async fn failures_and_successes_are_counted<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    subject.set_healthy("web01", false);
    becomes(subject, "app/web01", &[("status", "DOWN"), ("check_status", "L7STS"), ("chkdown", "1")]).await?;
    // While the next check runs, there is no result.
    becomes(subject, "app/web01", &[("srv_check_status", "17"), ("srv_check_result", "2"), ("chkfail", "2")]).await?;
    has(subject, "app/BACKEND", &[("act", "1"), ("weight", "50")]).await?;
    subject.set_healthy("web01", true);
    // Until the last success it is still down.
    becomes(subject, "app/web01", &[("status", "DOWN 1/3"), ("srv_op_state", "0"), ("srv_check_health", "1")]).await?;
    becomes(subject, "app/web01", &[("status", "UP"), ("srv_op_state", "2"), ("srv_check_health", "4")]).await
}

pub(super) async fn a_disabled_check_freezes<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    send(subject, "disable health app/web01").await?;
    subject.set_healthy("web01", false);
    stays(subject, "app/web01", &[("srv_op_state", "2"), ("srv_check_state", "2"), ("status", "no check")]).await?;
    send(subject, "enable health app/web01").await?;
    becomes(subject, "app/web01", &[("srv_op_state", "0"), ("status", "DOWN")]).await
}

pub(super) async fn an_agent_changes_the_state<S: Subject>(subject: &mut S) -> Found {
    for (words, admin) in [("drain", "8"), ("maint", "1"), ("ready", "0")] {
        subject.set_agent(words);
        becomes(subject, "agents/talk", &[("srv_admin_state", admin)]).await?;
    }
    has(subject, "agents/talk", &[("srv_op_state", "2"), ("srv_agent_state", "22")]).await
}

pub(super) async fn an_agent_undoes_a_drain<S: Subject>(subject: &mut S) -> Found {
    subject.set_agent("ready");
    for state in ["drain", "maint"] {
        send(subject, &format!("set server agents/talk state {state}")).await?;
        becomes(subject, "agents/talk", &[("srv_admin_state", "0"), ("srv_op_state", "2")]).await?;
    }
    Ok(())
}

pub(super) async fn an_agent_sets_health_and_weight<S: Subject>(subject: &mut S) -> Found {
    subject.set_agent("down");
    becomes(subject, "agents/talk", &[("srv_op_state", "0"), ("agent_health", "0"), ("status", "DOWN (agent)")])
        .await?;
    // A server whose agent has reported `down` stays down after maintenance.
    send(subject, "set server agents/talk state maint").await?;
    send(subject, "set server agents/talk state ready").await?;
    has(subject, "agents/talk", &[("srv_admin_state", "0"), ("srv_op_state", "0")]).await?;
    subject.set_agent("up 50%");
    becomes(subject, "agents/talk", &[("srv_op_state", "2"), ("agent_health", "1"), ("srv_uweight", "50")]).await?;
    has(subject, "agents/talk", &[("srv_iweight", "100"), ("srv_admin_state", "0")]).await
}

pub(super) async fn a_disabled_agent_has_no_effect<S: Subject>(subject: &mut S) -> Found {
    send(subject, "disable agent agents/talk").await?;
    subject.set_agent("drain");
    stays(subject, "agents/talk", &[("srv_admin_state", "0"), ("srv_agent_state", "18"), ("agent_health", "")]).await?;
    answers(subject, "set server agents/talk agent down", "agent checks are not enabled on this server.\n\n").await?;
    send(subject, "enable agent agents/talk").await?;
    becomes(subject, "agents/talk", &[("srv_admin_state", "8"), ("srv_agent_state", "22")]).await?;
    has(subject, "agents/talk", &[("status", "DRAIN (agent)")]).await
}

pub(super) async fn set_agent_down_stops_a_server<S: Subject>(subject: &mut S) -> Found {
    send(subject, "set server agents/talk agent down").await?;
    becomes(subject, "agents/talk", &[("srv_op_state", "0"), ("agent_health", "0")]).await?;
    subject.set_agent("up");
    becomes(subject, "agents/talk", &[("srv_op_state", "2"), ("agent_health", "1")]).await
}

pub(super) async fn weights_are_set<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    for (weight, uweight) in [("7", "7"), ("0", "0"), ("256", "256"), ("50%", "25"), ("1%", "0"), ("100%", "50")] {
        send(subject, &format!("set server app/web01 weight {weight}")).await?;
        has(subject, "app/web01", &[("srv_uweight", uweight), ("srv_iweight", "50"), ("status", "UP")]).await?;
        let row = row(subject, "app/web01").await;
        let shown = row.get("uweight").is_none_or(|shown| shown == uweight);
        expect(&format!("uweight after {weight}: {:?}", row.get("uweight")), shown)?;
    }
    send(subject, "set server app/web01 weight 0").await?;
    has(subject, "app/BACKEND", &[("act", "1"), ("weight", "50")]).await?;
    answers(subject, "get weight app/web01", "0 (initial 50)\n\n").await?;
    // Without an address nothing is added. The refusal shows that the backend accepts weights.
    if subject.series() != Series::V2_2 {
        let refused = if subject.series() < Series::V3_4 {
            "'server' expects <name> and <addr>[:<port>] as arguments.\n\n"
        } else {
            "Already exists a server with the same name in backend.\n\n"
        };
        answers(subject, "add server app/web01", refused).await?;
    }
    // Maintenance does not change the weight.
    send(subject, "set server app/web01 state maint").await?;
    send(subject, "set server app/web01 weight 9").await?;
    send(subject, "set server app/web01 state ready").await?;
    has(subject, "app/web01", &[("srv_uweight", "9"), ("srv_op_state", "2")]).await
}
