//! What happens in one simulated life of a farm: its shape, and what strikes when. All of it follows from a seed, and
//! each part can be taken out without changing the rest.

use std::fmt;
use std::time::Duration;

use teeter_lab::Dice;

use crate::shape::Shape;

/// A shape, a deploy, and what strikes it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Whatever is left to chance on the way is thrown from this.
    pub seed: u64,
    /// The farm and how it is deployed to.
    pub shape: Shape,
    /// What happens beside the deploy, in order of time.
    pub acts: Vec<Act>,
}

/// Something that happens at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Since the deploy began.
    pub at: Duration,
    /// What.
    pub what: What,
    /// Which HAProxy it happens to, where it happens to one of several.
    pub on: usize,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// teeterd is killed and started again after a while, perhaps with the system's clock set otherwise meanwhile.
    KillTeeterd {
        /// After this time.
        back: Duration,
        /// So many seconds the clock jumps.
        jump: i64,
    },
    /// HAProxy is reloaded; here and below one of them, where there are several.
    Reload,
    /// HAProxy is killed and started again after a while.
    KillHaproxy(Duration),
    /// HAProxy is stopped for a while, as by SIGSTOP.
    Hang(Duration),
    /// HAProxy's answers trickle for a while.
    Slow(Duration),
    /// The store's disk refuses everything for a while.
    DiskFull(Duration),
    /// The store's disk takes that long for the next write, as when teeterd itself is stopped. For scenarios: no seed
    /// has it.
    DiskStalls(Duration),
    /// The store's disk keeps the next transaction and says that it has not.
    DiskLies,
    /// The process that deploys is killed; its hook goes on, or not.
    KillDeployer {
        /// Whether the hook outlives it.
        hook_lives: bool,
    },
    /// The hook fails that is at work, or the next.
    FailHook,
    /// Somebody calls `teeter`.
    Call(Call),
    /// Somebody tells HAProxy something by hand: about the server of this number.
    ByHand(usize, ByHand),
    /// The server of this number is not well for a while.
    Sick(usize, Duration),
    /// Every second answer of what is deployed is a 500, from now on.
    BadVersion,
    /// Others have so many connections to the stats socket open for a while, and say nothing on them.
    Crowd(usize, Duration),
    /// So many clients of the control socket read all that there is, again and again, for a while.
    Readers(usize, Duration),
    /// Somebody tells the server of this number to be ready, and nobody is to know: for tests of this simulation.
    Sabotage(usize),
}

/// A call to the control socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What is asked for.
    pub verb: Verb,
    /// The caller hangs up after this time, whatever it is told.
    pub patience: Option<Duration>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `teeter drain`, of the server of this number, perhaps with an end of its own.
    Drain(usize, Option<Duration>),
    /// `teeter maint`.
    Maint(usize, Option<Duration>),
    /// `teeter ready`.
    Ready(usize),
    /// `teeter drain`, work on the server for as long as repairs take, `teeter ready`.
    Repair(usize),
    /// Of the latest run.
    Abort,
    /// Of the latest run.
    Pause,
    /// Of the latest run.
    Resume,
    /// Of the latest run.
    Rollback,
    /// Of the latest run.
    Retry,
    /// Another deploy of the same farm.
    Deploy,
    /// `teeter flip` to a group.
    Flip(&'static str),
}

/// What somebody tells HAProxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByHand {
    /// `set server … state maint`.
    Maint,
    /// `set server … state drain`.
    Drain,
    /// `set server … state ready`.
    Ready,
    /// `set server … weight 50%`.
    Weight,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let shape = Shape::thrown(&mut dice.other(1));
        let mut dice = dice.other(2);
        // Some go undisturbed: then nothing at all may go wrong.
        let count = [0, 0, 1, 1, 1, 2, 2, 3, 4, 6][dice.of(0..10) as usize];
        let mut acts: Vec<Act> = (0..count).map(|_| Act::thrown(&mut dice, &shape)).collect();
        acts.sort_by_key(|act| act.at);
        Self { seed, shape, acts }
    }
}

