//! The effect of flips on the requests of a load.
//!
//! The load continues from flip to flip, and its records are taken out in pieces: a piece begins when one half answers
//! all clients, and ends when the other half does. So no request belongs to two flips.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use teeter_lab::{Load, LoadReport, LoadSpec};
use tokio::time::sleep;

use super::peers::{flip, wait_for_old_worker};
use super::site::{BenchSite, Farm, Tools};
use super::ways::{Half, Way};
use crate::command::failure;
use crate::figures_numbers::Sample;

/// A flip has settled after this many answers of the new half in a row for every client, and this many in all.
const CALM_EACH: usize = 2;
const CALM_ALL: u64 = 2000;

/// The time for the load to settle on one half.
const CALM: Duration = Duration::from_secs(20);

/// The number of requests by which the rate without flips is measured.
const RATE: u64 = 20_000;

/// The time between two fetches of the records while a flip settles.
const LOOK: Duration = Duration::from_millis(5);

/// One flip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Flip {
    /// Requests that the old half answered although they were sent after a client had an answer of the new one.
    pub(crate) inversions: usize,
    /// The time from that first answer until the last such request was sent, in ms.
    pub(crate) window: f64,
    /// The time of the command that flips, in ms.
    pub(crate) took: f64,
    /// The longest time that a client waited for an answer, in ms.
    pub(crate) longest: f64,
    /// Whether the new half answered a client before the flip began: then the other figures mean nothing.
    pub(crate) unclean: bool,
}

impl Flip {
    /// Evaluates the piece of a load around a flip to this half.
    fn new(piece: &LoadReport, to: Half, began: Instant, took: Duration) -> Self {
        let seen = piece.inversions(to.other().version(), to.version());
        let first = piece.first_of(to.version()).map(|first| piece.started + Duration::from_nanos(first));
        Self {
            inversions: seen.causal,
            window: seen.window.as_secs_f64() * 1e3,
            took: took.as_secs_f64() * 1e3,
            longest: piece.longest().as_secs_f64() * 1e3,
            unclean: first.is_none_or(|first| first < began),
        }
    }
}

/// Many flips in one way under one load.
pub(crate) struct Row {
    pub(crate) way: Way,
    pub(crate) connections: usize,
    pub(crate) flips: Vec<Flip>,
    pub(crate) requests: usize,
    pub(crate) failed: usize,
    /// Requests sent a second time because the kept connection was closed.
    pub(crate) resent: u64,
    /// Requests a second without flips.
    pub(crate) calm_rate: f64,
    /// Requests a second during the flips.
    pub(crate) rate: f64,
    /// The first few failures in words.
    pub(crate) complaints: Vec<String>,
}

impl Row {
    pub(crate) fn inversions(&self) -> usize {
        self.flips.iter().map(|flip| flip.inversions).sum()
    }

    /// The average, by which rows with different numbers of flips are compared.
    pub(crate) fn inversions_per_flip(&self) -> f64 {
        self.inversions() as f64 / self.flips.len().max(1) as f64
    }

    /// The number of flips with inversions.
    pub(crate) fn mixed(&self) -> usize {
        self.flips.iter().filter(|flip| flip.inversions > 0).count()
    }

    pub(crate) fn unclean(&self) -> usize {
        self.flips.iter().filter(|flip| flip.unclean).count()
    }

    pub(crate) fn windows(&self) -> Sample {
        Sample::new(self.flips.iter().map(|flip| flip.window).collect())
    }

    pub(crate) fn times(&self) -> Sample {
        Sample::new(self.flips.iter().map(|flip| flip.took).collect())
    }

    pub(crate) fn waits(&self) -> Sample {
        Sample::new(self.flips.iter().map(|flip| flip.longest).collect())
    }

    /// The row as JSON, with every flip.
    pub(crate) fn to_json(&self) -> Value {
        let each: Vec<_> =
            self.flips.iter().map(|flip| json!([flip.inversions, flip.window, flip.took, flip.longest])).collect();
        let (windows, times) = (self.windows(), self.times());
        let percentiles = |sample: &Sample| {
            let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| sample.percentile(share));
            json!({"p50": p50, "p99": p99, "max": max})
        };
        json!({
            "way": self.way.title(),
            "connections": self.connections,
            "flips": self.flips.len(),
            "unclean": self.unclean(),
            "requests": self.requests,
            "failed": self.failed,
            "resent": self.resent,
            "inversions": self.inversions(),
            "flips_with_inversions": self.mixed(),
            "window_ms": percentiles(&windows),
            "flip_ms": percentiles(&times),
            "longest_wait_ms": percentiles(&self.waits()),
            "requests_per_second": self.rate,
            "requests_per_second_calm": self.calm_rate,
            "each": each,
            "complaints": self.complaints,
        })
    }
}

/// The clients of a load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clients {
    pub(crate) all: usize,
    /// The number of them that open a connection for each request.
    pub(crate) fresh: usize,
}

/// Flips back and forth under a load.
pub(crate) async fn measure(
    way: Way,
    clients: Clients,
    flips: usize,
    farm: &Farm,
    tools: &Tools,
    limit: Duration,
) -> io::Result<Row> {
    let site = BenchSite::start(way, farm, tools).await?;
    let Clients { all: connections, fresh } = clients;
    let load = Load::start(LoadSpec { connections, fresh, max: limit, ..LoadSpec::new(site.front) })?;
    // Wait until all clients are connected, and until no request of before the first flip is left.
    let mut live = Half::A;
    settle(&load, live, connections, &mut load.cut().await?).await?;
    let before = load.count();
    let began = Instant::now();
    while load.count() < before + RATE {
        if began.elapsed() > CALM {
            return Err(failure(format!("{} answers in {CALM:?}: too few to show a flip", load.count() - before)));
        }
        sleep(LOOK).await;
    }
    let calm_rate = (load.count() - before) as f64 / began.elapsed().as_secs_f64();
    load.cut().await?;
    let mut row = Row {
        way,
        connections,
        flips: Vec::new(),
        requests: 0,
        failed: 0,
        resent: 0,
        calm_rate,
        rate: 0.0,
        complaints: Vec::new(),
    };
    let mut lasted = Duration::ZERO;
    for _ in 0..flips {
        live = live.other();
        let began = Instant::now();
        flip(&site, live).await?;
        let took = began.elapsed();
        let mut piece = load.cut().await?;
        settle(&load, live, connections, &mut piece).await?;
        wait_for_old_worker(&site).await?;
        piece.join(load.cut().await?);
        lasted += piece.lasted;
        row.flips.push(Flip::new(&piece, live, began, took));
        row.requests += piece.requests();
        row.failed += piece.failed().len();
        row.resent += piece.retried;
        row.complaints.extend(piece.complaints);
    }
    load.stop().await?;
    site.stop().await?;
    row.rate = row.requests as f64 / lasted.as_secs_f64();
    row.complaints.truncate(10);
    Ok(row)
}

/// Waits until this half alone has answered all clients for a while.
async fn settle(load: &Load, on: Half, connections: usize, piece: &mut LoadReport) -> io::Result<()> {
    let deadline = Instant::now() + CALM;
    let goal = load.count() + CALM_ALL;
    while load.count() < goal || piece.settled_on(on.version(), connections) < CALM_EACH {
        if Instant::now() >= deadline {
            return Err(failure(format!("the load does not settle on {}\n{piece}", on.version())));
        }
        sleep(LOOK).await;
        piece.join(load.cut().await?);
    }
    Ok(())
}
