//! Ends sessions that outlive the deadline of a drain.

use std::time::Duration;

use super::super::order::Order;
use super::Observer;
use crate::haproxy::commands::ShutdownSessions;
use crate::haproxy::{Error, Line, ServerRef};

impl Observer {
    /// Ends the sessions of the order's `kill`, once a second until there are none: HAProxy may assign a request to the
    /// server at the moment of the first command.
    pub(super) async fn kill(&mut self, order: &Order) -> Result<(), Error> {
        if order.kill.is_empty() {
            self.killed_at = None;
            return Ok(());
        }
        let Some(seen) = &self.report.seen else { return Ok(()) };
        let was_recent = self.killed_at.is_some_and(|at| at.elapsed() < Duration::from_secs(1));
        let busy = |server: &&ServerRef| seen.servers.get(server).is_some_and(|seen| seen.load.in_flight() > 0);
        let targets: Vec<&ServerRef> = order.kill.iter().filter(busy).collect();
        if was_recent || targets.is_empty() {
            return Ok(());
        }
        for targets in targets.chunks(KILLS_A_LINE) {
            let mut line = Line::new();
            for server in targets {
                let _ = line.push(&ShutdownSessions { server: (*server).clone() });
            }
            self.client.send(&line).await?;
        }
        self.old_workers.kill(&order.kill).await?;
        self.killed_at = Some(self.clock.mark());
        Ok(())
    }
}

/// The most commands in one line.
const KILLS_A_LINE: usize = 4;
