//! Rollback: possible until the work on the other side begins, and refused after that.

use teeter_lab::Sample;

use crate::fixtures::exit;
use crate::fixtures::site::{Site, finish, step_of, until};

/// A see-saw after its flip and before the work on the second half; a hook keeps it there.
async fn deploy_to_the_flip(site: &Site) -> tokio::process::Child {
    let hook = site.hook();
    let go = site.farm.dir().join("go");
    let wait = format!("[ $TEETER_GROUP = a ] || while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let deploy = ["deploy", "web", "--to", "v2", "--before-out", "true", "--after-out", &wait, "--", &hook];
    let child = site.daemon.spawn(&deploy);
    until(|| async { step_of(&site.json(&["runs"]).await["runs"][0]) == Some("after-out b") }).await;
    child
}

#[tokio::test]
async fn see_saw_is_rolled_back_while_the_second_half_is_untouched() {
    for sample in [Sample::Servers, Sample::Route] {
        let site = match sample {
            Sample::Servers => Site::start().await,
            other => Site::start_sample(other, &[]).await,
        };
        let deploy = deploy_to_the_flip(&site).await;
        assert_eq!(teeter_lab::get(site.farm.addr(), "/").await.expect("it answers").version(), "v2");
        let back = site.teeter(&["rollback", "1", "--reason", "the shop is empty"]).await;
        assert_eq!(back.code, 0, "{back:?}\n{}", site.daemon.log());
        for _ in 0..8 {
            assert_eq!(teeter_lab::get(site.farm.addr(), "/").await.expect("it answers").version(), "v1");
        }
        // The waiting `deploy` command ends its hook and prints the reason.
        let ended = finish(deploy).await;
        assert_eq!(ended.code, exit::FAILED, "{ended:?}");
        assert!(ended.err.contains("rolled back: the shop is empty"), "{ended:?}");
        let run = site.json(&["show", "1"]).await;
        assert_eq!((run["state"].as_str(), run["rollback"].as_str()), (Some("rolled back"), Some("the shop is empty")));
        assert_eq!(run["out"].to_string(), r#"["web01","web02"]"#);
        let twice = site.teeter(&["rollback", "1"]).await;
        assert_ne!(twice.code, 0, "{twice:?}");
        // The half with the new version comes back only by a command.
        let ready = site.teeter(&["ready", "web01", "web02", "--force"]).await;
        assert_eq!(ready.code, 0, "{ready:?}");
    }
}

#[tokio::test]
async fn rollback_is_refused_before_the_flip_and_after_work_on_the_second_half() {
    let site = Site::start().await;
    let begun = site.teeter(&["begin", "web"]).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    let early = site.teeter(&["rollback", "1"]).await;
    assert_eq!(early.code, exit::REFUSED, "{early:?}");
    assert!(
        early.err.contains("no traffic has been switched yet") && early.err.contains("teeter abort 1"),
        "{early:?}"
    );
    let advanced = site.teeter(&["advance", "1"]).await;
    assert_eq!(advanced.code, 0, "{advanced:?}");
    let late = site.teeter(&["rollback", "1"]).await;
    assert_eq!(late.code, exit::REFUSED, "{late:?}");
    assert!(late.err.contains("the work on b has begun"), "{late:?}");
    assert_eq!(site.teeter(&["rollback", "7"]).await.code, exit::NOT_FOUND);
}
