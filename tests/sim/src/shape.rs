//! The farm of a scenario: its members and lines, and the deploy.

use std::time::Duration;

use serde_json::{Value, json};
use teeter_lab::Dice;

use crate::fake::{CheckSetup, Series};

/// A farm and how it is deployed to.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The series of HAProxy.
    pub series: Series,
    /// Whether HAProxy has a master with a socket.
    pub master: bool,
    /// Whether a map switches the traffic. Otherwise the states of servers do.
    pub route: bool,
    /// The strategy of the deploy.
    pub strategy: &'static str,
    /// The number of members of a group.
    pub half: usize,
    /// Whether there is a second backend with the same servers. A farm with a route has three backends anyway.
    pub twice: bool,
    /// `drain.grace`, in milliseconds.
    pub grace: u64,
    /// `drain.on_deadline`.
    pub on_deadline: &'static str,
    /// `on_drift`.
    pub on_drift: &'static str,
    /// `flip.order`.
    pub order: &'static str,
    /// Whether there is a bake after the flip.
    pub bake: bool,
    /// Whether servers are warmed up.
    pub warm_up: bool,
    /// The duration of the longest request, in milliseconds.
    pub longest: u64,
    /// The number of HAProxys that have the farm's servers.
    pub haproxys: usize,
    /// When the last HAProxy is started, in milliseconds after the deploy has begun. 0: before teeterd.
    pub late: u64,
    /// Whether frontends have the names of the backends that they lead to.
    pub same_names: bool,
    /// The number of disabled lines for servers that are not there yet; 0 with a route.
    pub spare: usize,
    /// Whether a disabled backend has lines of the members, too; never with a route.
    pub off: bool,
    /// Whether there is a second backend with the same servers, whose checks pass on the leader only; never with a
    /// route.
    pub leader: bool,
    /// Whether clients are sticky by a table; never with a route.
    pub sticky: bool,
    /// Whether the second backend has other names for the same servers.
    pub other_names: bool,
}

impl Shape {
    /// The plainest farm: two servers and a route.
    pub const PLAIN: Self = Self {
        series: Series::V2_6,
        master: false,
        route: true,
        strategy: "see-saw",
        half: 1,
        twice: false,
        grace: 0,
        on_deadline: "fail",
        on_drift: "reassert",
        order: "overlap",
        bake: false,
        warm_up: false,
        longest: 50,
        haproxys: 1,
        late: 0,
        same_names: false,
        spare: 0,
        off: false,
        leader: false,
        sticky: false,
        other_names: false,
    };

    /// A random shape.
    pub fn random(dice: &mut Dice) -> Self {
        let strategies = ["see-saw", "see-saw", "see-saw", "rolling", "blue-green", "canary"];
        let route = dice.within(0..5) < 3;
        let (series, master) = (Series::ALL[dice.within(0..Series::ALL.len() as u64) as usize], dice.within(0..2) == 0);
        let strategy = match strategies[dice.within(0..6) as usize] {
            // Blue and green need a route.
            "blue-green" if !route => "see-saw",
            strategy => strategy,
        };
        Self {
            series,
            master,
            route,
            strategy,
            half: 1 + dice.within(0..3) as usize,
            twice: !route && dice.within(0..3) == 0,
            grace: [0, 0, 300, 1_000][dice.within(0..4) as usize],
            on_deadline: ["fail", "fail", "kill", "restore"][dice.within(0..4) as usize],
            on_drift: ["reassert", "reassert", "yield", "alarm"][dice.within(0..4) as usize],
            order: ["overlap", "gap"][dice.within(0..2) as usize],
            bake: dice.within(0..4) == 0,
            warm_up: dice.within(0..6) == 0,
            longest: [50, 300, 1_500][dice.within(0..3) as usize],
            ..Self::PLAIN
        }
        .with_more(dice)
    }

    /// Draws the properties that were added later. They are drawn last, so that older draws stay the same.
    fn with_more(self, dice: &mut Dice) -> Self {
        let haproxys = [1, 1, 1, 2][dice.within(0..4) as usize];
        let late = if haproxys > 1 && dice.within(0..4) == 0 { dice.within(500..6_000) } else { 0 };
        let same_names = dice.within(0..4) == 0;
        let (spare, off) = (dice.within(0..6).saturating_sub(3) as usize, dice.within(0..5) == 0);
        let (leader, sticky) = (!self.twice && dice.within(0..4) == 0, dice.within(0..4) == 0);
        let other_names = self.twice && dice.within(0..2) == 0;
        let random = Self { haproxys, late, same_names, ..self };
        if self.route { random } else { Self { spare, off, leader, sticky, other_names, ..random } }
    }

