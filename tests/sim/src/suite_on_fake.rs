//! The suite on the fake, as each series, and tests of the fake alone.

use std::io::Write as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::fake::{BackendSetup, Balance, Fake, Level, Request, Route, Series, ServerSetup, Setup};
use crate::suite::{Subject, cases};

struct Simulated {
    fake: Fake,
    series: Series,
    map: tempfile::NamedTempFile,
}

impl Simulated {
    fn start(series: Series, master: bool, seed: u64) -> Self {
        let mut map = tempfile::NamedTempFile::new().unwrap();
        map.write_all(b"web app\nshop other\n").unwrap();
        let server = |name: &str| {
            let mut server = ServerSetup::new(name, "127.0.0.1:9001").check(Duration::from_millis(50), 2, 3);
            server.weight = 50;
            server
        };
        let mut app = BackendSetup::new("app");
        app.cookie = Some("SRV".to_owned());
        for (name, cookie) in [("web01", "one"), ("web02", "two"), ("web03", "three")] {
            let disabled = name == "web03";
            app.servers.push(ServerSetup { cookie: Some(cookie.to_owned()), disabled, ..server(name) });
        }
        let mut api = BackendSetup::new("api");
        for name in ["web01", "web02"] {
            let track = Some(format!("app/{name}"));
            api.servers.push(ServerSetup { weight: 10, track, ..ServerSetup::new(name, "127.0.0.1:9001") });
        }
        let mut lone = BackendSetup::new("lone");
        lone.redispatch = false;
        lone.servers.push(ServerSetup { maxconn: 1, ..ServerSetup::new("solo", "127.0.0.1:9001") });
        let pair = |name: &str, redispatch: bool| {
            let mut backend = BackendSetup::new(name);
            (backend.cookie, backend.redispatch) = (Some("SRV".to_owned()), redispatch);
            for (name, cookie) in [("p1", "one"), ("p2", "two")] {
                let cookie = Some(cookie.to_owned());
                backend.servers.push(ServerSetup { cookie, maxconn: 1, ..ServerSetup::new(name, "127.0.0.1:9001") });
            }
            backend
        };
        let talk = ServerSetup { agent: Some(Duration::from_millis(50)), ..ServerSetup::new("talk", "127.0.0.1:9001") };
        let mut off = BackendSetup { disabled: true, ..BackendSetup::new("off") };
        off.servers = ["web01", "web02"].map(server).to_vec();
        let mut twin = BackendSetup { stick: Some(Duration::from_secs(1800)), ..BackendSetup::new("twin") };
        twin.servers = ["t1", "t2"].map(|name| ServerSetup::new(name, "127.0.0.1:9001")).to_vec();
        let even = BackendSetup { balance: Balance::StaticRr, ..BackendSetup::new("even") };
        let file = map.path().to_owned();
        let route = Route::Map { file, key: "web".to_owned(), default: Some("app".to_owned()) };
        let setup = Setup { master, ..Setup::new(series) }
            .frontend("www", route)
            .frontend(if series < Series::V3_4 { "twin" } else { "twin-in" }, Route::To("twin".to_owned()))
            .backend(app)
            .backend(api)
            .backend(lone)
            .backend(pair("pair", true))
            .backend(pair("stay", false))
            .backend(BackendSetup::new("agents").server(talk))
            .backend(off)
            .backend(twin)
            .backend(even.server(ServerSetup::new("e1", "127.0.0.1:9001")))
            .backend(BackendSetup::new("lead").server(server("web01")));
        let fake = Fake::new(setup, seed);
        fake.set_agent("agents/talk", Some("up"));
        fake.set_health("lead/web01", false);
        Self { fake, series, map }
    }

    async fn say(mut stream: DuplexStream, line: &str) -> String {
        stream.write_all(line.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        while let Ok(Ok(1..)) = tokio::time::timeout(Duration::from_secs(1), stream.read_buf(&mut answer)).await {}
        String::from_utf8(answer).unwrap()
    }

    /// The bits of `app/web01`.
    fn admin(&self) -> u32 {
        self.fake.truth().current().unwrap().servers[&("app".to_owned(), "web01".to_owned())].admin
    }
}

impl Subject for Simulated {
    type Held = Request;
    type Pending = Request;
    type Connection = DuplexStream;

    fn series(&self) -> Series {
        self.series
    }

    fn map(&self) -> String {
        self.map.path().display().to_string()
    }

    async fn ask(&self, line: &str) -> String {
        Self::say(self.fake.connect().unwrap(), &format!("{line}\n")).await
    }

    async fn ask_cut(&self, line: &str) -> String {
        Self::say(self.fake.connect().unwrap(), line).await
    }

