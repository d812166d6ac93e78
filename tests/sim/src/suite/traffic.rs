//! Requests: their servers, their counters, and their queues.

use super::{Found, Subject, becomes, begun, expect, has, row, rows, same, send, settled, visit};
use crate::fake::Series;

pub(super) async fn round_robin_follows_weights<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    let mut served = (0, 0);
    for _ in 0..8 {
        match visit(subject, None).await?.as_str() {
            "web01" => served.0 += 1,
            _ => served.1 += 1,
        }
    }
    expect(&format!("{served:?}"), served == (4, 4))?;
    send(subject, "set server app/web01 weight 150").await?;
    let mut served = 0;
    for _ in 0..16 {
        served += usize::from(visit(subject, None).await? == "web01");
    }
    expect(&format!("{served} of 16, with three times the weight"), (11..=13).contains(&served))
}

pub(super) async fn requests_are_counted<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    send(subject, "set server app/web02 state drain").await?;
    let (one, server) = begun(subject, None).await?;
    same("server", &server, "web01")?;
    let (two, _) = begun(subject, None).await?;
    becomes(subject, "app/web01", &[("scur", "2"), ("smax", "2"), ("stot", "2"), ("lbtot", "2"), ("qcur", "0")])
        .await?;
    has(subject, "app/BACKEND", &[("scur", "2"), ("stot", "2"), ("lbtot", "2")]).await?;
    let table = subject.ask("show servers conn app").await;
    let used =
        rows(&table, ' ').into_iter().find(|row| row.get("bkname/svname").is_some_and(|value| value == "app/web01"));
    let used = used.and_then(|row| row.get("used_cur").cloned()).unwrap_or_default();
    same("used_cur", &used, "2")?;
    subject.end(one).await;
    becomes(subject, "app/web01", &[("scur", "1"), ("smax", "2"), ("stot", "2")]).await?;
    subject.end(two).await;
    becomes(subject, "app/web01", &[("scur", "0"), ("used_conn_cur", "0")]).await?;
    becomes(subject, "app/BACKEND", &[("scur", "0"), ("smax", "2")]).await
}

pub(super) async fn drain_keeps_sticky_clients<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    let home = visit(subject, Some(1)).await?;
    send(subject, &format!("set server app/{home} state drain")).await?;
    for _ in 0..3 {
        same("a client with a cookie", &visit(subject, Some(1)).await?, &home)?;
        expect("a new client went to a drained server", visit(subject, None).await? != home)?;
    }
    Ok(())
}

pub(super) async fn maintenance_sends_sticky_clients_away<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    let home = visit(subject, Some(1)).await?;
    send(subject, &format!("set server app/{home} state maint")).await?;
    let other = visit(subject, Some(1)).await?;
    expect("a client was sent to maintenance", other != home)?;
    send(subject, &format!("set server app/{home} state ready")).await?;
    for _ in 0..3 {
        same("a client with a new cookie", &visit(subject, Some(1)).await?, &other)?;
    }
    Ok(())
}

pub(super) async fn weight_0_keeps_sticky_clients<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    let home = visit(subject, Some(1)).await?;
    send(subject, &format!("set server app/{home} weight 0")).await?;
    for _ in 0..3 {
        same("a client with a cookie", &visit(subject, Some(1)).await?, &home)?;
        expect("a new client went to a server without weight", visit(subject, None).await? != home)?;
    }
    Ok(())
}

pub(super) async fn a_backend_without_servers_answers_503<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    send(subject, "set server app/web01 state drain").await?;
    send(subject, "set server app/web02 state drain").await?;
    let refused = subject.begin(None).await.err();
    expect(&format!("{refused:?}"), refused == Some(503))?;
    has(subject, "app/BACKEND", &[("status", "DOWN"), ("act", "0"), ("hrsp_5xx", "1"), ("scur", "0")]).await?;
    send(subject, "set server app/web02 state ready").await?;
    same("server", &visit(subject, None).await?, "web02")
}

