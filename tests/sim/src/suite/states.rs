//! `ready`, `drain`, `maint` and `health down`: their effects on a server and on lines that track it.

use super::{Found, Subject, becomes, has, send, settled, stays};

pub(super) async fn a_farm_begins_as_configured<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    let up = [("srv_op_state", "2"), ("srv_admin_state", "0"), ("srv_uweight", "50"), ("srv_iweight", "50")];
    has(subject, "app/web01", &up).await?;
    let checked = [("srv_check_status", "15"), ("srv_check_result", "3"), ("srv_check_state", "6")];
    becomes(subject, "app/web01", &checked).await?;
    let shown = [("weight", "50"), ("act", "1"), ("bck", "0"), ("cookie", "one"), ("tracked", ""), ("check_rise", "3")];
    has(subject, "app/web01", &shown).await?;
    let counted =
        [("check_fall", "2"), ("check_health", "4"), ("qcur", "0"), ("scur", "0"), ("stot", "0"), ("econ", "0")];
    has(subject, "app/web01", &counted).await?;
    let ids = [("be_id", "4"), ("srv_id", "1"), ("bk_f_forced_id", "0"), ("srv_f_forced_id", "0"), ("srv_fqdn", "-")];
    has(subject, "app/web01", &ids).await?;
    let off = [("srv_op_state", "0"), ("srv_admin_state", "5"), ("srv_check_health", "0"), ("srv_check_state", "14")];
    has(subject, "app/web03", &off).await?;
    has(subject, "app/web03", &[("status", "MAINT"), ("check_status", "")]).await?;
    let follows = [("srv_op_state", "2"), ("srv_admin_state", "0"), ("srv_check_state", "0"), ("tracked", "app/web01")];
    has(subject, "api/web01", &follows).await?;
    has(subject, "api/web01", &[("status", "UP"), ("check_status", ""), ("check_rise", "")]).await?;
    has(subject, "lone/solo", &[("status", "no check"), ("srv_op_state", "2"), ("slim", "1")]).await?;
    has(subject, "agents/talk", &[("srv_agent_state", "22"), ("srv_check_state", "0"), ("srv_op_state", "2")]).await?;
    has(subject, "app/BACKEND", &[("status", "UP"), ("weight", "100"), ("act", "2"), ("bck", "0"), ("scur", "0")]).await
}

pub(super) async fn drain_keeps_checks_and_health<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    send(subject, "set server app/web01 state drain").await?;
    let drained = [("srv_admin_state", "8"), ("srv_op_state", "2"), ("status", "DRAIN"), ("srv_check_state", "6")];
    stays(subject, "app/web01", &drained).await?;
    has(subject, "app/web01", &[("srv_check_health", "4"), ("srv_uweight", "50"), ("check_status", "L7OK")]).await?;
    has(subject, "app/BACKEND", &[("act", "1"), ("weight", "50"), ("status", "UP")]).await?;
    send(subject, "set server app/web01 state ready").await?;
    has(subject, "app/web01", &[("srv_admin_state", "0"), ("srv_check_health", "4"), ("status", "UP")]).await
}

pub(super) async fn a_drained_server_that_fails_is_down<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    send(subject, "set server app/web01 state drain").await?;
    subject.set_healthy("web01", false);
    let down = [("srv_admin_state", "8"), ("srv_op_state", "0"), ("status", "DOWN"), ("srv_check_health", "0")];
    becomes(subject, "app/web01", &down).await?;
    // It is still down after `ready`.
    send(subject, "set server app/web01 state ready").await?;
    has(subject, "app/web01", &[("srv_admin_state", "0"), ("srv_op_state", "0"), ("status", "DOWN")]).await
}

pub(super) async fn maintenance_pauses_checks<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    send(subject, "set server app/web01 state maint").await?;
    subject.set_healthy("web01", false);
    let resting = [("srv_admin_state", "1"), ("srv_op_state", "0"), ("status", "MAINT"), ("srv_check_state", "14")];
    stays(subject, "app/web01", &resting).await?;
    // The last result is still there, though it is no longer true of the server.
    let stale = [("srv_check_status", "15"), ("srv_check_result", "3"), ("srv_check_health", "0")];
    has(subject, "app/web01", &stale).await?;
    // `show stat` has no result, and counts one more time down.
    let shown = [("check_status", ""), ("check_health", ""), ("check_rise", ""), ("chkfail", "0"), ("chkdown", "1")];
    has(subject, "app/web01", &shown).await
}

