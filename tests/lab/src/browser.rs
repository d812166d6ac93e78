//! A visitor: a client with a cookie jar, who keeps a connection and follows what `Set-Cookie` says.
//!
//! It knows names, values and the two ways to delete a cookie. Domains and paths it ignores: there is one site, and it
//! sets its cookies for all of it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::client::{Answer, Held, read};
use crate::http::Wire;

/// No request of a visitor takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One visitor with one jar and at most one connection.
pub struct Browser {
    target: SocketAddr,
    wire: Option<Wire>,
    jar: Vec<Cookie>,
}

struct Cookie {
    name: String,
    value: String,
    /// Without it, until the browser ends.
    until: Option<Instant>,
}

impl Browser {
    /// A visitor with an empty jar.
    pub fn new(target: SocketAddr) -> Self {
        Self { target, wire: None, jar: Vec::new() }
    }

    /// Asks for a page: on the connection kept from before if it still serves, with the cookies of the jar. What the
    /// answer sets is kept.
    pub async fn get(&mut self, path: &str) -> io::Result<Answer> {
        let mut head = format!("GET {path} HTTP/1.1\r\nHost: lab\r\n");
        let cookies = self.cookies();
        if !cookies.is_empty() {
            head.push_str(&format!("Cookie: {cookies}\r\n"));
        }
        head.push_str("\r\n");
        timeout(PATIENCE, self.exchange(&head)).await?
    }

    /// Opens a websocket with the cookies of the jar, on a connection of its own. What the answer sets is kept.
    pub async fn open(&mut self, path: &str) -> io::Result<Held> {
        let cookies = self.cookies();
        let extra = [("Cookie", cookies.as_str())];
        let held = Held::open(self.target, path, if cookies.is_empty() { &[] } else { &extra }).await?;
        self.keep(held.answer());
        Ok(held)
    }

    /// The value of a cookie; `None` when there is none, or its time is over.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.fresh().find(|one| one.name == name).map(|one| one.value.as_str())
    }

    /// What it sends as `Cookie`.
    pub fn cookies(&self) -> String {
        let pairs: Vec<_> = self.fresh().map(|one| format!("{}={}", one.name, one.value)).collect();
        pairs.join("; ")
    }

    /// Puts a cookie into the jar that no site has set.
    pub fn forge(&mut self, name: &str, value: &str) {
        self.put(Cookie { name: name.to_owned(), value: value.to_owned(), until: None });
    }

    fn fresh(&self) -> impl Iterator<Item = &Cookie> {
        let now = Instant::now();
        self.jar.iter().filter(move |one| one.until.is_none_or(|until| now < until))
    }

    async fn exchange(&mut self, head: &str) -> io::Result<Answer> {
        // The other end may have closed a kept connection at any time. Only its silence allows to ask again.
        let kept = match self.wire.take() {
            Some(mut wire) => begins(&mut wire, head).await.then_some(wire),
            None => None,
        };
        let mut wire = match kept {
            Some(wire) => wire,
            None => {
                let mut wire = Wire::new(TcpStream::connect(self.target).await?);
                wire.write(head.as_bytes()).await?;
                wire
            }
        };
        let (answer, reusable) = read(&mut wire, false).await?;
        self.wire = reusable.then_some(wire);
        self.keep(&answer);
        Ok(answer)
    }

    fn keep(&mut self, answer: &Answer) {
        for (_, text) in answer.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            if let Some(cookie) = Cookie::read(text) {
                self.put(cookie);
            }
        }
    }

    fn put(&mut self, cookie: Cookie) {
        self.jar.retain(|one| one.name != cookie.name);
        self.jar.push(cookie);
    }
}

impl Cookie {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let mut cookie = Self { name: name.trim().to_owned(), value: value.trim().to_owned(), until: None };
        for (attribute, value) in parts.filter_map(|part| part.split_once('=')) {
            if attribute.eq_ignore_ascii_case("max-age") {
                // Nothing and less than nothing both mean: delete it.
                let seconds = value.parse::<i64>().ok()?;
                let lasts = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                cookie.until = Instant::now().checked_add(lasts);
            } else if attribute.eq_ignore_ascii_case("expires") && value.contains("1970") && cookie.until.is_none() {
                // The date that HAProxy and others use to delete a cookie.
                cookie.until = Some(Instant::now());
            }
        }
        Some(cookie)
    }
}

/// Sends the request and waits for the head of its answer; `false` when the other end closed without a byte.
async fn begins(wire: &mut Wire, head: &str) -> bool {
    let sent = wire.write(head.as_bytes()).await.is_ok();
    (sent && matches!(wire.head().await, Ok(Some(_)))) || wire.has_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Browser {
        let mut browser = Browser::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let fields = lines.iter().map(|line| ("Set-Cookie".to_owned(), (*line).to_owned())).collect();
        browser.keep(&Answer { fields, ..Answer::default() });
        browser
    }

    #[test]
    fn a_cookie_is_kept_and_the_last_of_a_name_counts() {
        let browser = told(&["SRV=a.web01; path=/; HttpOnly", "release=v1; Max-Age=60", "SRV=b.web03; path=/"]);
        assert_eq!(browser.cookies(), "release=v1; SRV=b.web03");
        assert_eq!(browser.cookie("SRV"), Some("b.web03"));
        assert_eq!(browser.cookie("srv"), None);
    }

    #[test]
    fn a_cookie_is_deleted_by_its_age_or_date() {
        let browser =
            told(&["a=1", "b=2", "c=3", "a=; Max-Age=0", "b=; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/"]);
        assert_eq!(browser.cookies(), "c=3");
    }
}
