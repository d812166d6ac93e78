//! The files behind maps: a reload reads them again, so they are kept in step with what HAProxy is told.
//!
//! Only teeter's own entries are touched: comments, blank lines and everybody else's entries stay as they are. A file
//! is replaced whole or not at all, keeps its owner and mode, and is on the disk before HAProxy is told anything.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::platform::Platform;
use crate::farm::{WantedMap, file_of};
use crate::haproxy::MapName;
use crate::store::open_itself;

/// Tells whether a file is the one that was looked at: inode, size, time of change.
pub(super) type Stamp = (u64, u64, i64, i64);

/// Whether these files could be kept in step; changes nothing in them. Gives why not, and what to do.
pub(super) async fn check_all(maps: impl IntoIterator<Item = &MapName>, platform: &Platform) -> Vec<String> {
    let maps: Vec<MapName> = maps.into_iter().cloned().collect();
    let names = maps.iter().map(MapName::as_str).collect::<Vec<_>>().join(", ");
    let checked = platform.on_disk(move || maps.iter().filter_map(|map| check(map).err()).collect());
    match tokio::time::timeout(DISK_TAKES, checked).await {
        Ok(Ok(problems)) => problems,
        _ => vec![format!(
            "the disk did not answer within {DISK_TAKES:?}, so the map file {names} could not be kept in step"
        )],
    }
}

fn check(map: &MapName) -> Result<(), String> {
    let Some(path) = file_of(map).map(Path::new) else { return Ok(()) };
    let tried = open(path).and_then(|(_, of)| {
        let beside = beside(path)?;
        create(&beside, &of)?;
        fs::remove_file(&beside)
    });
    tried.map_err(|error| cannot(&path.display().to_string(), &error))
}

pub(super) fn cannot(path: &str, error: &io::Error) -> String {
    format!(
        "cannot keep the map file {path} in step: {error}. Let teeterd write to it and its directory (ReadWritePaths= in \
         its unit), or say write_map = false under flip: then a reload turns the traffic back until teeter has told \
         HAProxy again"
    )
}

/// Makes a file agree. Whether it had to be written, and what it is known by then.
pub(super) fn agree(path: &Path, known: Option<Stamp>, wanted: &WantedMap) -> io::Result<(Stamp, bool)> {
    let (mut file, of) = open(path)?;
    if known == Some(stamp(&of)) {
        return Ok((stamp(&of), false));
    }
    let mut before = Vec::new();
    file.read_to_end(&mut before)?;
    let after = rewritten(&before, wanted);
    if before == after {
        return Ok((stamp(&of), false));
    }
    let beside = beside(path)?;
    let written = create(&beside, &of).and_then(|mut file| {
        file.write_all(&after)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        // The error that led here says more than one about a file that is not there.
        fs::remove_file(&beside).unwrap_or_default();
    }
    written?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
    Ok((stamp(&open(path)?.1), true))
}

/// The lines of a file with teeter's entries as they should be. HAProxy takes the first of two entries with one key.
fn rewritten(before: &[u8], wanted: &WantedMap) -> Vec<u8> {
    let mut entries: BTreeMap<&[u8], Option<&str>> =
        wanted.entries().map(|(key, value)| (key.as_str().as_bytes(), value.map(|value| value.as_str()))).collect();
    let mut done = Vec::new();
    let mut after = Vec::with_capacity(before.len() + 64);
    for line in before.split_inclusive(|byte| *byte == b'\n') {
        let words = line.trim_ascii();
        let end = words.iter().position(u8::is_ascii_whitespace).unwrap_or(words.len());
        let key = &words[..end];
        if done.contains(&key) {
            continue;
        }
        match entries.remove_entry(key) {
            None => after.extend_from_slice(line),
            Some((key, value)) => {
                done.push(key);
                let Some(value) = value else { continue };
                if words[end..].trim_ascii() == value.as_bytes() {
                    after.extend_from_slice(line);
                } else {
                    after.extend_from_slice(&[key, b" ", value.as_bytes(), b"\n"].concat());
                }
            }
        }
    }
    for (key, value) in entries.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        if after.last().is_some_and(|byte| *byte != b'\n') {
            after.push(b'\n');
        }
        after.extend_from_slice(&[key, b" ", value.as_bytes(), b"\n"].concat());
    }
    after
}

