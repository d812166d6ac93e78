//! Vetoes of plans, and the members that must stay in service.

use super::*;

#[test]
fn vetoes_come_before_anything_moves() {
    let one_group = "members = [\"app/*\"]\ngroups = { a = [\"w*\"] }";
    assert!(matches!(planned(one_group, &seen(2, &[]), &[]).unwrap_err()[..], [Veto::Groups { .. }]));
    // One of the four is down: each half can only go if the other carries the load.
    let down = planned(&format!("{HALVES}min_available = \"50%\""), &seen(4, &[(3, 1)]), &[]).unwrap_err();
    assert!(down.iter().any(|veto| matches!(veto, Veto::MinAvailable { left: 1, needed: 2, .. })), "{down:?}");
    let alone = planned(HALVES, &seen(4, &[(2, 8), (3, 8)]), &[]).unwrap_err();
    assert!(alone.iter().any(|veto| matches!(veto, Veto::LastServers { .. })), "{alone:?}");
    let out = || Stage::Out { mode: AdminState::Maint, at: at(0), left: 0 };
    for (owner, stage) in
        [(Owner::Operator("ann".into()), Stage::Verified { at: at(0) }), (Owner::Run(RunId(2)), out())]
    {
        let busy = planned(HALVES, &seen(4, &[]), &[hold(1, owner, [entry("app/w0")], stage)]).unwrap_err();
        assert!(busy.iter().any(Veto::is_busy), "{busy:?}");
    }
}

#[test]
fn a_member_held_by_an_operator_is_skipped_and_counts_as_out() {
    let out = Stage::Out { mode: AdminState::Maint, at: at(0), left: 0 };
    let repair = hold(1, Owner::Operator("ann".into()), [entry("app/w1")], out);
    let in_repair = |settings: &str| planned(settings, &seen(4, &[]), std::slice::from_ref(&repair));
    let plan = in_repair(HALVES).unwrap();
    assert_eq!(plan.skipped[&"w1".parse().unwrap()], "held by ann: r");
    let a = &plan.groups[&"a".parse().unwrap()];
    assert_eq!(a.iter().map(|member| member.name.as_str()).collect::<Vec<_>>(), ["w0"]);
    // The member counts as out even if HAProxy does not have the change yet.
    let few = in_repair(&format!("{HALVES}min_available = 2")).unwrap_err();
    assert!(few.iter().any(|veto| matches!(veto, Veto::MinAvailable { left: 1, needed: 2, .. })), "{few:?}");
    // A half with no member left is refused with the reasons.
    let both = hold(1, Owner::Operator("ann".into()), ["app/w0", "api/w1"].map(entry), repair.stage.clone());
    let empty = planned(HALVES, &seen(4, &[]), &[both]).unwrap_err();
    assert!(empty.iter().any(|veto| veto.to_string().contains("w0 is skipped (held by ann: r)")), "{empty:?}");
}

#[test]
fn the_last_usable_server_of_any_backend_is_guarded() {
    let seen = seen(2, &[(1, 8)]);
    let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
    let taken = BTreeSet::from([entry("app/w0")]);
    assert!(
        matches!(&guard::last_servers(&taken, &BTreeSet::new(), &all)[..], [Veto::LastServers { backend, .. }] if backend == "edge:app")
    );
    // A server without clients may go.
    assert!(guard::last_servers(&BTreeSet::from([entry("app/w1")]), &BTreeSet::new(), &all).is_empty());
}

#[test]
fn members_that_are_out_already_count_against_the_minimum() {
    let farm = |min: &str| farm(&format!("{HALVES}min_available = {min}"));
    let refused = |min: &str, down: &[(usize, u32)], taken: &[&str]| {
        let (seen, farm) = (seen(4, down), farm(min));
        let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
        let taken = taken.iter().map(|name| entry(name)).collect();
        match guard::all_but_min(&farm, &farm.layout(&all).unwrap(), &Side::All, &taken, &all) {
            Some(Veto::AllButMin { left, needed, may_go, .. }) => Some((left, needed, may_go)),
            Some(other) => panic!("{other}"),
            None => None,
        }
    };
    assert_eq!(refused("2", &[], &["app/w0", "app/w1"]), None);
    assert_eq!(refused("2", &[], &["app/w0", "app/w1", "app/w2"]), Some((1, 2, 2)));
    assert_eq!(refused("\"50%\"", &[(3, 1)], &["app/w0", "app/w1"]), Some((1, 2, 1)));
    // A member that is out already makes it no worse, and too few are in service all the same.
    assert_eq!(refused("2", &[(1, 1), (2, 8), (3, 1)], &["app/w3"]), Some((1, 2, 0)));
    assert_eq!(refused("2", &[(1, 1), (2, 8), (3, 1)], &["other/x"]), None);
    // At least one member stays in service.
    assert_eq!(refused("0", &[], &["app/w0", "app/w1", "app/w2", "app/w3"]), Some((0, 1, 3)));
}

#[test]
fn a_backup_counts_only_when_no_other_server_is_left() {
    let mut seen = seen(4, &[]);
    let backups = |seen: &mut Seen, which: &[&str]| {
        let names: Vec<_> = seen.servers.keys().cloned().collect();
        for name in names {
            let backup = which.contains(&name.server.as_str());
            seen.servers.get_mut(&name).unwrap().backup = backup;
        }
    };
    let min = |min: u8| format!("{HALVES}min_available = {min}");
    let left = |seen: &Seen, settings: &str| match planned(settings, seen, &[]) {
        Ok(_) => None,
        Err(vetoes) => vetoes.iter().find_map(|veto| match veto {
            Veto::MinAvailable { left, .. } => Some(*left),
            _ => None,
        }),
    };
    // w0 and w1 serve, w2 and w3 are backups: one of these serves when both are out.
    backups(&mut seen, &["w2", "w3"]);
    assert_eq!((left(&seen, &min(1)), left(&seen, &min(2))), (None, Some(1)));
    // Beside w2 the backup w3 gets nothing.
    backups(&mut seen, &["w3"]);
    assert_eq!((left(&seen, &min(1)), left(&seen, &min(2))), (None, Some(1)));
    backups(&mut seen, &[]);
    assert_eq!(left(&seen, &min(2)), None);
}
