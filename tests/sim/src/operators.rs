//! Operators and controllers: calls of `teeter`, repairs, and changes that they make in HAProxy.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use teeter_lab::Dice;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::deployer::{self, AtWork};
use crate::fake::{Fake, Series};
use crate::scenario::{ByHand, Call, Verb};
use crate::simulation::{LONG, Simulation};

impl Simulation {
    /// A user calls `teeter`.
    pub(crate) async fn run_command(self: &Arc<Self>, call: Call, dice: Dice) {
        let hold = |number: usize, mode: &str, lasts: Option<Duration>| {
            let expires = lasts.map(|lasts| format!("{}ms", lasts.as_millis()));
            let selectors = [self.shape.lines(number)[0].clone()];
            json!({ "selectors": selectors, "mode": mode, "reason": "sim", "expires_in": expires, "deadline": "3s" })
        };
        let run = self.daemon.stored().runs.keys().last().map_or(1, |id| id.0);
        let of_run = |command: &str| format!("/v1/runs/{run}/{command}");
        let (path, body) = match call.verb {
            Verb::Drain(number, lasts) => ("/v1/holds".to_owned(), hold(number, "drain", lasts)),
            Verb::Maint(number, lasts) => ("/v1/holds".to_owned(), hold(number, "maint", lasts)),
            Verb::Ready(number) => {
                let selectors = [self.shape.lines(number)[0].clone()];
                ("/v1/release".to_owned(), json!({ "selectors": selectors, "verify": true }))
            }
            Verb::Abort => (of_run("abort"), Value::Null),
            Verb::Pause => (of_run("pause"), Value::Null),
            Verb::Resume => (of_run("resume"), Value::Null),
            Verb::Retry => (of_run("retry"), Value::Null),
            Verb::Rollback => (of_run("rollback"), json!({})),
            Verb::Flip(to) => ("/v1/runs".to_owned(), json!({ "farm": "web", "strategy": "flip", "to": to })),
            Verb::Repair(number) => return self.repair(number, hold(number, "drain", None)).await,
            Verb::Deploy => {
                let deploying = deployer::deploy(Arc::clone(self), "v3".to_owned(), dice);
                let _ = tokio::time::timeout(call.patience.unwrap_or(LONG), deploying).await;
                return;
            }
        };
        let body = Some(&body).filter(|body| !body.is_null());
        let calling = self.call("POST", &path, body);
        let _ = tokio::time::timeout(call.patience.unwrap_or(LONG), calling).await;
    }

    /// An operator takes a server out, works on it as soon as teeter shows that it is empty, and gives it back.
    /// If clients may come back, by teeter's note, the operator gives them the grace and then sends them to other
    /// servers.
    async fn repair(&self, number: usize, mut hold: Value) {
        let Some((mut held, note)) = self.take_out(&hold).await else { return };
        if note.contains("may come back") {
            hold["grace"] = json!(format!("{}ms", self.shape.grace));
            let Some((again, _)) = self.take_out(&hold).await else { return };
            held = again;
        }
        let member = self.shape.member(number);
        let at_work = AtWork::begin(&self.apps, vec![member.clone()]);
        self.watch.note(|| format!("an operator repairs {member}"));
        // Its checks pass meanwhile: only teeter keeps clients away.
        tokio::time::sleep(REPAIR_TAKES).await;
        drop(at_work);
        let selectors = [self.shape.lines(number)[0].clone()];
        let release = json!({ "selectors": selectors, "verify": true, "owner": held["owner"] });
        self.call("POST", "/v1/release", Some(&release)).await;
    }

    /// Takes servers out and waits until teeter shows that they are empty. Gives the hold and its note.
    async fn take_out(&self, hold: &Value) -> Option<(Value, String)> {
        let (201, held) = self.call("POST", "/v1/holds", Some(hold)).await? else { return None };
        for _ in 0..REPAIR_LOOKS {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let Some((200, holds)) = self.call("GET", "/v1/holds", None).await else { continue };
            let mut all = holds["holds"].as_array().into_iter().flatten();
            let now = all.find(|other| other["id"] == held["id"])?;
            if now["stage"] == "out" {
                return Some((held, now["note"].as_str().unwrap_or_default().to_owned()));
            }
        }
        None
    }

    /// Whether teeter holds a server.
    pub fn is_held(&self, number: usize) -> bool {
        let lines = self.shape.lines(number);
        let holds_one = |hold: &teeter::farm::Hold| {
            hold.entries.iter().any(|entry| lines.iter().any(|line| entry.to_string().ends_with(line)))
        };
        self.daemon.stored().holds.values().any(holds_one)
    }