pub(super) async fn ready_from_maintenance_is_up_at_once<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    send(subject, "set server app/web01 state maint").await?;
    subject.set_healthy("web01", false);
    let answer = subject.ask("set server app/web01 state ready;show servers state app;show stat app 4 -1").await;
    let row = super::pick(&answer, ' ', "app/web01", ("be_name", "srv_name"));
    super::compare("app/web01", &row, &[("srv_admin_state", "0"), ("srv_op_state", "2"), ("srv_check_health", "3")])?;
    let table = answer.find("# pxname").map_or("", |at| &answer[at..]);
    let row = super::pick(table, ',', "app/web01", ("pxname", "svname"));
    super::compare("app/web01", &row, &[("status", "UP 1/2"), ("check_status", "L7OK"), ("check_health", "3")])?;
    becomes(subject, "app/web01", &[("srv_op_state", "0"), ("status", "DOWN"), ("srv_check_health", "0")]).await
}

pub(super) async fn health_down_in_drain_lasts_until_checks_pass<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    subject.set_healthy("web01", false);
    let line = "set server app/web01 state maint;set server app/web01 state drain;set server app/web01 health down";
    super::answers(subject, line, "\n\n\n").await?;
    let down = [("srv_admin_state", "8"), ("srv_op_state", "0"), ("srv_check_health", "0"), ("status", "DOWN")];
    stays(subject, "app/web01", &down).await?;
    subject.set_healthy("web01", true);
    becomes(subject, "app/web01", &[("srv_check_health", "4"), ("srv_op_state", "2"), ("status", "DRAIN")]).await?;
    send(subject, "set server app/web01 state ready").await?;
    has(subject, "app/web01", &[("srv_admin_state", "0"), ("srv_check_health", "4"), ("status", "UP")]).await
}

pub(super) async fn health_down_in_maintenance_is_forgotten<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    subject.set_healthy("web01", false);
    let line = "set server app/web01 state maint;set server app/web01 health down;set server app/web01 state ready;\
                show servers state app";
    let answer = subject.ask(line).await;
    let row = super::pick(&answer, ' ', "app/web01", ("be_name", "srv_name"));
    super::compare("app/web01", &row, &[("srv_admin_state", "0"), ("srv_op_state", "2"), ("srv_check_health", "3")])
}

pub(super) async fn states_follow_each_other<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    for (state, admin) in
        [("drain", "8"), ("drain", "8"), ("maint", "1"), ("maint", "1"), ("drain", "8"), ("ready", "0"), ("ready", "0")]
    {
        send(subject, &format!("set server app/web01 state {state}")).await?;
        has(subject, "app/web01", &[("srv_admin_state", admin)]).await?;
    }
    Ok(())
}

pub(super) async fn a_disabled_server_is_made_ready<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    send(subject, "set server app/web03 state drain").await?;
    has(subject, "app/web03", &[("srv_admin_state", "12")]).await?;
    send(subject, "set server app/web03 state ready").await?;
    has(subject, "app/web03", &[("srv_admin_state", "4"), ("srv_op_state", "2")]).await?;
    becomes(subject, "app/web03", &[("status", "UP"), ("srv_check_health", "4"), ("srv_check_state", "6")]).await?;
    send(subject, "set server app/web03 state maint").await?;
    has(subject, "app/web03", &[("srv_admin_state", "5"), ("status", "MAINT")]).await
}

