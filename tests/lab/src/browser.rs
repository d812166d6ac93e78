//! A browser: a client with a cookie jar that keeps a connection and obeys `Set-Cookie`.
//!
//! It knows names, values and the two ways to delete a cookie. It ignores domains and paths, because there is one site,
//! and its cookies are for all of it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::client::{Answer, Held, read};
use crate::http::Wire;

/// Longer than any request takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with one jar and at most one connection.
pub struct Browser {
    target: SocketAddr,
    wire: Option<Wire>,
    jar: Vec<Cookie>,
}

struct Cookie {
    name: String,
    value: String,
    /// When the cookie expires; `None`: when the browser ends.
    until: Option<Instant>,
}

impl Browser {
    /// A browser with an empty jar.
    pub fn new(target: SocketAddr) -> Self {
        Self { target, wire: None, jar: Vec::new() }
    }

    /// Gets a page, with the cookies of the jar, on the kept connection if that is still open. Keeps the cookies of the
    /// answer.
    pub async fn get(&mut self, path: &str) -> io::Result<Answer> {
        let mut head = format!("GET {path} HTTP/1.1\r\nHost: lab\r\n");
        let cookies = self.cookies();
        if !cookies.is_empty() {
            head.push_str(&format!("Cookie: {cookies}\r\n"));
        }
        head.push_str("\r\n");
        timeout(PATIENCE, self.exchange(&head)).await?
    }

    /// Opens a websocket with the cookies of the jar, on a connection of its own. Keeps the cookies of the answer.
    pub async fn open(&mut self, path: &str) -> io::Result<Held> {
        let cookies = self.cookies();
        let extra = [("Cookie", cookies.as_str())];
        let held = Held::open(self.target, path, if cookies.is_empty() { &[] } else { &extra }).await?;
        self.keep(held.answer());
        Ok(held)
    }

    /// The value of a cookie; `None` if there is none, or if it has expired.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.fresh().find(|cookie| cookie.name == name).map(|cookie| cookie.value.as_str())
    }

    /// The value of the field `Cookie`.
    pub fn cookies(&self) -> String {
        let pairs: Vec<_> = self.fresh().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        pairs.join("; ")
    }

    /// Puts a cookie into the jar.
    pub fn forge(&mut self, name: &str, value: &str) {
        self.put(Cookie { name: name.to_owned(), value: value.to_owned(), until: None });
    }

    fn fresh(&self) -> impl Iterator<Item = &Cookie> {
        let now = Instant::now();
        self.jar.iter().filter(move |cookie| cookie.until.is_none_or(|until| now < until))
    }

    async fn exchange(&mut self, head: &str) -> io::Result<Answer> {
        // The other end may have closed a kept connection. The request is repeated only if not a byte was answered.
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
        self.jar.retain(|kept| kept.name != cookie.name);
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
                // An age of 0 or less deletes the cookie.
                let seconds = value.parse::<i64>().ok()?;
                let lasts = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                cookie.until = Instant::now().checked_add(lasts);
            } else if attribute.eq_ignore_ascii_case("expires") && value.contains("1970") && cookie.until.is_none() {
                // This date is used to delete a cookie, also by HAProxy.
                cookie.until = Some(Instant::now());
            }
        }
        Some(cookie)
    }
}

/// Sends a request and waits for the head of the answer. `false`: the other end closed the connection without a byte.
async fn begins(wire: &mut Wire, head: &str) -> bool {
    let sent = wire.write(head.as_bytes()).await.is_ok();
    (sent && matches!(wire.head().await, Ok(Some(_)))) || wire.has_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A browser that has received these `Set-Cookie` fields.
    fn browser_with(lines: &[&str]) -> Browser {
        let mut browser = Browser::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let fields = lines.iter().map(|line| ("Set-Cookie".to_owned(), (*line).to_owned())).collect();
        browser.keep(&Answer { fields, ..Answer::default() });
        browser
    }

    #[test]
    fn a_cookie_is_kept_and_the_last_of_a_name_counts() {
        let browser = browser_with(&["SRV=a.web01; path=/; HttpOnly", "release=v1; Max-Age=60", "SRV=b.web03; path=/"]);
        assert_eq!(browser.cookies(), "release=v1; SRV=b.web03");
        assert_eq!(browser.cookie("SRV"), Some("b.web03"));
        assert_eq!(browser.cookie("srv"), None);
    }

    #[test]
    fn a_cookie_is_deleted_by_its_age_or_date() {
        let browser =
            browser_with(&["a=1", "b=2", "c=3", "a=; Max-Age=0", "b=; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/"]);
        assert_eq!(browser.cookies(), "c=3");
    }
}
