//! What `teeter doctor` finds before a deploy.

use crate::fixtures::exit;
use crate::fixtures::site::{Site, check_config};

#[tokio::test]
async fn doctor_finds_what_would_refuse_the_next_deploy() {
    let site = Site::start().await;
    let healthy = site.teeter(&["doctor"]).await;
    assert!(healthy.code == 0 && !healthy.out.contains("warning"), "{healthy:?}");

    // Two versions, disabled health checks, and a minimum that half of the farm cannot meet.
    site.farm.app("web01").replace("v2").await.expect("it is replaced");
    site.farm.haproxy().tell("disable health app/web02").await.expect("HAProxy answers");
    let strict = |toml: &str| toml.replace("[farm.web]\n", "[farm.web]\nmin_available = \"75%\"\n");
    site.daemon.reconfigure(strict).await;
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
    let checked = check_config(site.daemon.config()).await;
    assert!(checked.code == 0 && checked.err.contains("warning: farm web: a see-saw deploy"), "{checked:?}");
}