pub(super) async fn trackers_inherit_states<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    send(subject, "set server app/web01 state maint").await?;
    let maint = [("srv_admin_state", "2"), ("srv_op_state", "0"), ("status", "MAINT (via app/web01)")];
    has(subject, "api/web01", &maint).await?;
    send(subject, "set server api/web01 state maint").await?;
    let both = [("srv_admin_state", "3"), ("status", "MAINT (via app/web01)")];
    has(subject, "api/web01", &both).await?;
    // `ready` of the tracker itself is accepted and has no effect.
    send(subject, "set server api/web01 state ready").await?;
    has(subject, "api/web01", &maint).await?;
    send(subject, "set server app/web01 state drain").await?;
    has(subject, "api/web01", &[("srv_admin_state", "16"), ("srv_op_state", "2"), ("srv_uweight", "10")]).await?;
    has(subject, "api/BACKEND", &[("act", "1"), ("weight", "10")]).await?;
    send(subject, "set server app/web01 state ready").await?;
    has(subject, "api/web01", &[("srv_admin_state", "0"), ("srv_op_state", "2")]).await
}

pub(super) async fn trackers_have_states_of_their_own<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    send(subject, "set server api/web01 state drain").await?;
    has(subject, "app/web01", &[("srv_admin_state", "0"), ("status", "UP")]).await?;
    has(subject, "api/web01", &[("srv_admin_state", "8"), ("status", "DRAIN")]).await?;
    send(subject, "set server app/web01 state drain").await?;
    has(subject, "api/web01", &[("srv_admin_state", "24")]).await?;
    send(subject, "set server api/web01 state maint").await?;
    has(subject, "api/web01", &[("srv_admin_state", "17"), ("status", "MAINT")]).await?;
    send(subject, "set server app/web01 state ready").await?;
    has(subject, "api/web01", &[("srv_admin_state", "1"), ("status", "MAINT")]).await?;
    send(subject, "set server api/web01 state ready").await?;
    has(subject, "api/web01", &[("srv_admin_state", "0"), ("status", "UP"), ("srv_op_state", "2")]).await
}

pub(super) async fn trackers_follow_health<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    subject.set_healthy("web01", false);
    becomes(subject, "app/web01", &[("srv_op_state", "0")]).await?;
    has(subject, "api/web01", &[("srv_op_state", "0"), ("srv_admin_state", "0"), ("status", "DOWN")]).await?;
    // Made ready while the tracked line is down, it is down.
    send(subject, "set server api/web01 state maint").await?;
    send(subject, "set server api/web01 state ready").await?;
    has(subject, "api/web01", &[("srv_op_state", "0"), ("srv_admin_state", "0")]).await?;
    subject.set_healthy("web01", true);
    becomes(subject, "api/web01", &[("srv_op_state", "2"), ("status", "UP")]).await
}

pub(super) async fn health_down_stops_a_server_without_checks<S: Subject>(subject: &mut S) -> Found {
    send(subject, "set server lone/solo health down").await?;
    has(subject, "lone/solo", &[("srv_op_state", "0"), ("srv_admin_state", "0"), ("srv_check_health", "0")]).await?;
    has(subject, "lone/BACKEND", &[("status", "DOWN"), ("act", "0"), ("weight", "0")]).await?;
    has(subject, "lone/solo", &[("status", "DOWN")]).await?;
    send(subject, "set server agents/talk health down").await?;
    send(subject, "set server lone/solo health up").await?;
    has(subject, "lone/solo", &[("srv_op_state", "2"), ("status", "no check")]).await?;
    send(subject, "set server lone/solo state maint").await?;
    has(subject, "lone/solo", &[("srv_op_state", "0"), ("srv_check_state", "0"), ("status", "MAINT")]).await?;
    send(subject, "set server lone/solo state ready").await?;
    has(subject, "lone/solo", &[("srv_op_state", "2"), ("status", "no check"), ("srv_check_health", "0")]).await?;
    // An agent brings the server back.
    becomes(subject, "agents/talk", &[("srv_op_state", "2"), ("status", "no check")]).await
}

pub(super) async fn checks_bring_a_stopping_server_back<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    send(subject, "set server app/web01 health stopping").await?;
    becomes(subject, "app/web01", &[("srv_op_state", "2"), ("status", "UP")]).await?;
    send(subject, "set server lone/solo health stopping").await?;
    stays(subject, "lone/solo", &[("srv_op_state", "3"), ("status", "NOLB"), ("srv_check_health", "4")]).await?;
    has(subject, "lone/BACKEND", &[("status", "DOWN"), ("act", "0")]).await
}
