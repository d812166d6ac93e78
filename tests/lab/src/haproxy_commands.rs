//! Commands to a real HAProxy, and waiting for states in its replies. This client is deliberately not teeter's.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use crate::haproxy::{Haproxy, START};
use crate::tables::{self, Row};

/// The time for one command and its answer.
const ANSWER: Duration = Duration::from_secs(5);

impl Haproxy {
    /// Sends one line on a connection of its own and reads the answer to its end.
    pub async fn cmd(&self, line: &str) -> io::Result<String> {
        ask(&self.socket(), line).await
    }

    /// Sends a command and expects an empty answer. Any other answer is an error.
    pub async fn tell(&self, line: &str) -> io::Result<()> {
        let answer = self.cmd(line).await?;
        if answer.trim().is_empty() { Ok(()) } else { Err(io::Error::other(format!("{line}: {answer}"))) }
    }

    /// The id of the process that answers on the stats socket now.
    pub async fn pid(&self) -> io::Result<u32> {
        let info = self.cmd("show info").await?;
        tables::line(&info, "Pid")
            .and_then(|pid| pid.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no pid in: {info}")))
    }

    /// The row of `app/web01` in `show servers state`, by column name.
    pub async fn server_line(&self, server: &str) -> io::Result<Row> {
        let rows = tables::spaced(&self.cmd("show servers state").await?);
        pick(rows, server, "be_name", "srv_name")
    }

    /// The administrative state of `app/web01` in bits: 1 is maint, 8 is drain.
    pub async fn server_admin_bits(&self, server: &str) -> io::Result<u32> {
        let row = self.server_line(server).await?;
        row.get("srv_admin_state")
            .and_then(|bits| bits.parse().ok())
            .ok_or_else(|| io::Error::other("no srv_admin_state"))
    }

    /// The row of `app/web01` (or `app/BACKEND`) in `show stat`, by column name.
    pub async fn stat(&self, server: &str) -> io::Result<Row> {
        let rows = tables::commas(&self.cmd("show stat").await?);
        pick(rows, server, "pxname", "svname")
    }

    /// Waits until the `status` of `app/web01` in `show stat` is this.
    pub async fn wait_for_status(&self, server: &str, status: &str) -> io::Result<()> {
        self.wait_for(server, "status", |now| now == status).await
    }

    /// Waits until `app/web01` has been checked. HAProxy calls a server up before its first check.
    pub async fn wait_for_check(&self, server: &str) -> io::Result<()> {
        self.wait_for(server, "check_status", |now| !matches!(now, "" | "INI")).await
    }

    /// Waits until a column of `show stat` meets a condition.
    pub async fn wait_for(&self, server: &str, column: &str, condition: impl Fn(&str) -> bool) -> io::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            let row = match self.stat(server).await {
                // Just after a reload the old process may answer, and it lists no servers.
                Err(error) if error.kind() == io::ErrorKind::NotFound && Instant::now() < deadline => Row::new(),
                other => other?,
            };
            let now = row.get(column).map_or("", String::as_str);
            if !row.is_empty() && condition(now) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let text = format!("{column} of {server} is still {now:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Sends one line to a stats or master socket and reads the complete answer.
pub async fn ask(socket: &Path, line: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&ask_bytes(socket, line).await?).into_owned())
}

/// The same as [`ask`], with the bytes of the answer.
pub async fn ask_bytes(socket: &Path, line: &str) -> io::Result<Vec<u8>> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        // The connection to a master ends only when the client closes its half. On a stats socket this is harmless.
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    timeout(ANSWER, exchange).await?
}

fn pick(rows: Vec<Row>, server: &str, backend: &str, name: &str) -> io::Result<Row> {
    let wanted = server.split_once('/');
    rows.into_iter()
        .find(|row| match (row.get(backend), row.get(name)) {
            (Some(be), Some(srv)) => wanted == Some((be.as_str(), srv.as_str())),
            _ => false,
        })
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, server.to_owned()))
}
