//! `teeter report`: a run as a page that a browser shows without a network.

use std::process::Stdio;

use teeter_lab::write_script;

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
    is_shown(&file).await;
    let printed = site.teeter(&["report", "1"]).await;
    assert!(printed.code == 0 && printed.out.starts_with("<!DOCTYPE html>"), "{printed:?}");
    let again = site.teeter(&["report", "1", "-o", &path]).await;
    assert_eq!(again.code, exit::FAILED, "{again:?}");
    assert!(again.err.contains("exists, and stays as it is"), "{again:?}");
    let missing = site.teeter(&["report", "9"]).await;
    assert_eq!(missing.code, exit::NOT_FOUND, "{missing:?}");
}

#[tokio::test]
async fn report_of_a_failed_run_says_why_and_where() {
    let site = Site::start().await;
    let failed = site.teeter(&["deploy", "web", "--to", "v2", "--", "false"]).await;
    assert_eq!(failed.code, exit::FAILED, "{failed:?}");
    let printed = site.teeter(&["report", "1"]).await;
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(printed.out.contains("class=\"bad\">failed</td>") && printed.out.contains("to do"), "{printed:?}");
}

/// Opens the page in a browser without a window, if there is one here.
async fn is_shown(file: &std::path::Path) {
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let found = browsers.into_iter().find(|browser| {
        let mut command = std::process::Command::new(browser);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    });
    let Some(browser) = found else {
        return teeter_lab::skip("there is no browser: the page is not opened in one");
    };
    let mut command = tokio::process::Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]);
    command.arg(format!("file://{}", file.display())).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.expect("the browser runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("<td>drain a</td>") && shown.contains("</html>"), "{shown}");
}
