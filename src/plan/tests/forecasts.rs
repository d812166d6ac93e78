//! What a dry run says about a plan, and the versions that runs leave behind.

use super::*;
use crate::plan::{Forecast, forecast};
use crate::state::State;

/// The forecast of a plan, if these members serve now.
fn expected(plan: &Plan, serving: &[&str]) -> Forecast {
    forecast(plan, &serving.iter().map(|name| name.parse().unwrap()).collect())
}

fn carried(forecast: &Forecast) -> Vec<usize> {
    forecast.steps.iter().map(|step| step.carry).collect()
}

const ALL: [&str; 4] = ["w0", "w1", "w2", "w3"];

#[test]
fn a_see_saw_is_carried_by_one_half_after_the_other() {
    let plan = World::new().run.plan;
    let steps: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
    assert_eq!(steps[..5], ["out a", "drain a", "work a", "verify a", "flip b to a"], "{steps:?}");
    let all = expected(&plan, &ALL);
    assert_eq!((all.servers, carried(&all)), (4, vec![2, 2, 2, 2, 2, 2, 2, 2, 4]));
    assert!(all.steps[0].does.ends_with("w2, w3 carry the traffic"), "{}", all.steps[0].does);
    assert!(all.steps[8].does.ends_with("all servers carry the traffic"), "{}", all.steps[8].does);
    // A server that is down before does not carry anything until it was deployed to.
    let one_down = expected(&plan, &ALL[..3]);
    assert_eq!(carried(&one_down), [1, 1, 1, 1, 2, 2, 2, 2, 4]);
    // Two drains and two verifications, and the end of the second half.
    assert_eq!((all.least, all.most), (Span::default(), Span::from_secs(2 * 300 + 2 * 60 + 60)));
}

#[test]
fn a_route_decides_which_servers_carry_the_traffic() {
    let plan = World::of(ROUTE).run.plan;
    let forecast = expected(&plan, &ALL);
    assert_eq!(carried(&forecast), [2, 2, 2, 2, 2, 2, 2, 2, 4]);
    assert!(forecast.steps[4].does.contains("by the route, at once"), "{}", forecast.steps[4].does);
    // Servers that are ready on the other side carry nothing.
    let one_side = Plan { live: Side::Group("b".parse().unwrap()), ..plan };
    assert_eq!(expected(&one_side, &ALL).before.len(), 2);
}

#[test]
fn the_latest_run_that_knows_a_member_gives_its_version() {
    let mut earlier = World::new().run;
    earlier.versions = ALL.iter().map(|name| (name.parse().unwrap(), "v1".to_owned())).collect();
    // The servers report no version, so the hooks' work counts: on a, not yet on b.
    let mut later = World::new().run;
    (later.id, later.cursor) = (RunId(8), 4);
    let farm = later.plan.farm.clone();
    let mut state = State { runs: [(earlier.id, earlier), (later.id, later)].into(), ..State::default() };
    let members: Vec<MemberName> = ALL.iter().chain(&["w9"]).map(|name| name.parse().unwrap()).collect();
    let versions = |state: &State| {
        let versions = state.versions(&farm, members.iter());
        versions.iter().map(|(member, version)| format!("{member} {version}")).collect::<Vec<_>>()
    };
    assert_eq!(versions(&state), ["w0 v2", "w1 v2", "w2 v1", "w3 v1"]);
    // Work that has failed, and that the run has passed, has brought nothing.
    state.runs.get_mut(&RunId(8)).unwrap().passed.insert(2, crate::plan::Passed::Failed);
    assert_eq!(versions(&state), ["w0 v1", "w1 v1", "w2 v1", "w3 v1"]);
}
