//! Properties that hold for any events in any order.

use proptest::prelude::*;

use super::*;

proptest! {
    /// For any reports, aborts and refusals: the route never leads to a group that is out.
    #[test]
    fn a_route_never_leads_to_a_group_that_is_out(events in proptest::collection::vec(0u8..9, 1..80)) {
        let mut world = World::of(ROUTE);
        for event in events {
            match event {
                0..=2 => drop(world.tick()),
                3 => drop(world.report(WorkReport::Done)),
                4 => drop(world.report(WorkReport::Failed("x".into()))),
                5 => world.abort(),
                6 => world.set_stages(&Stage::Out { mode: AdminState::Maint, at: at(world.now), left: 0 }),
                7 => world.set_stages(&Stage::Verified { at: at(world.now) }),
                _ => world.now += 7,
            }
            let live = world.switched.last().map_or("all", Side::as_str).to_owned();
            for (group, id) in &world.run.holds {
                prop_assert!(!world.state.holds.contains_key(id) || group.as_str() != live, "{live} is out");
            }
            if world.run.state == RunState::Done || world.run.state == RunState::Aborted {
                prop_assert_eq!(live, "all");
            }
        }
    }

    /// For any reports, aborts and refusals, in any order: both halves are never out together, no server is out without
    /// a hold of the run, and a run that is done holds nothing.
    #[test]
    fn no_order_of_events_takes_both_halves_out(events in proptest::collection::vec(0u8..10, 1..80)) {
        let mut world = World::new();
        for event in events {
            match event {
                0 | 1 => drop(world.tick()),
                2 => drop(world.report(WorkReport::Done)),
                3 => drop(world.report(WorkReport::Failed("x".into()))),
                4 => world.abort(),
                5 => world.set_stages(&Stage::Out { mode: AdminState::Maint, at: at(world.now), left: 0 }),
                6 => world.set_stages(&Stage::Verified { at: at(world.now) }),
                7 => world.confirmation = Confirmation::Refused("no".into()),
                8 => {
                    let Some(id) = world.state.holds.keys().next().copied() else { continue };
                    world.state.holds.remove(&id);
                    world.take(handle_lost_servers(&world.run, id, "taken".into(), at(world.now)));
                }
                _ => {
                    world.confirmation = Confirmation::Agreed;
                    world.now += 7;
                }
            }
            let out = world.out();
            prop_assert!(out.len() <= 2, "{out:?} are out");
            prop_assert!(world.state.holds.values().all(|hold| hold.owner == Owner::Run(RunId(7))));
            if world.run.state == RunState::Done {
                prop_assert!(out.is_empty());
            }
        }
    }

    /// A plan is only made if each half leaves enough members in service.
    #[test]
    fn no_plan_undercuts_what_must_be_available(servers in 2usize..9, bits in proptest::collection::vec((0usize..9, 0u32..17), 0..6), percent in 0u8..=100) {
        let seen = seen(servers, &bits);
        let settings = format!("{HALVES}min_available = \"{percent}%\"");
        let Ok(plan) = planned(&settings, &seen, &[]) else { return Ok(()) };
        for group in plan.groups.values() {
            let taken: BTreeSet<&Entry> = group.iter().flat_map(|member| &member.entries).collect();
            let serves = |name: &str| seen.servers[&name.parse().unwrap()].is_usable();
            let left = (0..servers).filter(|i| serves(&format!("app/w{i}")) && !taken.contains(&entry(&format!("app/w{i}")))).count();
            prop_assert!(left >= 1);
            let slot = |i: &usize| seen.servers[&format!("app/w{i}").parse().unwrap()].admin.0 & 5 == 5;
            let counted = (0..servers).filter(|i| !slot(i)).count();
            prop_assert!(left * 100 >= counted * usize::from(percent), "{left} of {counted} at {percent}%");
        }
        for member in plan.groups.values().flatten() {
            prop_assert!(!plan.skipped.contains_key(&member.name));
        }
    }
}
