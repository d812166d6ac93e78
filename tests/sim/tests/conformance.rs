//! The suite on the real HAProxy that `TEETER_TEST_HAPROXY` names, or the one that is installed.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use teeter_lab::{App, Haproxy, Held, free_port, skip};
use teeter_sim::fake::Series;
use teeter_sim::suite::{Case, Subject, cases};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinHandle;

struct Real {
    // They are dropped in this order: HAProxy first, the directory last.
    haproxy: Haproxy,
    servers: Arc<Servers>,
    series: Series,
    addr: SocketAddr,
    /// The cookie of each client.
    jar: BTreeMap<u64, String>,
    dir: TempDir,
}

/// The servers and the agent behind HAProxy, which all cases share.
struct Servers {
    apps: Vec<App>,
    agent: SocketAddr,
    words: Mutex<String>,
}

impl Servers {
    async fn start() -> io::Result<Arc<Self>> {
        let apps = vec![App::start("web01", "v1").await?, App::start("web02", "v1").await?];
        let listener = TcpListener::bind(("127.0.0.1", free_port()?)).await?;
        let servers = Arc::new(Self { apps, agent: listener.local_addr()?, words: Mutex::new(String::new()) });
        let agent = Arc::downgrade(&servers);
        tokio::spawn(async move {
            while let (Ok((mut stream, _)), Some(servers)) = (listener.accept().await, agent.upgrade()) {
                let words = format!("{}\n", servers.words.lock().unwrap());
                // HAProxy may have closed the connection.
                let _ = stream.write_all(words.as_bytes()).await;
            }
        });
        Ok(servers)
    }
}

impl Real {
    async fn start(servers: &Arc<Servers>, series: Series, master: bool) -> io::Result<Self> {
        for app in &servers.apps {
            app.set_healthy(true);
        }
        *servers.words.lock().unwrap() = "up".to_owned();
        let dir = tempfile::Builder::new().prefix("sim-").tempdir()?;
        std::fs::write(dir.path().join("live.map"), "web app\nshop other\n")?;
        let port = free_port()?;
        let config = config(dir.path(), servers, port, series);
        let haproxy = if master {
            Haproxy::start_master(dir.path(), &config).await?
        } else {
            Haproxy::start(dir.path(), &config).await?
        };
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Self { haproxy, servers: Arc::clone(servers), series, addr, jar: BTreeMap::new(), dir })
    }
}

fn config(dir: &Path, servers: &Servers, port: u16, series: Series) -> String {
    let (one, two) = (servers.apps[0].addr(), servers.apps[1].addr());
    let agent = servers.agent.port();
    let twin = if series < Series::V3_4 { "twin" } else { "twin-in" };
    format!(
        "global\n  node lab\n  nbthread 2\n  stats socket {dir}/admin.sock level admin expose-fd listeners\n  \
         stats socket {dir}/low.sock level operator\n\
         defaults\n  mode http\n  timeout connect 1s\n  timeout client 10s\n  timeout server 10s\n  \
         timeout queue 10s\n  timeout tunnel 1h\n  timeout check 1s\n  option redispatch\n  balance roundrobin\n\
         frontend www\n  bind 127.0.0.1:{port}\n  use_backend %[str(web),map_str({dir}/live.map)]\n  \
         default_backend app\n\
         frontend {twin}\n  bind unix@{dir}/twin.sock\n  default_backend twin\n\
         backend app\n  option httpchk GET /_status\n  cookie SRV insert indirect nocache\n  \
         default-server check inter 50ms rise 3 fall 2 weight 50\n  server web01 {one} cookie one\n  \
         server web02 {two} cookie two\n  server web03 {one} cookie three disabled\n\
         backend api\n  default-server weight 10\n  server web01 {one} track app/web01\n  \
         server web02 {two} track app/web02\n\
         backend lone\n  no option redispatch\n  server solo {one} maxconn 1\n\
         backend pair\n  cookie SRV insert indirect nocache\n  server p1 {one} cookie one maxconn 1\n  \
         server p2 {two} cookie two maxconn 1\n\
         backend stay\n  no option redispatch\n  cookie SRV insert indirect nocache\n  \
         server p1 {one} cookie one maxconn 1\n  server p2 {two} cookie two maxconn 1\n\
         backend agents\n  server talk {one} weight 100 agent-check agent-port {agent} agent-inter 50ms\n\
         backend off\n  disabled\n  server web01 {one} check\n  server web02 {two} check\n\
         backend twin\n  stick-table type string len 32 size 1k expire 30m\n  stick on req.hdr(x-client)\n  \
         server t1 {one}\n  server t2 {two}\n\
         backend even\n  balance static-rr\n  server e1 {one} weight 100\n\
         backend lead\n  option httpchk GET /_status\n  http-check expect ! status 200\n  \
         server web01 {one} check inter 50ms rise 3 fall 2\n",
        dir = dir.display(),
    )
}

async fn say(socket: &Path, line: &str) -> String {
    say_bytes(socket, &format!("{line}\n")).await
}

