//! What the doctor finds before the night of the deploy.

use crate::fixtures::exit;
use crate::fixtures::site::Site;

#[tokio::test]
async fn doctor_finds_what_would_refuse_the_next_deploy() {
    let site = Site::start().await;
    let well = site.teeter(&["doctor"]).await;
    assert!(well.code == 0 && !well.out.contains("warning"), "{well:?}");

    // Two versions, checks that are off, and a minimum that no half can meet.
    site.farm.app("web01").replace("v2").await.expect("it is replaced");
    site.farm.haproxy().tell("disable health app/web02").await.expect("HAProxy answers");
    let toml = std::fs::read_to_string(site.daemon.config()).expect("it is there");
    let asks_too_much = format!("{}\n", toml.replace("[farm.web]\n", "[farm.web]\nmin_available = \"75%\"\n"));
    std::fs::write(site.daemon.config(), asks_too_much).expect("it is written");
    site.daemon.signal("-HUP").await;
    crate::fixtures::site::until(|| async { site.daemon.log().contains("configuration read again") }).await;
    let doctor = site.teeter(&["doctor"]).await;
    assert_eq!(doctor.code, 0, "{doctor:?}");
    for words in [
        "2 versions are in service: v1 on web02, web03, web04; v2 on web01",
        "health checks are switched off: web02",
        "a see-saw deploy would be refused now: farm web would have 2 members in service, and min_available = 75%",
        "`teeter deploy web --strategy rolling` would go on",
    ] {
        assert!(doctor.out.contains(words), "{words}: {doctor:?}");
    }
    let refused = site.teeter(&["begin", "web", "--dry-run"]).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
    assert_eq!(site.teeter(&["begin", "web", "--strategy", "rolling", "--dry-run"]).await.code, 0);
    let check = tokio::process::Command::new(env!("CARGO_BIN_EXE_teeterd"))
        .args(["--check", "--config"])
        .arg(site.daemon.config())
        .output()
        .await
        .expect("it runs");
    let said = String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success() && said.contains("warning: farm web: a see-saw deploy"), "{said}");
}
