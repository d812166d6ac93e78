use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn setup(series: Series) -> Setup {
    let second = Duration::from_secs(1);
    let (one, two) = (ServerSetup::new("web01", "127.0.0.1:9001"), ServerSetup::new("web02", "127.0.0.1:9002"));
    let app = BackendSetup::new("app").server(one.check(second, 2, 2)).server(two.check(second, 2, 2));
    let other = BackendSetup::new("other").server(ServerSetup::new("x", "127.0.0.1:9001").track("app/web01"));
    Setup::new(series).frontend("www", Route::To("app".to_owned())).backend(app).backend(other)
}

async fn ask(fake: &Fake, line: &str) -> String {
    let mut stream = fake.connect().unwrap();
    stream.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

#[tokio::test(start_paused = true)]
async fn every_row_has_as_many_fields_as_the_header_has_names() {
    for series in Series::ALL {
        let fake = Fake::new(Setup { master: false, ..setup(series) }, 1);
        for (command, separator) in
            [("show stat -1 6 -1", ','), ("show servers state", ' '), ("show servers conn", ' ')]
        {
            let reply = ask(&fake, command).await;
            let mut lines = reply.lines().filter(|line| line.len() > 1);
            let header = lines.next().unwrap().trim_start_matches("# ");
            // The last column of connections is there once for each of the two threads in the transcripts.
            let names = header.split(separator).count() + usize::from(header.contains("idle_per_thr[2]"));
            for row in lines {
                assert_eq!(row.split(separator).count(), names, "{series:?}:\n{header}\n{row}");
            }
        }
    }
}

/// Plays a bit of everything. Gives the answers and their times.
async fn story(seed: u64) -> (String, u64) {
    let fake = Fake::new(setup(Series::V2_6), seed);
    let changes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&changes);
    fake.on_change(move |fake, _| {
        assert!(!fake.truth().workers.is_empty());
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let begun = Instant::now();
    let mut reply = String::new();
    for line in
        ["show info;show stat", "set server app/web01 state drain;set server app/web01 health down;show servers state"]
    {
        reply += &ask(&fake, line).await;
        let request = fake.begin("www", None).unwrap();
        tokio::time::sleep(Duration::from_millis(700)).await;
        fake.end(request);
    }
    fake.set_health("app/web02", false);
    fake.reload();
    tokio::time::sleep(Duration::from_secs(5)).await;
    reply += &ask(&fake, "show info;show stat;show servers state").await;
    reply += &format!("{:?} {:?}", begun.elapsed(), fake.truth());
    (reply, changes.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_run() {
    let first = story(7).await;
    assert!(first.1 > 10);
    assert_eq!(first, story(7).await);
    assert_ne!(first.0, story(8).await.0);
}
