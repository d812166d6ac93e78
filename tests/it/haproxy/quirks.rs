//! The differences between five series of HAProxy, shown from recorded transcripts: each quirk is in the series that it
//! names, and the replies of masters and leaving workers are read on all of them.

use teeter::haproxy::commands::{PrepareMap, ShowProc, ShowServersConn, ShowSessions, ShowStat, StatKind};
use teeter::haproxy::{Command, Quirk, Series};

use crate::haproxy::transcripts::{Raw, SERIES, Transcript, info, read, server};

/// The query to a leaving worker.
const ALL_ROWS: ShowStat = ShowStat { backend: None, kind: StatKind::BackendsAndServers };

/// The reply of a master, or of a worker through it: without a prompt, it ends with the connection.
fn reply_of_master<C: Command>(series: &str, name: &str, command: &C) -> C::Reply {
    let transcript = Transcript::load(series, name);
    assert!(transcript.sent.ends_with(&command.text()), "{}", transcript.sent);
    command.parse(&transcript.received).unwrap()
}

#[test]
fn each_quirk_is_in_the_series_it_names() {
    for series in SERIES {
        let version: Series = series.parse().unwrap();
        let has = |quirk| {
            let received = |name| Transcript::load(series, name).received;
            let holds = |name, words: &str| String::from_utf8_lossy(&received(name)).contains(words);
            match quirk {
                Quirk::PromptAfterEachReply => received("show-info").starts_with(b"\n> "),
                Quirk::MessagesLackNewline => received("set-server-weight-no-number").ends_with(b"garbage\n> "),
                Quirk::NoShowVersion => {
                    read(series, "show-version", &Raw("show version")).unwrap().starts_with("Unknown command")
                }
                Quirk::ShortStateRows => !holds("show-servers-state", "srv_use_ssl"),
                Quirk::NoServedCounter => {
                    let rows = read(series, "show-stat", &ShowStat::default()).unwrap();
                    rows.iter().all(|row| row.served.is_none()) && !holds("show-servers-conn", " served ")
                }
                Quirk::NoMapTransactions => {
                    let map = Transcript::load(series, "prepare-map").map();
                    read(series, "prepare-map", &PrepareMap { map }).is_err()
                }
                Quirk::RelativePids => holds("master-show-proc", "<relative PID>"),
                Quirk::LeavingWorkerHasNoCounters => {
                    reply_of_master(series, "old-worker-show-stat", &ALL_ROWS).is_empty()
                }
                Quirk::ProcessesAmongServers => holds("old-worker-show-servers-conn", "\nMASTER/cur-1 "),
                Quirk::SessionBytesAtTheEnds => !holds("show-sess-one", " total="),
                // No reply shows this quirk: `socket_kinds` tests it on the installed HAProxy.
                Quirk::StatsSocketWithoutTls => quirk.is_in(version),
            }
        };
        for quirk in Quirk::ALL {
            assert_eq!(has(quirk), quirk.is_in(version), "{quirk:?} on {series}");
            assert_eq!(info(series).has(quirk), quirk.is_in(version));
        }
    }
}

#[test]
fn master_lists_the_workers_left_by_a_reload() {
    for series in SERIES {
        let workers = |name| {
            let workers = reply_of_master(series, name, &ShowProc);
            assert!(workers.iter().all(|worker| worker.version.starts_with(series)), "{workers:?}");
            workers.iter().map(|worker| worker.old).collect::<Vec<_>>()
        };
        assert_eq!(workers("master-show-proc"), [false]);
        assert_eq!(workers("master-show-proc-reloaded"), [false, true]);
    }
}

#[test]
fn leaving_worker_lists_its_sessions() {
    for series in SERIES {
        let web01 = server("app/web01");
        let rows = reply_of_master(series, "old-worker-show-stat", &ALL_ROWS);
        assert!(rows.iter().all(|row| row.svname != "web01" || row.scur == 1), "{series}");
        let connections = reply_of_master(series, "old-worker-show-servers-conn", &ShowServersConn::default());
        assert_eq!(connections.iter().find(|row| row.server == web01).map(|row| row.used), Some(1), "{series}");
        let sessions = reply_of_master(series, "old-worker-show-sess", &ShowSessions);
        assert_eq!(sessions.iter().filter(|session| session.server == "web01").count(), 1, "{series}");
    }
}