pub(super) async fn requests_wait_for_a_full_server<S: Subject>(subject: &mut S) -> Found {
    send(subject, &format!("set map {} web lone", subject.map())).await?;
    let (first, _) = begun(subject, None).await?;
    let second = subject.queue(None).await;
    becomes(subject, "lone/BACKEND", &[("scur", "2"), ("qcur", "1")]).await?;
    has(subject, "lone/solo", &[("scur", "1"), ("qcur", "0")]).await?;
    subject.end(first).await;
    let second = subject.served(second).await.map_err(|status| format!("answered with {status}"))?;
    becomes(subject, "lone/BACKEND", &[("scur", "1"), ("qcur", "0"), ("qmax", "1")]).await?;
    has(subject, "lone/solo", &[("scur", "1"), ("smax", "1"), ("stot", "2")]).await?;
    subject.end(second).await;
    becomes(subject, "lone/BACKEND", &[("scur", "0")]).await
}

/// Up to 2.6, requests that wait for any server go on waiting when the last one drains. Later series answer 503.
pub(super) async fn the_queue_of_a_backend_without_servers_waits_up_to_2_6<S: Subject>(subject: &mut S) -> Found {
    send(subject, &format!("set map {} web lone", subject.map())).await?;
    let (first, _) = begun(subject, None).await?;
    let second = subject.queue(None).await;
    becomes(subject, "lone/BACKEND", &[("qcur", "1")]).await?;
    send(subject, "set server lone/solo state drain").await?;
    if subject.series() >= Series::V3_0 {
        expect("a waiting request gets no 503", subject.served(second).await.err() == Some(503))?;
        becomes(subject, "lone/BACKEND", &[("qcur", "0"), ("scur", "1"), ("hrsp_5xx", "1")]).await?;
        subject.end(first).await;
        return becomes(subject, "lone/BACKEND", &[("scur", "0")]).await;
    }
    has(subject, "lone/BACKEND", &[("qcur", "1"), ("scur", "2")]).await?;
    send(subject, "set server lone/solo state ready").await?;
    subject.end(first).await;
    let second = subject.served(second).await.map_err(|status| format!("answered with {status}"))?;
    subject.end(second).await;
    becomes(subject, "lone/BACKEND", &[("scur", "0"), ("qcur", "0")]).await
}

/// The fate of a request that waits for the server of its cookie when that is taken out.
enum Fate {
    /// It goes on waiting, and this server serves it.
    Waits,
    /// Another server serves it.
    Moves,
    /// This server serves it at once, beyond its limit.
    Overflows,
}

/// The behaviour changed in 3.1 (1385e33eb), and in 3.0 after its first release.
async fn taken_out<S: Subject>(subject: &mut S, backend: &str, state: &str, fate: Fate) -> Found {
    send(subject, &format!("set map {} web {backend}", subject.map())).await?;
    let (first, home) = begun(subject, Some(1)).await?;
    let entry = |server: &str| format!("{backend}/{}", server.replace("web0", "p"));
    let (here, there) = (entry(&home), entry(if home == "web01" { "web02" } else { "web01" }));
    let second = subject.queue(Some(1)).await;
    becomes(subject, &here, &[("scur", "1"), ("qcur", "1")]).await?;
    has(subject, &format!("{backend}/BACKEND"), &[("scur", "2"), ("qcur", "0")]).await?;
    send(subject, &format!("set server {here} state {state}")).await?;
    let (mine, waiting, other) = match fate {
        Fate::Waits => ("1", "1", "0"),
        Fate::Moves => ("1", "0", "1"),
        Fate::Overflows => ("2", "0", "0"),
    };
    becomes(subject, &here, &[("scur", mine), ("qcur", waiting)]).await?;
    becomes(subject, &there, &[("scur", other), ("qcur", "0")]).await?;
    subject.end(first).await;
    let second = subject.served(second).await.map_err(|status| format!("answered with {status}"))?;
    expect("it was served by another", (subject.server(&second) == home) != matches!(fate, Fate::Moves))?;
    subject.end(second).await;
    becomes(subject, &here, &[("scur", "0"), ("qcur", "0")]).await?;
    becomes(subject, &format!("{backend}/BACKEND"), &[("scur", "0"), ("qcur", "0")]).await
}

pub(super) async fn drain_redistributes_the_queue<S: Subject>(subject: &mut S) -> Found {
    let fate = if subject.series() >= Series::V3_0 { Fate::Overflows } else { Fate::Moves };
    taken_out(subject, "pair", "drain", fate).await
}

pub(super) async fn maintenance_redistributes_the_queue<S: Subject>(subject: &mut S) -> Found {
    let fate = if subject.series() >= Series::V3_0 { Fate::Overflows } else { Fate::Moves };
    taken_out(subject, "pair", "maint", fate).await
}

