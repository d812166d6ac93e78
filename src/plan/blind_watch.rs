//! Watches that could never see anything: refused before a run begins.

use std::collections::BTreeMap;

use super::run_plan::Plan;
use super::step::Step;
use super::veto::Veto;
use crate::farm::InstanceName;
use crate::haproxy::BackendName;

/// A veto if the watch of a plan could see nothing: it compares only figures that HAProxy does not count in TCP mode.
#[must_use]
pub fn blind(plan: &Plan, modes: &BTreeMap<(InstanceName, BackendName), String>) -> Option<Veto> {
    let watches = plan.steps.iter().any(|step| matches!(step, Step::Bake { .. }));
    let bake = plan.bake.as_ref().filter(|bake| watches && !bake.compares_nothing() && bake.max_errors.is_none())?;
    let mut entries = plan.groups.values().flatten().flat_map(|member| &member.entries).peekable();
    entries.peek()?;
    let tcp = entries.all(|entry| {
        let place = (entry.instance.clone(), entry.server.backend.clone());
        modes.get(&place).is_some_and(|mode| mode == "tcp")
    });
    let asks = match (bake.max_5xx, bake.max_time) {
        (Some(_), Some(_)) => "bake.max_5xx and bake.max_time compare",
        (Some(_), None) => "bake.max_5xx compares",
        _ => "bake.max_time compares",
    };
    tcp.then(|| Veto::Watch {
        problem: format!(
            "{asks} answers, which HAProxy does not read in `mode tcp`, and all backends of {} are in it: give \
             bake.max_errors instead",
            plan.farm
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farm::{Farm, Seen, SeenServer};
    use crate::plan::tests::input;
    use crate::plan::{Skipped, see_saw};

    #[test]
    fn a_watch_needs_something_that_is_counted() {
        let refused = |bake: &str, mode: &str| {
            let settings = format!("members = [\"app/*\"]\nhalves = \"auto\"\nbake = {{ for = \"1m\", {bake} }}");
            let farm = Farm { name: "web".parse().unwrap(), settings: toml::from_str(&settings).unwrap() };
            let names = ["app/w1", "app/w2"].map(|name| (name.parse().unwrap(), SeenServer::sample()));
            let seen = Seen { servers: names.into_iter().collect(), ..Seen::default() };
            let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
            let layout = farm.layout(&all).unwrap();
            let skipped = Skipped::default();
            let plan = see_saw::plan(&input(&farm, &layout, &all, &skipped)).unwrap();
            let modes = BTreeMap::from([(("edge".parse().unwrap(), "app".parse().unwrap()), mode.to_owned())]);
            blind(&plan, &modes).map(|veto| veto.to_string())
        };
        assert_eq!(refused("max_5xx = \"1%\"", "http"), None);
        assert_eq!(refused("max_5xx = \"1%\", max_errors = \"1%\"", "tcp"), None);
        assert!(refused("max_5xx = \"1%\"", "tcp").is_some_and(|words| words.contains("bake.max_errors instead")));
        assert!(refused("max_time = \"200%\"", "tcp").is_some_and(|words| words.contains("bake.max_time compares")));
    }
}
