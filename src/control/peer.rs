//! Who is at the other end of the control socket, as the kernel says.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

use crate::store::Caller;

/// The process that opened a connection.
#[derive(Debug, Clone)]
pub struct Peer(pub Caller);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        // Without credentials nobody is nobody: the uid that no user has.
        let (uid, gid, pid) =
            stream.io().peer_cred().map_or((u32::MAX, u32::MAX, None), |cred| (cred.uid(), cred.gid(), cred.pid()));
        let command = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok());
        let command = command.map(|text| text.trim().to_owned()).unwrap_or_default();
        Self(Caller { uid, gid, pid, user: user_name(uid), command })
    }
}

/// A user's name; its number where it has none.
fn user_name(uid: u32) -> String {
    let name = uzers::get_user_by_uid(uid).map(|user| user.name().to_string_lossy().into_owned());
    name.unwrap_or_else(|| uid.to_string())
}