async fn say_bytes(socket: &Path, text: &str) -> String {
    // A stopped process does not answer, so the time is limited.
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    while let Ok(Ok(1..)) = tokio::time::timeout(ANSWER, stream.read_buf(&mut answer)).await {
        // From 3.0 on, a master may leave the connection open after this.
        if answer.starts_with(b"Can't find the target") && answer.ends_with(b"\n") {
            break;
        }
    }
    String::from_utf8(answer).unwrap()
}

impl Subject for Real {
    type Held = Held;
    type Pending = JoinHandle<io::Result<Held>>;
    type Connection = UnixStream;

    fn series(&self) -> Series {
        self.series
    }

    fn map(&self) -> String {
        self.dir.path().join("live.map").display().to_string()
    }

    async fn ask(&self, line: &str) -> String {
        say(&self.haproxy.socket(), line).await
    }

    async fn ask_cut(&self, line: &str) -> String {
        say_bytes(&self.haproxy.socket(), line).await
    }

    async fn ask_operator(&self, line: &str) -> String {
        say(&self.dir.path().join("low.sock"), line).await
    }

    async fn ask_master(&self, line: &str) -> String {
        let socket = self.haproxy.master_socket();
        loop {
            // A master that executes itself again refuses connections, or ends them, for a moment.
            if UnixStream::connect(&socket).await.is_ok() {
                let answer = say(&socket, line).await;
                if !answer.is_empty() {
                    return answer;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn connect(&self) -> UnixStream {
        let mut stream = UnixStream::connect(self.haproxy.socket()).await.unwrap();
        stream.write_all(b"prompt\n").await.unwrap();
        let mut prompt = [0; 3];
        stream.read_exact(&mut prompt).await.unwrap();
        stream
    }

    async fn begin(&mut self, client: Option<u64>) -> Result<Held, u16> {
        let (cookie, name) = (client.and_then(|client| self.jar.get(&client)), client.map(|client| client.to_string()));
        let fields = [("Cookie", cookie.map(String::as_str)), ("x-client", name.as_deref())];
        let fields: Vec<_> = fields.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let held = Held::open(self.addr, "/ws", &fields).await.map_err(|_| 503_u16)?;
        let cookie = held.answer().field("set-cookie").split(';').next().unwrap_or_default();
        if let Some(client) = client.filter(|_| !cookie.is_empty()) {
            self.jar.insert(client, cookie.to_owned());
        }
        Ok(held)
    }

    async fn queue(&mut self, client: Option<u64>) -> Self::Pending {
        let (addr, cookie) = (self.addr, client.and_then(|client| self.jar.get(&client).cloned()));
        tokio::spawn(async move {
            let fields: Vec<_> = cookie.iter().map(|cookie| ("Cookie", cookie.as_str())).collect();
            Held::open(addr, "/ws", &fields).await
        })
    }

    async fn served(&mut self, pending: Self::Pending) -> Result<Held, u16> {
        pending.await.unwrap().map_err(|_| 503)
    }

    fn server(&self, held: &Held) -> String {
        held.answer().field("x-server").to_owned()
    }

    async fn end(&mut self, held: Held) {
        drop(held);
    }

    async fn reload(&mut self) {
        self.haproxy.reload().await.unwrap();
    }

    fn set_healthy(&self, server: &str, healthy: bool) {
        let app = self.servers.apps.iter().find(|app| app.name() == server).unwrap();
        app.set_healthy(healthy);
    }

    async fn set_refusing(&self, server: &str, refuses: bool) {
        let app = self.servers.apps.iter().find(|app| app.name() == server).unwrap();
        if refuses { app.stop().await.unwrap() } else { app.start_again().await.unwrap() }
    }

    fn set_agent(&self, words: &str) {
        words.clone_into(&mut self.servers.words.lock().unwrap());
    }

    fn pause(&self, paused: bool) {
        if paused { self.haproxy.pause().unwrap() } else { self.haproxy.resume().unwrap() }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_passes_the_suite() {
    if !Haproxy::available() {
        return skip("there is no HAProxy");
    }
    let version = Haproxy::version().unwrap();
    let own = version.parse::<teeter::haproxy::Series>().map(|series| series.to_string()).unwrap_or_default();
    let Some(series) = Series::ALL.into_iter().find(|series| series.name() == own) else {
        return skip(&format!("the suite knows {}", Series::ALL.map(Series::name).join(", ")));
    };
    let servers = Servers::start().await.unwrap();
    let all: Vec<Case<Real>> = cases();
    // For work on one case.
    let only = std::env::var("TEETER_SIM_CASE").unwrap_or_default();
    assert!(all.iter().any(|case| case.name.contains(&only)), "there is no case {only}");
    let mut failed = Vec::new();
    for case in all.iter().filter(|case| case.name.contains(&only)) {
        let mut subject = Real::start(&servers, series, case.master).await.unwrap();
        let found = (case.run)(&mut subject).await;
        failed.extend(found.err().map(|error| format!("{}: {error}", case.name)));
    }
    assert!(failed.is_empty(), "{} of {} cases on {version}:\n{}", failed.len(), all.len(), failed.join("\n"));
}

/// Longer than any answer takes.
const ANSWER: Duration = Duration::from_secs(5);
