//! One writer and real files.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use super::attempt::{Attempt, Progress};
use super::place::Place;
use super::*;
use crate::farm::WantedMap;
use crate::platform::Clock;

pub(super) fn wanted(live: &str, kept: Option<&str>) -> WantedMap {
    WantedMap {
        live: [("web".parse().unwrap(), live.parse().unwrap())].into(),
        beside: [("web@b".parse().unwrap(), kept.map(|kept| kept.parse().unwrap()))].into(),
        write: true,
        ..WantedMap::default()
    }
}

fn wish(live: &str, known: Option<Stamp>) -> Wish {
    Wish { wanted: wanted(live, None), revision: 1, known, watched: known.is_some(), now: Clock::default().mark() }
}

fn agree(path: &Path, wish: &Wish) -> Result<Agreed, Failed> {
    MapKeeper::default().agree(path, wish)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_whole_and_keeps_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.map");
    fs::write(&path, "web web_all\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let keeper = MapKeeper::default();
    let first = keeper.agree(&path, &wish("web_a", None)).unwrap();
    assert!(first.written);
    assert_eq!(fs::read_to_string(&path).unwrap(), "web web_a\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(names(dir.path()), ["live.map"]);
    // Another program writes it anew: seen, and put right.
    fs::write(&path, "web web_all\nmine x\n").unwrap();
    let second = keeper.agree(&path, &wish("web_a", Some(first.stamp))).unwrap();
    assert!(second.written && second.stamp != first.stamp);
    assert_eq!(fs::read_to_string(&path).unwrap(), "web web_a\nmine x\n");
}

#[test]
fn a_file_is_replaced_on_a_file_system_that_cannot_exchange_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.map");
    fs::write(&path, "web web_all\nshop x\n").unwrap();
    let mut place = Place::of(&path).unwrap();
    place.exchanges = false;
    let wanted = wanted("web_a", None);
    let mut attempt = Attempt::new(&place, &wanted, std::process::id());
    let done = loop {
        if let Progress::Done(done) = attempt.step().unwrap() {
            break done;
        }
    };
    assert!(done.written && attempt.notes.is_empty());
    assert_eq!(fs::read_to_string(&path).unwrap(), "web web_a\nshop x\n");
    assert_eq!(names(dir.path()), ["live.map"]);
}

#[test]
fn a_link_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("file"), dir.path().join("live.map"));
    fs::write(&file, "web web_all\n").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let error = check_one(&link.to_str().unwrap().parse().unwrap()).unwrap_err();
    assert!(error.contains("symbolic link") && error.contains("write_map = false"), "{error}");
    assert!(check_one(&file.to_str().unwrap().parse().unwrap()).is_ok());
    let Err(Failed::Cannot(error)) = agree(&link, &wish("web_a", None)) else { panic!("it is followed") };
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "web web_all\n");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn a_link_where_the_new_file_is_written_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (victim, path) = (dir.path().join("victim"), dir.path().join("live.map"));
    fs::write(&victim, "another program's").unwrap();
    fs::write(&path, "web web_all\n").unwrap();
    let place = Place::of(&path).unwrap();
    let next = super::attempt::NUMBER.load(std::sync::atomic::Ordering::Relaxed);
    for number in next..next + 50 {
        let name = super::names::staged(&place.name, std::process::id(), number);
        std::os::unix::fs::symlink(&victim, dir.path().join(name)).unwrap();
    }
    drop(agree(&path, &wish("web_a", None)));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "another program's");
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
}

#[test]
fn a_file_keeps_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.map");
    fs::write(&path, "web web_all\n").unwrap();
    let before = fs::metadata(&path).unwrap();
    // Only root can give a file away; other users keep their own.
    let root = rustix::process::geteuid().is_root();
    let (uid, gid) = if root { (54_001, 54_002) } else { (before.uid(), before.gid()) };
    std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
    assert!(agree(&path, &wish("web_a", None)).unwrap().written);
    let now = fs::metadata(&path).unwrap();
    assert_eq!((now.uid(), now.gid()), (uid, gid));
}

#[test]
fn a_check_does_not_touch_the_files_of_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.map");
    fs::write(&path, "web web_all\n").unwrap();
    let place = Place::of(&path).unwrap();
    let wanted = wanted("web_a", None);
    let mut attempt = Attempt::new(&place, &wanted, std::process::id());
    let mut seen = 0;
    while !matches!(attempt.step().unwrap(), Progress::Done(_)) {
        let before = names(dir.path());
        seen = seen.max(before.len());
        check::check(&path).unwrap();
        assert_eq!(names(dir.path()), before);
    }
    assert_eq!((seen, fs::read_to_string(&path).unwrap().as_str()), (2, "web web_a\n"));
}