    async fn ask_operator(&self, line: &str) -> String {
        Self::say(self.fake.connect_at(Level::Operator).unwrap(), &format!("{line}\n")).await
    }

    async fn ask_master(&self, line: &str) -> String {
        loop {
            if let Ok(stream) = self.fake.connect_master() {
                return Self::say(stream, &format!("{line}\n")).await;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn connect(&self) -> DuplexStream {
        let mut stream = self.fake.connect().unwrap();
        stream.write_all(b"prompt\n").await.unwrap();
        let mut prompt = [0; 3];
        stream.read_exact(&mut prompt).await.unwrap();
        stream
    }

    async fn begin(&mut self, client: Option<u64>) -> Result<Request, u16> {
        self.fake.begin("www", client).map_err(|_| 503)
    }

    async fn queue(&mut self, client: Option<u64>) -> Request {
        self.fake.begin("www", client).unwrap()
    }

    async fn served(&mut self, pending: Request) -> Result<Request, u16> {
        while let Some(request) = self.fake.locate(&pending) {
            if !request.waits {
                return Ok(request);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err(503)
    }

    fn server(&self, held: &Request) -> String {
        held.server.clone().unwrap().replace(['p', 't'], "web0")
    }

    async fn end(&mut self, held: Request) {
        self.fake.end(held);
    }

    async fn reload(&mut self) {
        let before = self.fake.truth().current().unwrap().pid;
        self.fake.reload();
        while self.fake.truth().current().unwrap().pid == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    fn set_healthy(&self, server: &str, healthy: bool) {
        self.fake.set_health(&format!("app/{server}"), healthy);
        self.fake.set_health(&format!("lead/{server}"), !healthy);
    }

    async fn set_refusing(&self, server: &str, refuses: bool) {
        for entry in [format!("app/{server}"), server.replace("web0", "pair/p"), server.replace("web0", "stay/p")] {
            self.fake.set_refusing(&entry, refuses);
        }
    }

    fn set_agent(&self, words: &str) {
        self.fake.set_agent("agents/talk", Some(words));
    }

    fn pause(&self, paused: bool) {
        if paused {
            self.fake.hang(Duration::from_secs(3600));
        } else {
            self.fake.resume();
        }
    }
}

fn passes(series: Series) {
    let mut failed = Vec::new();
    let all = cases::<Simulated>();
    for (seed, case) in (1..).zip(&all) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let found = runtime.block_on(async {
            let mut subject = Simulated::start(series, case.master, seed);
            (case.run)(&mut subject).await
        });
        failed.extend(found.err().map(|error| format!("{}: {error}", case.name)));
    }
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), all.len(), failed.join("\n"));
}

#[test]
fn the_fake_passes_the_suite_of_2_2() {
    passes(Series::V2_2);
}

#[test]
fn the_fake_passes_the_suite_of_2_6() {
    passes(Series::V2_6);
}

#[test]
fn the_fake_passes_the_suite_of_3_0() {
    passes(Series::V3_0);
}

#[test]
fn the_fake_passes_the_suite_of_3_2() {
    passes(Series::V3_2);
}

#[test]
fn the_fake_passes_the_suite_of_3_4() {
    passes(Series::V3_4);
}

/// A command to a stopped process that is then killed is never carried out.
#[tokio::test(start_paused = true)]
async fn a_command_ends_with_a_killed_process() {
    let subject = Simulated::start(Series::V2_6, false, 1);
    subject.fake.hang(Duration::from_secs(5));
    let mut stream = subject.fake.connect().unwrap();
    stream.write_all(b"set server app/web01 state maint\n").await.unwrap();
    subject.fake.kill();
    subject.fake.start().unwrap();
    assert_eq!(stream.read_buf(&mut Vec::new()).await.unwrap(), 0);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(subject.admin(), 0);
}

/// A process that is stopped twice goes on once, and carries out commands in the order in which they came. A second,
/// shorter stop let new commands go on while older ones waited for the end of the first stop (seed 241441).
#[tokio::test(start_paused = true)]
async fn a_shorter_stop_does_not_end_a_longer_one() {
    let subject = Simulated::start(Series::V2_6, false, 1);
    subject.fake.hang(Duration::from_secs(5));
    let mut first = subject.fake.connect().unwrap();
    first.write_all(b"set server app/web01 state maint\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    subject.fake.hang(Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(subject.admin(), 0);
    let mut second = subject.fake.connect().unwrap();
    second.write_all(b"set server app/web01 state ready\n").await.unwrap();
    second.read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(subject.admin(), 0);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(subject.admin(), 0);
}
