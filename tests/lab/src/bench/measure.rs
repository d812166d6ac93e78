//! What one flip did to the requests, and many flips together.
//!
//! The load runs on from flip to flip and its records are taken out piece by piece: a piece begins when everybody is
//! being answered by one half alone, and ends when that is so of the other half. So no request belongs to two flips.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use teeter_lab::{Load, LoadReport, LoadSpec};
use tokio::time::sleep;

use super::bed::{Farm, Scene, Tools};
use super::peers::{flip, tidy};
use super::ways::{Half, Way};
use crate::figures_numbers::Sample;
use crate::figures_site::failure;

/// After a flip, so many answers of the new half in a row for every client, and so many in all.
const CALM_EACH: usize = 2;
const CALM_ALL: u64 = 2000;

/// For the load to come to rest on one half.
const CALM: Duration = Duration::from_secs(20);

/// How many requests show what the load can do while nobody flips.
const RATE: u64 = 20_000;

/// How often the records are fetched while a flip settles.
const LOOK: Duration = Duration::from_millis(5);

/// One flip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Flip {
    /// Requests answered by the old half though sent after a client held an answer of the new one.
    pub(crate) inversions: usize,
    /// From that first answer to the sending of the last such request, in ms.
    pub(crate) window: f64,
    /// How long the flip took for the one who asked for it, in ms.
    pub(crate) took: f64,
    /// The longest that anybody waited for an answer meanwhile, in ms.
    pub(crate) longest: f64,
    /// The new half answered somebody before the flip began: then the figures above mean nothing.
    pub(crate) unclean: bool,
}

impl Flip {
    /// Reads the piece of a load that goes with a flip to this half.
    fn of(piece: &LoadReport, to: Half, began: Instant, took: Duration) -> Self {
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
    /// Requests sent a second time, since the kept connection turned out to be closed.
    pub(crate) resent: u64,
    /// Requests a second while nobody flipped, and while somebody did.
    pub(crate) calm_rate: f64,
    pub(crate) rate: f64,
    /// The first few failures in words.
    pub(crate) complaints: Vec<String>,
}

impl Row {
    pub(crate) fn inversions(&self) -> usize {
        self.flips.iter().map(|flip| flip.inversions).sum()
    }

    /// Flips that are not all of one length of a row are compared by this.
    pub(crate) fn inversions_per_flip(&self) -> f64 {
        self.inversions() as f64 / self.flips.len().max(1) as f64
    }

    /// How many flips had any inversion.
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

    /// For machines: everything that was measured.
    pub(crate) fn to_json(&self) -> Value {
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
            "each": self.flips.iter().map(|flip| json!([flip.inversions, flip.window, flip.took, flip.longest])).collect::<Vec<_>>(),
            "complaints": self.complaints,
        })
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clients {
    pub(crate) all: usize,
    /// So many of them open a connection for each request.
    pub(crate) fresh: usize,
}

/// Flips to and fro under a load.
pub(crate) async fn measure(
    way: Way,
    clients: Clients,
    flips: usize,
    farm: &Farm,
    tools: &Tools,
    limit: Duration,
) -> io::Result<Row> {
    let scene = Scene::set(way, farm, tools).await?;
    let Clients { all: connections, fresh } = clients;
    let load = Load::start(LoadSpec { connections, fresh, max: limit, ..LoadSpec::new(scene.front) })?;
    // Connections are made, and whatever was in the pipes of the first flip has gone.
    let mut live = Half::A;
    settle(&load, live, connections, &mut load.cut().await?).await?;
    let before = load.count();
    let began = Instant::now();
    while load.count() < before + RATE {
        if began.elapsed() > CALM {
            return Err(failure(format!("{} answers in {CALM:?}: too few to see a flip by", load.count() - before)));
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
        flip(&scene, live).await?;
        let took = began.elapsed();
        let mut piece = load.cut().await?;
        settle(&load, live, connections, &mut piece).await?;
        tidy(&scene).await?;
        piece.join(load.cut().await?);
        lasted += piece.lasted;
        row.flips.push(Flip::of(&piece, live, began, took));
        row.requests += piece.requests();
        row.failed += piece.failed().len();
        row.resent += piece.retried;
        row.complaints.extend(piece.complaints);
    }
    load.stop().await?;
    scene.strike().await?;
    row.rate = row.requests as f64 / lasted.as_secs_f64();
    row.complaints.truncate(10);
    Ok(row)
}

/// Waits until everybody is answered by this half and nothing else has been for a while.
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
