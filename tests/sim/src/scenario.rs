//! A scenario: a farm, a deploy, and the acts that disturb it. It follows from a seed, and each act can be removed
//! without changing the others.

use std::fmt;
use std::time::Duration;

use teeter_lab::Dice;

use crate::shape::Shape;

/// A farm, a deploy to it, and the acts that disturb it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The source of every random choice that is made while the scenario is played.
    pub seed: u64,
    /// The farm and how it is deployed to.
    pub shape: Shape,
    /// The acts beside the deploy, in order of time.
    pub acts: Vec<Act>,
}

/// A fault or a call, and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Time since the deploy began.
    pub at: Duration,
    /// The fault or call.
    pub fault: Fault,
    /// The number of the HAProxy that it happens to, if it happens to one of several.
    pub on: usize,
}

/// A fault, or a call of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// teeterd is killed and started again, perhaps with the system's clock set to another time.
    KillTeeterd {
        /// The time until it is started again.
        back: Duration,
        /// The number of seconds that the clock jumps.
        jump: i64,
    },
    /// HAProxy is reloaded. Here and below this happens to one of them, if there are several.
    Reload,
    /// HAProxy is killed and started again after this time.
    KillHaproxy(Duration),
    /// HAProxy is stopped for this time, as by SIGSTOP.
    Hang(Duration),
    /// HAProxy answers slowly for this time.
    Slow(Duration),
    /// The disk of the store is full for this time. Meanwhile a client reads the status and the doctor's
    /// findings.
    DiskFull(Duration),
    /// The next write to the store takes this long, as when teeterd itself is stopped. No seed draws this.
    DiskStalls(Duration),
    /// The disk of the store keeps the next transaction and reports an error.
    DiskLies,
    /// The deploying process is killed. Its hook goes on or is killed with it.
    KillDeployer {
        /// Whether the hook goes on.
        hook_lives: bool,
    },
    /// The deploying process hangs for this time and keeps its connections, as when the terminal does not take its
    /// output.
    StallDeployer(Duration),
    /// The current hook fails, or the next one.
    FailHook,
    /// A user calls `teeter`.
    Call(Call),
    /// A user sets the server of this number in HAProxy.
    ByHand(usize, ByHand),
    /// A controller deletes a line of the server of this number by the Runtime API and adds it again.
    AddAgain {
        /// The number of the server.
        server: usize,
        /// Which of its lines that can be deleted.
        line: usize,
        /// The time from adding it to making it ready. `None`: one request to HAProxy does both.
        pause: Option<Duration>,
    },
    /// teeterd is killed and started with another name for a HAProxy.
    Rename {
        /// The time until it is started again.
        back: Duration,
        /// Whether the socket of that HAProxy has another path, too.
        moved: bool,
    },
    /// teeterd is killed and started without a HAProxy. Later it is killed again and started with it.
    Remove {
        /// The time until teeterd is started again, both times.
        back: Duration,
        /// The time that teeterd runs without the HAProxy.
        gone: Duration,
    },
    /// The server of this number is unhealthy for this time.
    Unhealthy(usize, Duration),
    /// From now on, half of the responses of the new version have status 500.
    BadVersion,
    /// Other clients keep this many connections to the stats socket open, without a request.
    Crowd(usize, Duration),
    /// This many clients of the control socket read everything, again and again.
    Readers(usize, Duration),
    /// A user makes the server of this number ready, unknown to the checks. For tests of this simulation.
    Sabotage(usize),
}

/// A call to the control socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The command.
    pub verb: Verb,
    /// The caller disconnects after this time, answered or not.
    pub patience: Option<Duration>,
}

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `teeter drain` of the server of this number. The hold may have an end.
    Drain(usize, Option<Duration>),
    /// `teeter maint` of the server of this number. The hold may have an end.
    Maint(usize, Option<Duration>),
    /// `teeter ready` of the server of this number.
    Ready(usize),
    /// `teeter drain` of the server of this number, a repair, and `teeter ready`.
    Repair(usize),
    /// `teeter abort` of the latest run.
    Abort,
    /// `teeter pause` of the latest run.
    Pause,
    /// `teeter resume` of the latest run.
    Resume,
    /// `teeter rollback` of the latest run.
    Rollback,
    /// `teeter retry` of the latest run.
    Retry,
    /// Another deploy to the same farm.
    Deploy,
    /// `teeter flip` to a group.
    Flip(&'static str),
}

/// A change that a user makes in HAProxy.
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
    pub fn from_seed(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let shape = Shape::random(&mut dice.fork(1));
        let mut dice = dice.fork(2);
        // Some scenarios have no act at all: nothing may fail there.
        let count = [0, 0, 1, 1, 1, 2, 2, 3, 4, 6][dice.within(0..10) as usize];
        let mut acts: Vec<Act> = (0..count).map(|_| Act::random(&mut dice, &shape)).collect();
        acts.sort_by_key(|act| act.at);
        Self { seed, shape, acts }
    }
}

