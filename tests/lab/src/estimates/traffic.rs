//! Sessions whose lengths have different distributions.

use std::net::SocketAddr;
use std::time::Duration;

use teeter_lab::{Dice, Held};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// The number of clients of a farm.
const CLIENTS: u64 = 8;

/// The longest session.
const LONGEST: f64 = 60.0;

/// How long the sessions of a farm last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// From two to eight seconds, each length equally often.
    Even,
    /// Exactly ten seconds.
    Constant,
    /// A second on average, exponentially distributed.
    Short,
    /// Mostly one or two seconds, now and then much longer.
    LongTail,
    /// Nine of ten below a second, the tenth about twenty.
    Mixed,
    /// Exponentially distributed; the average grows from one second to six.
    Growing,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Even, Self::Constant, Self::Short, Self::LongTail, Self::Mixed, Self::Growing];

    /// The name of its farm and its backend.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Even => "even",
            Self::Constant => "constant",
            Self::Short => "short",
            Self::LongTail => "long-tail",
            Self::Mixed => "mixed",
            Self::Growing => "growing",
        }
    }

    /// What it is, for the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Even => "2 to 8 s, each as often",
            Self::Constant => "10 s each",
            Self::Short => "exponential, 1 s on average",
            Self::LongTail => "long tail, half below 1.6 s",
            Self::Mixed => "nine of ten below 1 s, the tenth 15 to 25 s",
            Self::Growing => "exponential, the average grows from 1 s to 6 s",
        }
    }

    /// The seconds that a session lasts that begins after this share of the whole time.
    fn length(self, dice: &mut Dice, share: f64) -> f64 {
        let mut unit = || (dice.within(1..1_000_000) as f64) / 1e6;
        let seconds = match self {
            Self::Even => 2.0 + 6.0 * unit(),
            Self::Constant => 10.0,
            Self::Short => -unit().ln(),
            Self::LongTail => {
                let normal = (-2.0 * unit().ln()).sqrt() * (std::f64::consts::TAU * unit()).cos();
                (0.5 + 1.2 * normal).exp()
            }
            Self::Mixed if unit() < 0.1 => 15.0 + 10.0 * unit(),
            Self::Mixed => 0.2 + 0.8 * unit(),
            Self::Growing => -unit().ln() * (1.0 + 5.0 * share),
        };
        seconds.min(LONGEST)
    }
}

/// The clients of one farm.
pub(crate) struct Clients(JoinSet<()>);

impl Clients {
    /// Starts clients that open one session after the other. `time` is the time of the whole measurement.
    pub(crate) fn start(kind: Kind, front: SocketAddr, dice: &Dice, time: Duration) -> Self {
        let mut tasks = JoinSet::new();
        let began = Instant::now();
        for number in 0..CLIENTS {
            let mut dice = dice.fork(number);
            tasks.spawn(async move {
                loop {
                    // A moment without a server cannot occur here; a client tries again all the same.
                    let held = Held::open(front, "/ws", &[]).await;
                    let share = (began.elapsed().as_secs_f64() / time.as_secs_f64()).min(1.0);
                    sleep(Duration::from_secs_f64(kind.length(&mut dice, share))).await;
                    drop(held);
                    sleep(Duration::from_millis(dice.within(0..200))).await;
                }
            });
        }
        Self(tasks)
    }

    /// Ends all clients and their sessions.
    pub(crate) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_have_the_lengths_that_the_table_names() {
        let lengths = |kind: Kind, share| {
            let mut dice = Dice::new(7);
            let mut all: Vec<f64> = (0..2000).map(|_| kind.length(&mut dice, share)).collect();
            all.sort_by(f64::total_cmp);
            assert!(all.iter().all(|length| (0.0..=LONGEST).contains(length)), "{kind:?}");
            (all[0], all[1000], all[1999], all.iter().sum::<f64>() / 2000.0)
        };
        let (least, _, most, _) = lengths(Kind::Even, 0.0);
        assert!((2.0..2.1).contains(&least) && (7.9..8.0).contains(&most));
        assert!((0.9..1.1).contains(&lengths(Kind::Short, 0.0).3));
        assert!((1.4..1.9).contains(&lengths(Kind::LongTail, 0.0).1));
        assert!((15.0..25.0).contains(&lengths(Kind::Mixed, 0.0).2) && lengths(Kind::Mixed, 0.0).1 < 1.0);
        let (early, late) = (lengths(Kind::Growing, 0.0).3, lengths(Kind::Growing, 1.0).3);
        assert!((5.5..6.5).contains(&(late / early)), "{early} {late}");
    }
}