impl Act {
    fn thrown(dice: &mut Dice, shape: &Shape) -> Self {
        let at = Duration::from_millis(dice.of(0..6_000));
        Self { at, what: What::thrown(dice, shape), on: dice.of(0..shape.haproxys as u64) as usize }
    }
}

impl What {
    fn thrown(dice: &mut Dice, shape: &Shape) -> Self {
        let server = |dice: &mut Dice| dice.of(0..shape.members() as u64) as usize;
        let mut while_of = |longest: u64| Duration::from_millis(dice.of(20..longest));
        let (short, long) = (while_of(3_000), while_of(20_000));
        match dice.of(0..100) {
            0..20 => Self::KillTeeterd { back: short, jump: [0, 0, 0, 3_600, -3_600][dice.of(0..5) as usize] },
            20..32 => Self::Reload,
            32..40 => Self::KillHaproxy(short),
            40..46 => Self::Hang(long),
            46..50 => Self::Slow(short),
            50..54 => Self::DiskFull(short),
            54..58 => Self::DiskLies,
            58..64 => Self::KillDeployer { hook_lives: dice.of(0..2) == 0 },
            64..68 => Self::FailHook,
            68..90 => {
                let verb = match dice.of(0..16) {
                    0 | 1 => Verb::Drain(server(dice), (dice.of(0..2) == 0).then_some(short)),
                    2 => Verb::Maint(server(dice), (dice.of(0..2) == 0).then_some(short)),
                    3 | 4 => Verb::Ready(server(dice)),
                    5 | 6 => Verb::Abort,
                    7 => Verb::Pause,
                    8 => Verb::Resume,
                    9 => Verb::Rollback,
                    10 => Verb::Retry,
                    11 => Verb::Deploy,
                    12 => Verb::Flip("a"),
                    13 | 14 => Verb::Repair(server(dice)),
                    _ => Verb::Flip("b"),
                };
                let patience = (dice.of(0..3) == 0).then(|| Duration::from_micros(dice.of(0..8_000)));
                Self::Call(Call { verb, patience })
            }
            90..92 => Self::BadVersion,
            92..94 => Self::Crowd(dice.of(1..12) as usize, short),
            94 => Self::Readers(dice.of(1..12) as usize, short),
            95..97 => {
                let by_hand = [ByHand::Maint, ByHand::Drain, ByHand::Ready, ByHand::Weight][dice.of(0..4) as usize];
                Self::ByHand(server(dice), by_hand)
            }
            _ => Self::Sick(server(dice), short),
        }
    }

    /// Whether it leaves servers as they are: only teeterd, its store, or whoever deploys is struck.
    pub fn spares_servers(&self) -> bool {
        matches!(
            self,
            Self::KillTeeterd { .. }
                | Self::DiskFull(_)
                | Self::DiskStalls(_)
                | Self::DiskLies
                | Self::KillDeployer { .. }
                | Self::Readers(..)
                | Self::FailHook
        )
    }

    /// The kind of it, for counting.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::KillTeeterd { jump: 0, .. } => "teeterd killed",
            Self::KillTeeterd { .. } => "teeterd killed, clock jumps",
            Self::Reload => "HAProxy reloaded",
            Self::KillHaproxy(_) => "HAProxy killed",
            Self::Hang(_) => "HAProxy hangs",
            Self::Slow(_) => "HAProxy answers slowly",
            Self::DiskFull(_) => "disk full",
            Self::DiskStalls(_) => "disk stalls",
            Self::DiskLies => "transaction kept and denied",
            Self::KillDeployer { .. } => "deploy killed",
            Self::FailHook => "hook fails",
            Self::Call(Call { patience: Some(_), .. }) => "call, hung up",
            Self::Call(_) => "call",
            Self::ByHand(..) => "changed by hand",
            Self::Sick(..) => "server not well",
            Self::BadVersion => "bad version deployed",
            Self::Crowd(..) => "stats socket crowded",
            Self::Readers(..) => "control socket crowded",
            Self::Sabotage(_) => "sabotage",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?}", self.seed, self.shape)?;
        for act in &self.acts {
            let on = if act.on > 0 { " (the other HAProxy)" } else { "" };
            writeln!(f, "  {:>6} ms  {:?}{on}", act.at.as_millis(), act.what)?;
        }
        Ok(())
    }
}
