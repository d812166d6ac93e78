//! Disks that are full or fail: small file systems for the store and for the map file.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::time::sleep;

use super::fault::Fault;
use super::site::Site;
use crate::farm::TestFarm;
use crate::processes::signal;

/// The reason why this fault cannot be caused here.
pub(crate) fn missing(fault: Fault) -> Option<String> {
    match fault {
        Fault::StoreFull | Fault::StoreReadOnly | Fault::MapFull | Fault::MapReadOnly => {
            let uid = Command::new("id").arg("-u").output().map(|output| output.stdout).unwrap_or_default();
            if uid != b"0\n" {
                return Some("only root may mount a small disk".to_owned());
            }
            let dir = tempfile::tempdir().ok()?;
            let made = if fault == Fault::StoreReadOnly { loop_disk(dir.path()) } else { memory_disk(dir.path()) };
            let why = made.err().map(|error| error.to_string());
            let _ = unmount(dir.path());
            why
        }
        _ => None,
    }
}

/// A small disk. It is unmounted when dropped.
pub(crate) struct Disk(PathBuf);

/// Mounts a small disk at the place of the fault, before teeterd is started.
pub(crate) fn prepare(fault: Fault, farm: &TestFarm) -> io::Result<Option<Disk>> {
    let (folder, in_memory) = match fault {
        Fault::StoreFull => (farm.dir().join("store"), true),
        Fault::StoreReadOnly => (farm.dir().join("store"), false),
        Fault::MapFull | Fault::MapReadOnly => (folder_of(farm), true),
        _ => return Ok(None),
    };
    let map = std::fs::read(farm.map()).unwrap_or_default();
    if in_memory {
        memory_disk(&folder)?;
    } else {
        loop_disk(&folder)?;
    }
    let disk = Disk(folder);
    if matches!(fault, Fault::MapFull | Fault::MapReadOnly) {
        std::fs::write(farm.map(), map)?;
    }
    Ok(Some(disk))
}

/// The disk of the store is full or fails, and is repaired. Meanwhile teeterd reports it and refuses changes.
pub(crate) async fn store(fault: Fault, site: &mut Site) -> io::Result<Vec<String>> {
    let folder = site.farm.dir().join("store");
    let words = if fault == Fault::StoreFull {
        fill(&folder)?;
        "full"
    } else {
        // Only between two writes: the kernel may confirm a write in progress and lose it.
        let teeterd = [site.daemon.pid()?];
        signal("-STOP", &teeterd)?;
        let aborted = run("mount", &["-o", "remount,abort", &folder.display().to_string()]);
        signal("-CONT", &teeterd)?;
        aborted?;
        ""
    };
    let mut wrong = refuses(site, words).await?;
    sleep(LASTS).await;
    wrong.extend(refuses(site, words).await?);
    if fault == Fault::StoreFull {
        std::fs::remove_file(folder.join("filler"))?;
        return Ok(wrong);
    }
    site.daemon.kill().await?;
    // A teeterd that is started on such a disk reports the reason and ends.
    site.daemon.spawn_daemon()?;
    let (code, log) = (site.daemon.ended(START).await, site.daemon.log());
    let store = site.store().display().to_string();
    if code != Some(1) || !log.lines().rev().take(3).any(|line| line.contains(&store)) {
        wrong.push(format!("started on a read-only disk, teeterd ends with {code:?}: {log}"));
    }
    let disk = disk_of(&folder);
    unmount(&folder)?;
    // e2fsck repairs the disk, so its exit code is not 0.
    let _ = run("e2fsck", &["-f", "-y", &disk.display().to_string()]);
    run("mount", &["-o", "loop", &disk.display().to_string(), &folder.display().to_string()])?;
    site.daemon.start().await?;
    Ok(wrong)
}

/// A change that cannot be recorded is refused with the reason, and HAProxy does not change.
async fn refuses(site: &Site, words: &str) -> io::Result<Vec<String>> {
    let mut wrong = Vec::new();
    // A line that the run does not switch at this moment.
    let line = site.farm.sample().lines().into_iter().rfind(|line| !line.tracks).map(|line| line.entry);
    let line = line.unwrap_or_default();
    let take = ["drain", &line, "--reason", "disk", "--no-wait", "--allow-outage"];
    let refused = site.teeter(&take).await?;
    let store = site.store().display().to_string();
    if refused.code != 1 || !refused.err.contains(&store) || !refused.err.contains(words) {
        wrong.push(format!("with an unwritable disk a drain ends with {}: {}", refused.code, refused.err));
    }
    let holds = site.get("/v1/holds").await?;
    let doctor = site.get("/v1/doctor").await?.to_string();
    if !doctor.contains(&store) || !doctor.contains(words) {
        wrong.push(format!("the doctor does not report the unwritable disk: {doctor}"));
    }
    if super::truth::list(&holds["holds"]).any(|hold| hold["reason"] == "disk") {
        wrong.push("the refused hold exists".to_owned());
    }
    Ok(wrong)
}

/// The disk of the map file is full or read-only for a while.
pub(crate) async fn map(fault: Fault, site: &mut Site) -> io::Result<Vec<String>> {
    let folder = folder_of(&site.farm);
    let name = folder.display().to_string();
    if fault == Fault::MapFull {
        fill(&folder)?;
    } else {
        read_only(&folder)?;
    }
    sleep(LASTS).await;
    if fault == Fault::MapFull {
        std::fs::remove_file(folder.join("filler"))?;
    } else {
        run("mount", &["-o", "remount,rw", &name])?;
    }
    Ok(Vec::new())
}

fn folder_of(farm: &TestFarm) -> PathBuf {
    farm.map().parent().unwrap_or(farm.dir()).to_owned()
}

fn memory_disk(folder: &Path) -> io::Result<()> {
    run("mount", &["-t", "tmpfs", "-o", "size=4m", "tmpfs", &folder.display().to_string()])
}

/// A disk in a file, so that it can fail under a process that has files open on it.
fn loop_disk(folder: &Path) -> io::Result<()> {
    let disk = disk_of(folder);
    File::create(&disk)?.set_len(8 << 20)?;
    run("mkfs.ext4", &["-q", "-F", &disk.display().to_string()])?;
    run("mount", &["-o", "loop", &disk.display().to_string(), &folder.display().to_string()])
}

fn disk_of(folder: &Path) -> PathBuf {
    folder.with_extension("disk")
}

fn read_only(folder: &Path) -> io::Result<()> {
    run("mount", &["-o", "remount,ro", &folder.display().to_string()])
}

/// Unmounts a disk.
pub(crate) fn unmount(folder: &Path) -> io::Result<()> {
    run("umount", &[&folder.display().to_string()])
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A process that still has files open there is about to end.
        let _ = run("umount", &["-l", &self.0.display().to_string()]);
    }
}

/// Writes until nothing more can be written.
fn fill(folder: &Path) -> io::Result<()> {
    let mut file = File::create(folder.join("filler"))?;
    for size in [4096, 256, 16, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
    Ok(())
}

fn run(program: &str, args: &[&str]) -> io::Result<()> {
    let output = Command::new(program).args(args).output()?;
    if output.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program} {}: {}", args.join(" "), error.trim())))
}

/// The time for teeterd to end with an error.
const START: Duration = Duration::from_secs(5);

/// The time that the fault lasts.
const LASTS: Duration = Duration::from_millis(1200);
