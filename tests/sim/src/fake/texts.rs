//! Constant texts of each series, from the transcripts of real HAProxys: the columns of tables, the lines of `show
//! info`, the answer to an unknown command.

use std::sync::OnceLock;

use super::setup::Series;

#[derive(Debug)]
pub(super) struct Texts {
    pub(super) version: String,
    /// The header of `show stat`, with its newline.
    pub(super) stat: String,
    /// The text after the column `uweight` in rows of servers and of backends, up to the newline.
    pub(super) server_tail: String,
    pub(super) backend_tail: String,
    /// The header of `show servers state`.
    pub(super) state: String,
    /// The header of `show servers conn`.
    pub(super) conn: String,
    /// The lines of `show info`: a text, and the field whose value follows it.
    pub(super) info: Vec<(String, Option<Field>)>,
    pub(super) unknown: String,
}

/// A field of `show info` that the fake has a value for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    Pid,
    Uptime,
    UptimeSec,
    CurrConns,
    CumConns,
    CumReq,
    Stopping,
    StartTime,
    CurrStreams,
    CumStreams,
}

const FIELDS: [(&str, Field); 10] = [
    ("Pid: ", Field::Pid),
    ("Uptime: ", Field::Uptime),
    ("Uptime_sec: ", Field::UptimeSec),
    ("CurrConns: ", Field::CurrConns),
    ("CumConns: ", Field::CumConns),
    ("CumReq: ", Field::CumReq),
    ("Stopping: ", Field::Stopping),
    ("Start_time_sec: ", Field::StartTime),
    ("CurrStreams: ", Field::CurrStreams),
    ("CumStreams: ", Field::CumStreams),
];

macro_rules! recorded {
    ($series:literal) => {
        Recorded {
            info: include_str!(concat!("../../../transcripts/", $series, "/show-info.txt")),
            stat: include_str!(concat!("../../../transcripts/", $series, "/show-stat.txt")),
            state: include_str!(concat!("../../../transcripts/", $series, "/show-servers-state.txt")),
            conn: include_str!(concat!("../../../transcripts/", $series, "/show-servers-conn.txt")),
            unknown: include_str!(concat!("../../../transcripts/", $series, "/unknown-command.txt")),
        }
    };
}

struct Recorded {
    info: &'static str,
    stat: &'static str,
    state: &'static str,
    conn: &'static str,
    unknown: &'static str,
}

impl Texts {
    pub(super) fn of(series: Series) -> &'static Self {
        static ALL: [OnceLock<Texts>; Series::ALL.len()] = [const { OnceLock::new() }; Series::ALL.len()];
        ALL[series as usize].get_or_init(|| {
            Self::read(&match series {
                Series::V2_2 => recorded!("2.2"),
                Series::V2_6 => recorded!("2.6"),
                Series::V3_0 => recorded!("3.0"),
                Series::V3_2 => recorded!("3.2"),
                Series::V3_4 => recorded!("3.4"),
            })
        })
    }

    fn read(recorded: &Recorded) -> Self {
        let stat = header(recorded.stat, "# pxname");
        let uweight = stat.split(',').position(|column| column == "uweight");
        let tail = |row: &str| {
            let row = recorded.stat.lines().find(|line| line.starts_with(row)).unwrap_or_default();
            uweight.map_or(String::new(), |at| row.split(',').skip(at + 1).collect::<Vec<_>>().join(","))
        };
        let begins = recorded.unknown.find("Unknown command").unwrap_or_default();
        let words = &recorded.unknown[begins..];
        let words = words.split("\n\n").next().unwrap_or_default();
        let info = info(recorded.info);
        Self {
            version: recorded
                .info
                .lines()
                .find_map(|line| line.strip_prefix("Version: "))
                .unwrap_or_default()
                .to_owned(),
            server_tail: tail("app,web02,"),
            backend_tail: tail("other,BACKEND,"),
            stat,
            state: header(recorded.state, "# be_id"),
            conn: header(recorded.conn, "# bkname"),
            info,
            unknown: format!("{}\n", words.trim_end_matches("\n> ").trim_end()),
        }
    }
}

/// The header of a table in a transcript. It begins with `# `.
pub fn columns(series: Series) -> [(&'static str, &'static str); 3] {
    let texts = Texts::of(series);
    [("show stat", &texts.stat), ("show servers state", &texts.state), ("show servers conn", &texts.conn)]
}

fn header(text: &str, begins: &str) -> String {
    let at = text.find(begins).unwrap_or_default();
    format!("{}\n", text[at..].lines().next().unwrap_or_default())
}

fn info(text: &str) -> Vec<(String, Option<Field>)> {
    let begins = text.find("Name: HAProxy").unwrap_or_default();
    let mut pieces = vec![(String::new(), None)];
    for line in text[begins..].lines().take_while(|line| !line.is_empty()) {
        let field = FIELDS.iter().find(|(name, _)| line.starts_with(name));
        if let Some((piece, slot)) = pieces.last_mut() {
            match field {
                Some((name, field)) => {
                    piece.push_str(name);
                    *slot = Some(*field);
                }
                None => piece.push_str(line),
            }
        }
        match field {
            Some(_) => pieces.push(("\n".to_owned(), None)),
            None => pieces.last_mut().map(|(piece, _)| piece.push('\n')).unwrap_or_default(),
        }
    }
    pieces
}
