//! A Chromium without a window, driven through a pipe by its DevTools protocol: it opens files, measures, photographs
//! and prints them.
//!
//! Requests and answers are JSON documents, each with a zero byte at its end.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// A running browser with one page; killed when dropped.
pub struct Chromium {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    requests: u64,
    /// The addresses that pages have requested.
    asked: BTreeSet<String>,
    /// What pages have logged, such as a violation of their security policy.
    logged: Vec<String>,
    /// How many documents have been loaded.
    loaded: u64,
    _child: Child,
    _profile: TempDir,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The width of the window in CSS pixels.
    pub width: u32,
    /// Whether the reader prefers dark colours.
    pub dark: bool,
    /// Whether the page is laid out for paper.
    pub paper: bool,
}

impl Chromium {
    /// Starts a browser; `None` if none is installed.
    ///
    /// # Errors
    /// The browser does not start, or does not answer.
    pub async fn start() -> io::Result<Option<Self>> {
        let Some(program) = installed() else { return Ok(None) };
        let profile = tempfile::tempdir()?;
        // The browser reads from file 3 and writes to file 4. The shell makes these of its own input and output.
        let shell = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null";
        let mut command = Command::new("sh");
        command.args(["-c", shell, program, "--headless", "--remote-debugging-pipe", "--no-first-run"]);
        // As root there is no sandbox, and the pages are teeter's own. A container may have a small /dev/shm.
        command.args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]);
        command.args(["--disable-background-networking", "--no-default-browser-check"]);
        command.arg(format!("--user-data-dir={}", profile.path().display())).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let missing = || io::Error::other("the browser has no pipe");
        let (to, from) = (child.stdin.take().ok_or_else(missing)?, child.stdout.take().ok_or_else(missing)?);
        let mut browser = Self {
            to,
            from: BufReader::new(from),
            session: None,
            requests: 0,
            asked: BTreeSet::new(),
            logged: Vec::new(),
            loaded: 0,
            _child: child,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await?;
        let attached = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attached).await?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Network.enable", "Log.enable", "Runtime.enable"] {
            browser.call(domain, json!({})).await?;
        }
        Ok(Some(browser))
    }

    /// Opens a file, and waits until it is loaded.
    ///
    /// # Errors
    /// The browser cannot open it.
    pub async fn open(&mut self, file: &Path, look: Look) -> io::Result<()> {
        let window = json!({ "width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", window).await?;
        let scheme = if look.dark { "dark" } else { "light" };
        let media = if look.paper { "print" } else { "screen" };
        let media = json!({ "media": media, "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media).await?;
        let before = self.loaded;
        let opened = self.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) })).await?;
        if let Some(error) = opened["errorText"].as_str() {
            return Err(io::Error::other(format!("{}: {error}", file.display())));
        }
        while self.loaded == before {
            self.receive().await?;
        }
        Ok(())
    }

    /// The value of an expression of JavaScript in the page.
    ///
    /// # Errors
    /// The expression throws.
    pub async fn value(&mut self, expression: &str) -> io::Result<Value> {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", asked).await?;
        match answer.get("exceptionDetails") {
            Some(thrown) => Err(io::Error::other(format!("{expression}: {thrown}"))),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// A picture of the whole page as PNG.
    ///
    /// # Errors
    /// The browser cannot make it.
    pub async fn picture(&mut self) -> io::Result<Vec<u8>> {
        let size = self.call("Page.getLayoutMetrics", json!({})).await?;
        let size = &size["cssContentSize"];
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let asked = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        bytes(&self.call("Page.captureScreenshot", asked).await?)
    }

    /// The page on paper, as PDF.
    ///
    /// # Errors
    /// The browser cannot print it.
    pub async fn paper(&mut self) -> io::Result<Vec<u8>> {
        bytes(&self.call("Page.printToPDF", json!({ "printBackground": false })).await?)
    }

    /// The addresses that pages have requested so far.
    pub fn asked(&self) -> &BTreeSet<String> {
        &self.asked
    }

    /// The errors and violations that pages have logged so far.
    pub fn logged(&self) -> &[String] {
        &self.logged
    }

    /// Sends a command, and returns its result.
    async fn call(&mut self, method: &str, parameters: Value) -> io::Result<Value> {
        self.requests += 1;
        let id = self.requests;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut message = message.to_string().into_bytes();
        message.push(0);
        self.to.write_all(&message).await?;
        loop {
            let mut answer = self.receive().await?;
            if answer["id"] != json!(id) {
                continue;
            }
            return match answer.get("error") {
                Some(error) => Err(io::Error::other(format!("{method}: {error}"))),
                None => Ok(answer["result"].take()),
            };
        }
    }

    /// The next message of the browser. What an event reports is kept.
    async fn receive(&mut self) -> io::Result<Value> {
        let mut message = Vec::new();
        timeout(PATIENCE, self.from.read_until(0, &mut message)).await??;
        if message.pop() != Some(0) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the browser has ended"));
        }
        let message: Value = serde_json::from_slice(&message)?;
        let about = &message["params"];
        match message["method"].as_str() {
            Some("Page.loadEventFired") => self.loaded += 1,
            Some("Network.requestWillBeSent") => {
                self.asked.insert(about["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            Some("Log.entryAdded") => self.logged.push(about["entry"].to_string()),
            Some("Runtime.exceptionThrown") => self.logged.push(about.to_string()),
            _ => {}
        }
        Ok(message)
    }
}

/// The first browser that is installed.
fn installed() -> Option<&'static str> {
    PROGRAMS.into_iter().find(|program| {
        let mut command = std::process::Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

fn bytes(answer: &Value) -> io::Result<Vec<u8>> {
    STANDARD.decode(answer["data"].as_str().unwrap_or_default()).map_err(io::Error::other)
}

/// The names of the browser; the first one is without a window at all, and the smallest.
const PROGRAMS: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
