//! `show sess` and `shutdown session`.

use std::fmt::Write as _;

use tokio::time::Instant;

use super::commands::Reply;
use super::setup::Series;
use super::traffic::{State, Stream};
use super::worker::Worker;

impl Worker {
    pub(super) fn show_sessions(&self, now: Instant, out: &mut String) -> Reply {
        for (id, stream) in &self.streams {
            self.line(*id, stream, now, out);
        }
        // The session of the command itself.
        let _ = write!(out, "0x{:x}: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 ", pointer(0));
        self.rest(0, 10, 8, out);
        Ok(())
    }

    fn line(&self, id: u64, stream: &Stream, now: Instant, out: &mut String) {
        let backend = &self.backends[stream.backend];
        let server = stream.server().map_or("<none>", |server| backend.servers[server].setup.name.as_str());
        let frontend = &self.setup.frontends[stream.frontend].name;
        let _ = write!(
            out,
            "0x{:x}: proto=tcpv4 src=127.0.0.1:{} fe={frontend} be={} srv={server} ts=00 ",
            pointer(id),
            port(id),
            backend.setup.name,
        );
        let side = match stream.state {
            State::Queued | State::QueuedFor(_) => 2,
            State::TurnAround { .. } => 3,
            State::Served(_) => 8,
        };
        self.rest(now.duration_since(stream.begun).as_secs(), 0, side, out);
    }

    fn rest(&self, age: u64, expires: u64, side: u8, out: &mut String) {
        let calls = "calls=1 rate=0 cpu=0 lat=0";
        let _ = match self.setup.series {
            Series::V2_2 => writeln!(
                out,
                "age={age}s {calls} rq[f=8848202h,i=0,an=00h,rx=,wx=,ax=] rp[f=88048202h,i=0,an=00h,rx=,wx=,ax=] \
                 s0=[8,200008h,fd=13,ex=] s1=[{side},200118h,fd=14,ex=] exp={expires}s"
            ),
            Series::V2_6 => writeln!(
                out,
                "epoch=0 age={age}s {calls} rq[f=8848202h,i=0,an=00h,rx=,wx=,ax=] \
                 rp[f=88048202h,i=0,an=00h,rx=,wx=,ax=] scf=[8,0h,fd=13] scb=[{side},11h,fd=14] exp={expires}s \
                 rc=0 c_exp="
            ),
            Series::V3_0 | Series::V3_2 | Series::V3_4 => writeln!(
                out,
                "epoch=0 age={age}s {calls} rq[f=848001h,i=0,an=00h,ax=] rp[f=80048001h,i=0,an=00h,ax=] \
                 scf=[8,1000h,fd=14,rex=59m59s,wex=] scb=[{side},1001h,fd=15,rex=59m59s,wex=] exp={expires}s \
                 rc=0 c_exp="
            ),
        };
    }

    pub(super) fn show_session(&self, id: &str, now: Instant, out: &mut String) -> Reply {
        let Some((id, stream)) = number(id).and_then(|id| self.streams.get_key_value(&id)) else {
            return Err("Session not found.\n");
        };
        let frontend = &self.setup.frontends[stream.frontend].name;
        let age = now.duration_since(stream.begun).as_secs();
        // The column of the bytes differs: it is behind both channels, or before them.
        let (ends, [request, response]) = if self.setup.series < Series::V3_4 {
            ("", [" total=144", " total=161"])
        } else {
            let ends = "\n  scf=0x1 flags=0x00001000 ioto=1h state=EST endp=CONN,0x2,0x3 sub=1 in=144 out=161 \
                        rex=59m59s\n  \
                        scb=0x4 flags=0x00001001 ioto=1h state=EST endp=CONN,0x5,0x6 sub=1 in=161 out=144 \
                        rex=59m59s";
            (ends, [""; 2])
        };
        let _ = writeln!(
            out,
            "0x{0:x}: [21/Nov/2026:05:11:49.425507] id={id} proto=tcpv4 source=127.0.0.1:{1}\n  frontend={frontend} \
             (id=2 mode=http), listener=? (id=1) addr=127.0.0.1:80\n  backend={2} (id=3 mode=http) addr=127.0.0.1:1\n  \
             task=0x1 (state=0x00 nice=0 calls=1 age={age}s){ends}\n  \
             req=0x{0:x} (f=0x848001 an=0x0 tofwd=-1{request})\n  \
             res=0x{0:x} (f=0x80048001 an=0x0 tofwd=-1{response})",
            pointer(*id),
            port(*id),
            self.backends[stream.backend].setup.name,
        );
        Ok(())
    }

    /// `shutdown session`. It works in an old process, too.
    pub(super) fn end_session(&mut self, id: &str, now: Instant) -> Reply {
        if id.is_empty() {
            return Err("Session pointer expected (use 'show sess').\n");
        }
        let id = number(id).filter(|id| self.streams.contains_key(id)).ok_or("No such session (use 'show sess').\n")?;
        self.finish(id, None, now);
        Ok(())
    }
}

fn pointer(id: u64) -> u64 {
    0x7f65_0000_0000 + id * 0x400
}

fn number(pointer: &str) -> Option<u64> {
    let address = u64::from_str_radix(pointer.strip_prefix("0x")?, 16).ok()?;
    address.checked_sub(0x7f65_0000_0000).filter(|offset| offset % 0x400 == 0).map(|offset| offset / 0x400)
}

fn port(id: u64) -> u64 {
    32_768 + id % 28_000
}
