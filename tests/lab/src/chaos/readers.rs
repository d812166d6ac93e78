//! Readers during a deploy: many at once, each of which reads everything again and again.

use std::io;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::site::{Site, get};

/// Reads for this time. Readers may be refused, but changes may not. Returns teeter's mistakes.
pub(crate) async fn crowd(site: &Site, lasts: Duration) -> io::Result<Vec<String>> {
    let end = Instant::now() + lasts;
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        let (socket, path) = (site.daemon.socket().to_owned(), PATHS[number % PATHS.len()]);
        readers.spawn(async move {
            let mut answered = 0;
            while Instant::now() < end {
                match get(&socket, path).await {
                    Ok(_) => answered += 1,
                    Err(_) => sleep(AGAIN).await,
                }
            }
            (path, answered)
        });
    }
    let changes = async {
        let mut wrong = Vec::new();
        // A change of a server line that does not exist: teeterd must answer that, and not refuse it for its load.
        while Instant::now() < end {
            let refused = site.teeter(&["drain", "nowhere/none", "--reason", "readers"]).await?;
            if refused.code != 3 {
                wrong.push(format!(
                    "during reads a drain of an unknown line ends with {}: {}",
                    refused.code, refused.err
                ));
                break;
            }
            sleep(BETWEEN).await;
        }
        io::Result::Ok(wrong)
    };
    let mut wrong: Vec<String> = changes.await?;
    let read: Vec<(&str, usize)> = readers.join_all().await;
    let starved = PATHS.iter().filter(|path| !read.iter().any(|(reader, answered)| reader == *path && *answered > 0));
    wrong.extend(starved.map(|path| format!("of {READERS} readers none had an answer from {path}")));
    Ok(wrong)
}

/// The paths that they read.
const PATHS: [&str; 5] =
    ["/v1/doctor", "/v1/store", "/v1/status?sel=*/*", "/v1/sessions?sel=*/*", "/v1/events?limit=1000"];

/// More readers than teeterd answers at once.
const READERS: usize = 40;

/// The pause after a refusal.
const AGAIN: Duration = Duration::from_millis(20);

/// The time between two changes.
const BETWEEN: Duration = Duration::from_millis(200);