impl Act {
    fn random(dice: &mut Dice, shape: &Shape) -> Self {
        let at = Duration::from_millis(dice.within(0..6_000));
        Self { at, fault: Fault::random(dice, shape), on: dice.within(0..shape.haproxys as u64) as usize }
    }
}

impl Fault {
    fn random(dice: &mut Dice, shape: &Shape) -> Self {
        let server = |dice: &mut Dice| dice.within(0..shape.members() as u64) as usize;
        let mut lasting = |longest: u64| Duration::from_millis(dice.within(20..longest));
        let (short, long) = (lasting(3_000), lasting(20_000));
        match dice.within(0..100) {
            0..18 => Self::KillTeeterd { back: short, jump: [0, 0, 0, 3_600, -3_600][dice.within(0..5) as usize] },
            18..29 => Self::Reload,
            29..36 => Self::KillHaproxy(short),
            36..41 => Self::Hang(long),
            41..44 => Self::Slow(short),
            44..49 => Self::DiskFull(short),
            49..52 => Self::DiskLies,
            52..57 => Self::KillDeployer { hook_lives: dice.within(0..2) == 0 },
            57..60 => Self::FailHook,
            60..79 => Self::Call(Call::random(dice, shape, short)),
            79..81 => Self::BadVersion,
            81..83 => Self::Crowd(dice.within(1..12) as usize, short),
            83..85 => Self::Readers(dice.within(1..12) as usize, short),
            85 => Self::Readers(dice.within(1..4) as usize, long),
            86..88 => {
                let by_hand = [ByHand::Maint, ByHand::Drain, ByHand::Ready, ByHand::Weight][dice.within(0..4) as usize];
                Self::ByHand(server(dice), by_hand)
            }
            88..90 => Self::Unhealthy(server(dice), short),
            90..93 => {
                let pause = (dice.within(0..2) == 0).then_some(short);
                Self::AddAgain { server: server(dice), line: dice.within(0..2) as usize, pause }
            }
            93..95 if shape.haproxys > 1 => Self::Remove { back: short, gone: long },
            93..97 => Self::Rename { back: short, moved: dice.within(0..3) == 0 },
            _ => Self::StallDeployer(long),
        }
    }

    /// Whether it leaves servers as they are, and affects only teeterd, its store or its callers.
    pub fn spares_servers(&self) -> bool {
        matches!(
            self,
            Self::KillTeeterd { .. }
                | Self::DiskFull(_)
                | Self::DiskStalls(_)
                | Self::DiskLies
                | Self::KillDeployer { .. }
                | Self::StallDeployer(_)
                | Self::Rename { .. }
                | Self::Readers(..)
                | Self::FailHook
        )
    }

    /// Whether teeterd is killed and started again.
    pub fn restarts_teeterd(&self) -> bool {
        matches!(self, Self::KillTeeterd { .. } | Self::Rename { .. } | Self::Remove { .. })
    }

    /// Its kind, for counting.
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
            Self::StallDeployer(_) => "deploy hangs",
            Self::FailHook => "hook fails",
            Self::Call(Call { patience: Some(_), .. }) => "call, disconnected",
            Self::Call(_) => "call",
            Self::ByHand(..) => "server changed by hand",
            Self::AddAgain { .. } => "server line deleted and added",
            Self::Rename { .. } => "HAProxy renamed",
            Self::Remove { .. } => "HAProxy removed and configured again",
            Self::Unhealthy(..) => "server unhealthy",
            Self::BadVersion => "bad version deployed",
            Self::Crowd(..) => "stats socket crowded",
            Self::Readers(..) => "control socket crowded",
            Self::Sabotage(_) => "sabotage",
        }
    }
}

impl Call {
    fn random(dice: &mut Dice, shape: &Shape, lasts: Duration) -> Self {
        let server = |dice: &mut Dice| dice.within(0..shape.members() as u64) as usize;
        let verb = match dice.within(0..16) {
            0 | 1 => Verb::Drain(server(dice), (dice.within(0..2) == 0).then_some(lasts)),
            2 => Verb::Maint(server(dice), (dice.within(0..2) == 0).then_some(lasts)),
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
        let patience = (dice.within(0..3) == 0).then(|| Duration::from_micros(dice.within(0..8_000)));
        Self { verb, patience }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?}", self.seed, self.shape)?;
        for act in &self.acts {
            let on = if act.on > 0 { " (the other HAProxy)" } else { "" };
            writeln!(f, "  {:>6} ms  {:?}{on}", act.at.as_millis(), act.fault)?;
        }
        Ok(())
    }
}