pub(super) async fn drain_without_redispatch_keeps_the_queue<S: Subject>(subject: &mut S) -> Found {
    taken_out(subject, "stay", "drain", Fate::Waits).await
}

pub(super) async fn maintenance_without_redispatch_redistributes_the_queue_in_new_series<S: Subject>(
    subject: &mut S,
) -> Found {
    let fate = if subject.series() >= Series::V3_0 { Fate::Moves } else { Fate::Waits };
    taken_out(subject, "stay", "maint", fate).await
}

/// Between two tries no counter of the server has the request. It is retried there, whatever the state of the server
/// is.
pub(super) async fn a_refused_connection_is_retried_on_the_same_server<S: Subject>(subject: &mut S) -> Found {
    send(subject, &format!("set map {} web stay", subject.map())).await?;
    send(subject, "set server stay/p2 state maint").await?;
    subject.set_refusing("web01", true).await;
    let pending = subject.queue(None).await;
    let between = [("scur", "0"), ("qcur", "0"), ("wretr", "1"), ("econ", "0")];
    let waits = becomes(subject, "stay/p1", &between).await;
    let counted = has(subject, "stay/BACKEND", &[("scur", "1"), ("qcur", "0"), ("wretr", "1")]).await;
    let sessions = subject.ask("show sess").await;
    let sent = send(subject, "set server stay/p1 state maint").await;
    subject.set_refusing("web01", false).await;
    waits.and(counted).and(sent)?;
    let side = if subject.series() == Series::V2_2 { " s1=[3," } else { " scb=[3," };
    let line = sessions.lines().find(|line| line.contains(" be=stay srv=p1 "));
    expect(&sessions, line.is_some_and(|line| line.contains(side)))?;
    let held = subject.served(pending).await.map_err(|status| format!("answered with {status}"))?;
    same("server", &subject.server(&held), "web01")?;
    has(subject, "stay/p1", &[("scur", "1"), ("srv_admin_state", "1"), ("wretr", "1"), ("econ", "0")]).await?;
    subject.end(held).await;
    becomes(subject, "stay/p1", &[("scur", "0")]).await
}

pub(super) async fn shutdown_ends_the_sessions_of_a_server<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    send(subject, "set server app/web02 state drain").await?;
    let (held, _) = begun(subject, None).await?;
    becomes(subject, "app/web01", &[("scur", "1")]).await?;
    send(subject, "shutdown sessions server app/web02").await?;
    has(subject, "app/web01", &[("scur", "1")]).await?;
    send(subject, "shutdown sessions server app/web01").await?;
    becomes(subject, "app/web01", &[("scur", "0")]).await?;
    becomes(subject, "app/BACKEND", &[("scur", "0")]).await?;
    subject.end(held).await;
    Ok(())
}

pub(super) async fn a_listed_session_can_be_ended<S: Subject>(subject: &mut S) -> Found {
    settled(subject).await?;
    let (held, server) = begun(subject, None).await?;
    let expected = format!(" fe=www be=app srv={server} ts=");
    let mut listed = None;
    for _ in 0..100 {
        let sessions = subject.ask("show sess").await;
        listed = sessions.lines().find(|line| line.contains(&expected)).map(str::to_owned);
        let side = if subject.series() == Series::V2_2 { " s1=[8," } else { " scb=[8," };
        if listed.as_ref().is_some_and(|line| line.contains(side)) {
            break;
        }
        tokio::time::sleep(super::SOON).await;
    }
    let listed = listed.ok_or("the request is not listed")?;
    for part in ["0x", " proto=tcpv4 ", " src=127.0.0.1:", " age=", " rq[f=", " rp[f="] {
        expect(&format!("{part:?} is not in {listed:?}"), listed.contains(part))?;
    }
    let (id, _) = listed.split_once(':').ok_or("no identity")?;
    let details = subject.ask(&format!("show sess {id}")).await;
    let total = if subject.series() < Series::V3_4 { " total=" } else { " in=" };
    for part in [&format!("{id}: ["), "  req=0x", "  res=0x", total] {
        expect(&format!("{part:?} is not in {details:?}"), details.contains(part))?;
    }
    send(subject, &format!("shutdown session {id}")).await?;
    becomes(subject, &format!("app/{server}"), &[("scur", "0")]).await?;
    let row = row(subject, "app/BACKEND").await;
    super::compare("app/BACKEND", &row, &[("scur", "0")])?;
    subject.end(held).await;
    Ok(())
}