#[test]
fn removed_entries_are_reported_once_the_other_program_has_stopped_writing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.map");
    fs::write(&path, "# head\nweb web_all\nshop shop_all\npay x\n").unwrap();
    let keeper = MapKeeper::default();
    let first = keeper.agree(&path, &wish("web_a", None)).unwrap();
    let again = wish("web_a", Some(first.stamp));
    // A shell that has emptied the file writes into it later.
    fs::write(&path, "").unwrap();
    assert!(matches!(keeper.agree(&path, &again), Err(Failed::NotYet(_))));
    assert_eq!(fs::read(&path).unwrap(), b"");
    fs::write(&path, "web web_all\nshop shop_all\npay x\nnew y\n").unwrap();
    let whole = keeper.agree(&path, &again).unwrap();
    assert_eq!((whole.written, whole.notes), (true, Vec::<String>::new()));
    assert_eq!(keeper.troubles(&path, again.now).unwrap(), Vec::<String>::new());
    // The file stays without the entries: teeter puts its own in, and reports the missing ones.
    let again = wish("web_a", Some(whole.stamp));
    let later = Wish { now: again.now + Duration::from_millis(250), ..again.clone() };
    for (cut, after, words) in [("pay x\n", "pay x\nweb web_a\n", "new, shop"), ("", "web web_a\n", "emptied it: pay")]
    {
        fs::write(&path, cut).unwrap();
        assert!(matches!(keeper.agree(&path, &again), Err(Failed::NotYet(_))), "{words}");
        assert!(matches!(keeper.agree(&path, &again), Err(Failed::NotYet(_))), "{words}");
        let agreed = keeper.agree(&path, &later).unwrap();
        assert!(agreed.written && agreed.notes.len() == 1 && agreed.notes[0].contains(words), "{agreed:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), after);
    }
    let trouble = keeper.troubles(&path, later.now).unwrap().concat();
    assert!(trouble.contains("another program has taken away new, pay, shop"), "{trouble}");
    fs::write(&path, "web web_a\nshop z\npay z\nnew z\n").unwrap();
    assert_eq!(keeper.troubles(&path, later.now).unwrap(), Vec::<String>::new());
    fs::write(&path, "# nothing\n").unwrap();
    assert!(keeper.troubles(&path, later.now).unwrap().concat().contains("has no entries"));
    fs::write(dir.path().join("live.map.teeter-kept-0123456789abcdef"), "web x\n").unwrap();
    fs::write(&path, "web web_a\nshop z\npay z\nnew z\n").unwrap();
    assert!(keeper.troubles(&path, later.now).unwrap().concat().contains("live.map.teeter-kept-0123456789abcdef"));
}

#[test]
fn entries_that_were_removed_while_teeter_did_not_keep_the_file_are_not_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.map");
    fs::write(&path, "web web_all\nshop shop_all\n").unwrap();
    let keeper = MapKeeper::default();
    keeper.agree(&path, &wish("web_a", None)).unwrap();
    fs::write(&path, "web web_all\n").unwrap();
    let agreed = keeper.agree(&path, &wish("web_a", None)).unwrap();
    assert_eq!((agreed.written, agreed.notes), (true, Vec::<String>::new()));
}

#[test]
fn an_older_wish_does_not_replace_a_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.map");
    fs::write(&path, "web web_all\n").unwrap();
    let keeper = MapKeeper::default();
    keeper.agree(&path, &Wish { revision: 7, ..wish("web_a", None) }).unwrap();
    assert!(matches!(keeper.agree(&path, &Wish { revision: 6, ..wish("web_b", None) }), Err(Failed::NotYet(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "web web_a\n");
}

#[test]
fn writers_at_the_same_time_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.map");
    fs::write(&path, "# head\nshop x\n").unwrap();
    // Two teeterds, and three HAProxys of each.
    let keepers = [MapKeeper::default(), MapKeeper::default()];
    std::thread::scope(|scope| {
        for writer in 0..6 {
            let (keeper, path) = (&keepers[writer % 2], &path);
            scope.spawn(move || {
                for round in 0..10 {
                    let live = [(format!("k{writer}").parse().unwrap(), format!("r{round}").parse().unwrap())].into();
                    let wanted = WantedMap { live, ..WantedMap::default() };
                    let agreed = keeper.agree(path, &Wish { wanted, ..wish("none", None) }).unwrap();
                    assert!(agreed.written && agreed.notes.is_empty(), "{agreed:?}");
                    check::check(path).unwrap();
                }
            });
        }
    });
    let mut lines: Vec<String> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    lines[2..].sort();
    assert_eq!(lines, ["# head", "shop x", "k0 r9", "k1 r9", "k2 r9", "k3 r9", "k4 r9", "k5 r9"]);
    assert_eq!(names(dir.path()), ["live.map"]);
}

#[test]
fn only_the_files_of_killed_processes_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.map");
    fs::write(&path, "web web_all\n").unwrap();
    // Larger than any process id of Linux.
    let dead = 0x7fff_fff0_u32;
    let own = std::process::id();
    let removed = [
        format!(".live.map.teeter-{dead}"),
        format!(".live.map.teeter-{own}"),
        format!(".live.map.teeter-{dead}-3"),
        format!(".live.map.teeter-check-{dead}-4"),
    ];
    let stays = [
        ".live.map.teeter-1-1".to_owned(),
        ".live.map.teeter-x".to_owned(),
        format!(".other.map.teeter-{dead}"),
        "live.map.teeter-kept-0000000000000001".to_owned(),
    ];
    for name in removed.iter().chain(&stays) {
        fs::write(dir.path().join(name), "web").unwrap();
    }
    let link = format!(".live.map.teeter-{dead}-9");
    std::os::unix::fs::symlink(&path, dir.path().join(&link)).unwrap();
    MapKeeper::default().sweep([path.clone()]);
    let mut expected: Vec<String> = stays.into_iter().chain([link, "live.map".to_owned()]).collect();
    expected.sort();
    assert_eq!(names(dir.path()), expected);
    assert_eq!(fs::read_to_string(&path).unwrap(), "web web_all\n");
}