/// A map is a file of its own: behind a symbolic link the directory that teeter writes to would be somebody else's.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let itself = open_itself(path, &mut OpenOptions::new())?;
    let (file, of) = itself.ok_or_else(|| {
        io::Error::other("it is a symbolic link or no file: name the file itself in haproxy.cfg and here")
    })?;
    if of.len() > LARGEST {
        return Err(io::Error::other("it is larger than 64 MiB"));
    }
    Ok((file, of))
}

fn stamp(of: &Metadata) -> Stamp {
    (of.ino(), of.len(), of.mtime(), of.mtime_nsec())
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it has no name"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".teeter-{}", std::process::id()));
    Ok(path.with_file_name(hidden))
}

/// Creates the new file with the mode and owner of the old one. What an earlier process left behind is removed.
fn create(path: &Path, of: &Metadata) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (of.uid(), of.gid()) {
        fchown(&file, Some(of.uid()), Some(of.gid())).map_err(|error| {
            fs::remove_file(path).unwrap_or_default();
            let (theirs, ours) = (of.uid(), own.uid());
            io::Error::other(format!(
                "it belongs to user {theirs}, which user {ours} cannot keep so ({error}): chown it"
            ))
        })?;
    }
    file.set_permissions(of.permissions())?;
    Ok(file)
}

/// Nothing is flushed in a check; a disk that takes this long for it is not there.
const DISK_TAKES: Duration = Duration::from_secs(5);

/// No map of routes is as large as that; a file that is was not meant.
const LARGEST: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn wanted(live: &str, kept: Option<&str>) -> WantedMap {
        WantedMap {
            live: [("web".parse().unwrap(), live.parse().unwrap())].into(),
            beside: [("web@b".parse().unwrap(), kept.map(|kept| kept.parse().unwrap()))].into(),
            write: true,
            ..WantedMap::default()
        }
    }

    #[test]
    fn everything_else_in_it_stays() {
        let before = b"# who gets the traffic\n\nshop shop_all\n  web\tweb_all\nweb twice\nlast x";
        let after = rewritten(before, &wanted("web_b", Some("web_b")));
        let expected = "# who gets the traffic\n\nshop shop_all\nweb web_b\nlast x\nweb@b web_b\n";
        assert_eq!(String::from_utf8(after.clone()).unwrap(), expected);
        let back = rewritten(&after, &wanted("web_b", None));
        assert_eq!(String::from_utf8(back).unwrap(), "# who gets the traffic\n\nshop shop_all\nweb web_b\nlast x\n");
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("live.map");
        fs::write(&path, "web web_all\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let (first, written) = agree(&path, None, &wanted("web_a", None)).unwrap();
        assert!(written);
        assert_eq!(fs::read_to_string(&path).unwrap(), "web web_a\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // Somebody else writes it anew: seen, and put right.
        fs::write(&path, "web web_all\nmine x\n").unwrap();
        assert!(matches!(agree(&path, Some(first), &wanted("web_a", None)), Ok((second, true)) if second != first));
        assert_eq!(fs::read_to_string(&path).unwrap(), "web web_a\nmine x\n");
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("live.map"));
        fs::write(&file, "web web_all\n").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let error = check(&link.to_str().unwrap().parse().unwrap()).unwrap_err();
        assert!(error.contains("symbolic link") && error.contains("write_map = false"), "{error}");
        assert!(check(&file.to_str().unwrap().parse().unwrap()).is_ok());
        let error = agree(&link, None, &wanted("web_a", None)).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "web web_all\n");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_link_where_the_new_file_is_written_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, path) = (dir.path().join("victim"), dir.path().join("live.map"));
        fs::write(&victim, "somebody else's").unwrap();
        fs::write(&path, "web web_all\n").unwrap();
        std::os::unix::fs::symlink(&victim, beside(&path).unwrap()).unwrap();
        assert!(agree(&path, None, &wanted("web_a", None)).unwrap().1);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "somebody else's");
        assert_eq!(fs::read_to_string(&path).unwrap(), "web web_a\n");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn a_file_keeps_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("live.map");
        fs::write(&path, "web web_all\n").unwrap();
        let of = fs::metadata(&path).unwrap();
        // Only root can give a file away; anybody else keeps their own.
        let root = rustix::process::geteuid().is_root();
        let (uid, gid) = if root { (54_001, 54_002) } else { (of.uid(), of.gid()) };
        std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
        assert!(agree(&path, None, &wanted("web_a", None)).unwrap().1);
        let now = fs::metadata(&path).unwrap();
        assert_eq!((now.uid(), now.gid()), (uid, gid));
    }
}
