//! Faults: killed daemons and HAProxy processes, full disks, clocks that jump, sockets that misbehave.

mod chaos;
mod clock;
mod daemon_troubles;
mod fake_sockets;
mod killed_daemon;
mod mid_flip;
mod two_daemons;
