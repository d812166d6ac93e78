//! `teeter report`: a run as a page that a browser shows without a network.

use teeter_lab::{Chromium, Look, write_script};

use crate::fixtures::exit;
use crate::fixtures::site::Site;

#[tokio::test]
async fn report_has_the_steps_the_output_and_the_record_of_a_run() {
    let site = Site::start().await;
    let hook = site.farm.dir().join("noisy");
    let script = format!("#!/bin/sh\necho '<script>alert(1)</script> of {{}}'\nexec {}\n", site.hook());
    write_script(&hook, &script).expect("a script is written");
    let deployed = site.teeter(&["deploy", "web", "--to", "v2", "--", &hook.display().to_string()]).await;
    assert_eq!(deployed.code, 0, "{deployed:?}");
    let file = site.farm.dir().join("run.html");
    let path = file.display().to_string();
    let written = site.teeter(&["report", "1", "-o", &path]).await;
    assert_eq!((written.code, written.out.as_str()), (0, ""), "{written:?}");
    let page = std::fs::read_to_string(&file).expect("a file is written");
    for part in ["Run 1: see-saw of web to v2", "<td>drain a</td>", ">done</td>", "&#60;script&#62;alert(1)", "Record"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    // Nothing is run or fetched, and the browser would refuse it.
    for part in ["<script", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(part), "{part}: {page}");
    }
    assert!(page.contains("default-src 'none'"), "{page}");
    // The drains of this run are in the store, and the browser shows the page that teeter has written.
    assert!(page.contains("<section id=\"drains\">") && !page.contains("There is no curve"), "{page}");
    if let Some(mut browser) = Chromium::start().await.expect("the browser starts") {
        browser.open(&file, Look { width: 800, dark: false, paper: false }).await.expect("the page is opened");
        let bars = "document.querySelectorAll('#timeline .drain').length";
        assert_eq!(browser.value(bars).await.expect("a count"), 2);
    }
    let printed = site.teeter(&["report", "1"]).await;
    assert!(printed.code == 0 && printed.out.starts_with("<!DOCTYPE html>"), "{printed:?}");
    let again = site.teeter(&["report", "1", "-o", &path]).await;
    assert_eq!(again.code, exit::FAILED, "{again:?}");
    assert!(again.err.contains("exists, and stays as it is"), "{again:?}");
    let missing = site.teeter(&["report", "9"]).await;
    assert_eq!(missing.code, exit::NOT_FOUND, "{missing:?}");
}

#[tokio::test]
async fn report_of_a_farm_has_its_runs_and_bad_input_has_its_words() {
    let site = Site::start().await;
    let none = site.teeter(&["report", "--farm", "web"]).await;
    assert_eq!(none.code, exit::NOT_FOUND, "{none:?}");
    assert!(none.err.contains("farm web has no run that was started since"), "{none:?}");
    let deployed = site.teeter(&["deploy", "web", "--to", "v2", "--", &site.hook()]).await;
    assert_eq!(deployed.code, 0, "{deployed:?}");
    let failed = site.teeter(&["deploy", "web", "--to", "v3", "--", "false"]).await;
    assert_eq!(failed.code, exit::FAILED, "{failed:?}");
    let printed = site.teeter(&["report", "--farm", "web"]).await;
    assert!(printed.code == 0 && printed.out.starts_with("<!DOCTYPE html>"), "{printed:?}");
    for part in
        ["Runs of web", ">v2</td>", "<span class=\"word done\">done</span>", "<span class=\"word bad\">failed</span>"]
    {
        assert!(printed.out.contains(part), "{part}: {printed:?}");
    }
    let document = site.json(&["report", "--farm", "web"]).await;
    let ids: Vec<_> = document["runs"].as_array().expect("runs").iter().map(|run| run["id"].as_u64()).collect();
    assert_eq!((ids, &document["more"]), (vec![Some(2), Some(1)], &serde_json::json!(false)), "{document}");
    assert_eq!(document["runs"][1]["drains"].as_array().map(Vec::len), Some(2), "{document}");
    let run = site.json(&["report", "1"]).await;
    assert!(run["run"]["id"] == 1 && run["events"][0]["kind"] == "run.begun" && run["more"] == false, "{run}");
    for (arguments, code, words) in [
        (&["--farm", "shop"][..], exit::NOT_FOUND, "there is no farm shop: the farms are web"),
        (&["--farm", "web", "--since", "2999-01-01"], exit::USAGE, "is in the future"),
        (&["1", "--farm", "web"], exit::USAGE, "cannot be used with"),
        (&["--farm", "a/b"], exit::USAGE, "--farm"),
    ] {
        let ended = site.teeter(&[&["report"], arguments].concat()).await;
        assert!(ended.code == code && ended.err.contains(words), "{ended:?}");
    }
}

#[tokio::test]
async fn report_of_a_failed_run_says_why_and_where() {
    let site = Site::start().await;
    let failed = site.teeter(&["deploy", "web", "--to", "v2", "--", "false"]).await;
    assert_eq!(failed.code, exit::FAILED, "{failed:?}");
    let printed = site.teeter(&["report", "1"]).await;
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(printed.out.contains("class=\"word bad\">failed</td>") && printed.out.contains("to do"), "{printed:?}");
}