    /// A user sets a server in HAProxy.
    pub async fn set_by_hand(&self, fake: &Fake, number: usize, change: ByHand) {
        let line = self.shape.lines(number)[0].clone();
        if change == ByHand::Ready {
            // The server may be out because of its version.
            self.watch.may_mix();
        }
        let command = match change {
            ByHand::Maint => format!("set server {line} state maint"),
            ByHand::Drain => format!("set server {line} state drain"),
            ByHand::Ready => format!("set server {line} state ready"),
            ByHand::Weight => format!("set server {line} weight 50%"),
        };
        send(fake, &command).await;
    }

    /// A controller deletes a line, adds it again and makes it ready. If HAProxy does not delete the line, because it
    /// has connections, the controller gives up and makes it ready.
    pub(crate) async fn add_again(&self, fake: &Fake, number: usize, line: usize, pause: Option<Duration>) {
        if self.shape.series == Series::V2_2 {
            return;
        }
        let lines = self.shape.deletable_lines(number);
        let line = &lines[line % lines.len()];
        let ready = format!("set server {line} state ready");
        let delete = format!("set server {line} state maint;del server {line}");
        for _ in 0..DELETE_TRIES {
            if send(fake, &delete).await.contains("Server deleted.") {
                let add = format!("add server {line} {}", self.shape.keywords(number, line));
                let enable = format!("enable health {line};{ready}");
                if let Some(pause) = pause {
                    send(fake, &add).await;
                    tokio::time::sleep(pause).await;
                    send(fake, &enable).await;
                } else {
                    send(fake, &format!("{add};{enable}")).await;
                }
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        send(fake, &ready).await;
    }

    /// Reads everything, again and again, until the task is stopped.
    pub(crate) async fn read_everything(&self) {
        loop {
            for path in ["/v1/status", "/v1/doctor", "/v1/runs", "/v1/events?limit=1000"] {
                let _ = self.daemon.call("GET", path, None, self.next_pid()).await;
            }
            // If teeterd is down, calls return at once.
            tokio::time::sleep(READ_AGAIN).await;
        }
    }

    /// Reads the status and the doctor's findings while the disk is full, until the task is stopped: both must have
    /// the full disk.
    pub(crate) async fn check_full_disk_reports(&self) {
        let (mut life, mut refused_before) = (None, 0);
        loop {
            tokio::time::sleep(DISK_CHECK_INTERVAL).await;
            let refused = self.store.refused();
            if life != self.daemon.life_number() {
                // A teeterd that has just started knows nothing of refusals before.
                (life, refused_before) = (self.daemon.life_number(), refused);
            }
            // When an overlapping fault ends, the disk has room and the count starts anew.
            refused_before = refused_before.min(refused);
            if refused == refused_before {
                continue;
            }
            // A transaction that has been refused has to be noted by teeterd first.
            tokio::time::sleep(DISK_CHECK_INTERVAL).await;
            for path in ["/v1/status", "/v1/doctor"] {
                let answer = self.daemon.call("GET", path, None, self.next_pid()).await;
                let same = self.daemon.life_number() == life && self.store.refused() >= refused;
                if let Ok((200, document)) = answer
                    && same
                    && !document.to_string().contains("it cannot be written")
                {
                    self.watch.report("a full disk is reported", format!("{path} answers {document}"));
                }
            }
        }
    }
}

/// Sends a line of commands to HAProxy and gives the answer, which is empty if HAProxy does not answer.
async fn send(fake: &Fake, commands: &str) -> String {
    let Ok(mut stream) = fake.connect() else { return String::new() };
    let mut answer = Vec::new();
    let sending = async {
        stream.write_all(format!("{commands}\n").as_bytes()).await?;
        stream.read_to_end(&mut answer).await
    };
    let _ = tokio::time::timeout(LONG, sending).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The number of times that an operator looks whether the server is empty.
const REPAIR_LOOKS: u32 = 50;

/// Longer than it takes until a HAProxy that has come back has got every command.
const REPAIR_TAKES: Duration = Duration::from_secs(9);

/// The time between two rounds of a reader.
const READ_AGAIN: Duration = Duration::from_millis(20);

/// The time between two looks at the reports of a full disk.
const DISK_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The number of times that a controller tries to delete a line that has connections.
const DELETE_TRIES: u32 = 30;
