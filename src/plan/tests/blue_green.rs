//! Blue-green deploys.

use proptest::prelude::*;

use super::*;
use crate::plan::blue_green;

const COLOURS: &str = "members = [\"app/*\"]\ngroups = { blue = [\"w[01]\"], green = [\"w[23]\"] }\n";

fn blue_green_world() -> World {
    let (farm, seen) = (farm(COLOURS), seen(4, &[(2, 1), (3, 1)]));
    let standby = hold(1, Owner::Run(RunId(3)), [entry("app/w2"), entry("app/w3")], Stage::Verified { at: at(0) });
    let held = BTreeMap::from([("green".parse().unwrap(), standby.id)]);
    let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
    let (layout, skipped) = (layout_of(&farm, &seen), Skipped::default());
    let plan = blue_green::plan(&PlanningInput { standby: &held, ..input(&farm, &layout, &all, &skipped) }).unwrap();
    let mut world = World::carrying_out(plan);
    world.state.next_hold = 2;
    world.run.holds = held;
    world.state.holds.insert(standby.id, Hold { owner: Owner::Run(RunId(7)), ..standby });
    world
}

#[test]
fn blue_green_works_on_the_standby_side_and_leaves_the_other_on_standby() {
    let mut world = blue_green_world();
    let steps: Vec<String> = world.run.plan.steps.iter().map(ToString::to_string).collect();
    assert_eq!(steps, ["out green", "drain green", "work green", "verify green", "flip blue to green", "drain blue"]);
    world.settle();
    assert_eq!(world.state.holds.len(), 1, "the one that it had before is gone");
    world.report(WorkReport::Done).unwrap();
    world.settle();
    assert_eq!(world.run.state, RunState::Done);
    let out: Vec<_> = world.state.holds.values().flat_map(|hold| hold.members()).cloned().collect();
    assert_eq!(out, names(&["w0", "w1"]));
    // Aborted during the work, the side stays on standby.
    let mut world = blue_green_world();
    world.settle();
    world.abort();
    assert_eq!((world.run.state.clone(), world.state.holds.len()), (RunState::Aborted, 1));
}

#[test]
fn one_side_must_be_without_traffic() {
    let (farm, seen) = (farm(COLOURS), seen(4, &[]));
    let layout = layout_of(&farm, &seen);
    let sides = |live: Option<&Side>| blue_green::sides(&farm, &layout, live, &NO_STANDBY);
    assert!(matches!(sides(None), Err(Veto::NoneIdle { .. })));
    assert!(matches!(sides(Some(&Side::All)), Err(Veto::NoneIdle { .. })));
    assert_eq!(sides(Some(&"green".parse().unwrap())).unwrap().idle.as_str(), "blue");
}

proptest! {
    /// For any events: a blue-green deploy leaves one side in service, and holds the other.
    #[test]
    fn blue_green_never_has_both_sides_out(events in proptest::collection::vec(0u8..9, 1..80)) {
        let mut world = blue_green_world();
        for event in events {
            match event {
                0 | 1 => drop(world.tick()),
                2 => drop(world.report(WorkReport::Done)),
                3 => drop(world.report(WorkReport::Failed("x".into()))),
                4 => world.abort(),
                5 => world.set_stages(&Stage::Out { mode: AdminState::Maint, at: at(world.now), left: 0 }),
                6 => world.set_stages(&Stage::Verified { at: at(world.now) }),
                7 => drop(world.rollback()),
                _ => world.now += 7,
            }
            prop_assert_eq!(world.out().len(), 2, "{:?}", world.run);
        }
    }
}