    /// The number of members of the farm.
    pub fn members(&self) -> usize {
        self.half * 2
    }

    /// The name of the member of a number.
    pub fn member(&self, number: usize) -> String {
        format!("web{:02}", number % self.members() + 1)
    }

    /// The address of a member.
    pub fn address(&self, number: usize) -> String {
        format!("10.0.0.{}:8080", number % self.members() + 1)
    }

    /// Every line of a member, as BACKEND/SERVER. The first one has checks, and the others track it, except the line
    /// in the backend of the leader.
    pub fn lines(&self, number: usize) -> Vec<String> {
        let name = self.member(number);
        let backends: &[&str] = match (self.route, self.has_all(), number < self.half) {
            (true, true, true) => &["web_a", "web_all"],
            (true, true, false) => &["web_b", "web_all"],
            (true, false, true) => &["web_a"],
            (true, false, false) => &["web_b"],
            (false, ..) if self.twice => &["app", "api"],
            (false, ..) if self.leader => &["app", "lead"],
            (false, ..) => &["app"],
        };
        let line = |backend: &&str| format!("{backend}/{}", self.name_in(backend, &name));
        backends.iter().map(line).collect()
    }

    /// The lines of a member that HAProxy can delete, because no other line tracks them.
    pub fn deletable_lines(&self, number: usize) -> Vec<String> {
        let mut lines = self.lines(number);
        // The lines of the leader's backend have checks of their own.
        if lines.len() > 1 && !self.leader {
            lines.remove(0);
        }
        lines
    }

    /// The address and the keywords with which `add server` makes a line as it is configured.
    pub fn keywords(&self, number: usize, line: &str) -> String {
        let (address, checked) = (self.address(number), &self.lines(number)[0]);
        if line == checked || self.leader {
            let CheckSetup { inter, fall, rise } = CHECK;
            format!("{address} check inter {}ms fall {fall} rise {rise} weight 100", inter.as_millis())
        } else {
            format!("{address} track {checked} weight 100")
        }
    }

    /// The name of a member in a backend.
    pub(crate) fn name_in(&self, backend: &str, member: &str) -> String {
        if self.other_names && backend == "api" { format!("{member}-api") } else { member.to_owned() }
    }

    /// The frontends that clients send requests to.
    pub fn frontends(&self) -> &'static [&'static str] {
        match (self.same_names, self.route, self.twice) {
            (true, false, _) if self.leader => &["app", "lead"],
            (false, false, _) if self.leader => &["www", "rest"],
            (true, true, _) if self.has_all() => &["web_all"],
            (true, true, _) => &["web_a"],
            (true, false, true) => &["app", "api"],
            (true, false, false) => &["app"],
            (false, _, true) => &["www", "rest"],
            (false, _, false) => &["www"],
        }
    }

    /// The names of the HAProxys in teeter's first configuration.
    pub fn names(&self) -> &'static [&'static str] {
        &["edge", "ford"][..self.haproxys]
    }

    /// Whether the route has a side for the whole farm. A blue-green farm has none.
    pub(crate) fn has_all(&self) -> bool {
        self.strategy != "blue-green"
    }

    /// The first text of the map's file.
    pub fn map(&self) -> String {
        format!("web {}\n", if self.has_all() { "web_all" } else { "web_a" })
    }

    /// The deploy of a version.
    pub fn deploy(&self, version: &str) -> Value {
        json!({ "farm": "web", "strategy": self.strategy, "version": version })
    }

    /// Whether all new requests go to one version at any moment.
    pub fn is_exact(&self) -> bool {
        self.route && matches!(self.strategy, "see-saw" | "blue-green")
    }
}

/// The health check of every line that does not track another one.
pub(crate) const CHECK: CheckSetup = CheckSetup { inter: Duration::from_millis(200), fall: 2, rise: 2 };

/// The first part of the names of spare slots.
pub const SLOT: &str = "slot";
