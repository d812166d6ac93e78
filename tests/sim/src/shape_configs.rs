//! The configurations of a farm: haproxy.cfg and teeter.toml.

use std::path::Path;
use std::time::Duration;

use crate::fake::{BackendSetup, Route, ServerSetup, Setup};
use crate::shape::{CHECK, SLOT, Shape};

impl Shape {
    /// haproxy.cfg.
    pub fn setup(&self, map: &Path) -> Setup {
        let mut setup = Setup::new(self.series);
        setup.master = self.master;
        let check = |server: ServerSetup| ServerSetup { check: Some(CHECK), ..server };
        let plain = |number: usize| ServerSetup::new(&self.member(number), &self.address(number));
        let (half, all) = (self.half, self.members());
        if !self.route {
            let slots = |backend: BackendSetup| {
                let slot = |number: usize| ServerSetup::new(&format!("{SLOT}{number:02}"), "10.0.0.250:8080");
                let slots = (0..self.spare).map(|number| ServerSetup { disabled: true, ..check(slot(number)) });
                slots.fold(backend, BackendSetup::server)
            };
            let checked = |name: &str| {
                let backend = BackendSetup { stick: self.sticky.then_some(TABLE_EXPIRES), ..BackendSetup::new(name) };
                slots((0..all).fold(backend, |backend, number| backend.server(check(plain(number)))))
            };
            let app = checked("app");
            setup = setup.frontend(self.frontends()[0], Route::To("app".to_owned())).backend(app);
            if self.twice {
                let api = (0..all).fold(BackendSetup::new("api"), |backend, number| {
                    let name = self.name_in("api", &self.member(number));
                    let server = ServerSetup::new(&name, &self.address(number));
                    backend.server(server.track(&format!("app/{}", self.member(number))))
                });
                let api = slots(api);
                setup = setup.frontend(self.frontends()[1], Route::To("api".to_owned())).backend(api);
            }
            if self.leader {
                setup = setup.frontend(self.frontends()[1], Route::To("lead".to_owned())).backend(checked("lead"));
            }
            if self.off {
                setup = setup.backend(BackendSetup { disabled: true, ..checked("old") });
            }
            return setup;
        }
        let default = Some(if self.has_all() { "web_all" } else { "web_a" }.to_owned());
        let (file, key) = (map.to_owned(), "web".to_owned());
        let route = match self.strategy {
            "canary" => Route::Canary { file, key, default },
            _ => Route::Map { file, key, default },
        };
        setup = setup.frontend(self.frontends()[0], route);
        for (name, members) in [("web_a", 0..half), ("web_b", half..all)] {
            let backend = members.fold(BackendSetup::new(name), |backend, number| backend.server(check(plain(number))));
            setup = setup.backend(backend);
        }
        if self.has_all() {
            let backend = (0..all).fold(BackendSetup::new("web_all"), |backend, number| {
                backend.server(plain(number).track(&self.lines(number)[0]))
            });
            setup = setup.backend(backend);
        }
        setup
    }

    /// The table of members, with the lines of each.
    fn table(&self) -> String {
        let member = |number: usize| {
            let (name, mut lines) = (self.member(number), self.lines(number));
            lines.extend(self.off.then(|| format!("old/{name}")));
            format!("{name} = {lines:?}")
        };
        let members: Vec<String> = (0..self.members()).map(member).collect();
        format!("{{ {} }}", members.join(", "))
    }

    /// teeter.toml.
    pub fn config(&self, map: &Path) -> String {
        let names = |members: std::ops::Range<usize>| {
            members.map(|number| format!("{:?}", self.member(number))).collect::<Vec<_>>().join(", ")
        };
        let (a, b) = (names(0..self.half), names(self.half..self.members()));
        // Spare slots are in no group.
        let groups = match self.spare {
            0 => format!("groups = {{ a = [{a}], b = [{b}] }}"),
            _ => "halves = \"auto\"".to_owned(),
        };
        let members = match (self.route, self.has_all(), self.twice) {
            (true, true, _) => r#"["web_all/*", "web_a/*", "web_b/*"]"#.to_owned(),
            (true, false, _) => r#"["web_a/*", "web_b/*"]"#.to_owned(),
            (false, ..) if self.other_names => self.table(),
            (false, ..) if self.off => r#"["*/*"]"#.to_owned(),
            (false, ..) if self.leader => r#"["app/*", "lead/*"]"#.to_owned(),
            (false, _, true) => r#"["app/*", "api/*"]"#.to_owned(),
            (false, _, false) => r#"["app/*"]"#.to_owned(),
        };
        let all = if self.has_all() { "all = \"web_all\", " } else { "" };
        let flip_options = match self.route {
            true => format!(
                "sticky = \"break\"\nroute = {{ map = {map:?}, key = \"web\", {all}a = \"web_a\", b = \"web_b\" }}"
            ),
            false => format!("order = {:?}", self.order),
        };
        let bake =
            "[farm.web.bake]\nfor = \"1s\"\nmax_5xx = \"20%\"\nmin_requests = 5\non_inconclusive = \"proceed\"\n";
        let bake = if self.bake { bake } else { "" };
        let warm_up = if self.warm_up { "warm_up = { paths = [\"/\"], requests = 3, below = \"200ms\" }" } else { "" };
        let Self { grace, on_deadline, on_drift, .. } = self;
        format!(
            r#"
[farm.web]
members = {members}
{groups}
min_available = "50%"
on_drift = "{on_drift}"
[farm.web.flip]
{flip_options}
[farm.web.drain]
grace = "{grace}ms"
deadline = "4s"
on_deadline = "{on_deadline}"
[farm.web.verify]
http = {{ path = "/_status", version = {{ header = "x-version" }}, timeout = "1s" }}
deadline = "4s"
{warm_up}
[farm.web.canary]
group = "a"
steps = "50%,100%"
pause = "1s"
[farm.web.rolling]
batch = 1
settle = "0s"
{bake}"#
        )
    }
}

/// The time that a table keeps a client: longer than any simulation.
const TABLE_EXPIRES: Duration = Duration::from_secs(1_800);
