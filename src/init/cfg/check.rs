//! The health check of a backend, as haproxy.cfg configures it: `option httpchk` and `http-check`.

/// The HTTP request of a health check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HttpCheck {
    /// The path; `None` if haproxy.cfg names none. HAProxy then requests `/` with the method OPTIONS.
    pub(crate) path: Option<String>,
    /// The Host header.
    pub(crate) host: Option<String>,
    /// The status that passes, if it is a single one.
    pub(crate) status: Option<u16>,
    /// The condition after `http-check expect`, if it is none that teeter can check.
    pub(crate) other_condition: Option<String>,
}

/// The checks of a section, while its lines are read.
#[derive(Debug, Clone, Default)]
pub(super) struct Checks {
    is_http: bool,
    http: HttpCheck,
    /// Whether a `http-check send` has been read: only the first request of a check counts.
    has_request: bool,
}

impl Checks {
    /// The HTTP check of the section; `None` if it has another check, or none.
    pub(super) fn http(&self) -> Option<&HttpCheck> {
        self.is_http.then_some(&self.http)
    }

    /// Reads the words after `option` or `no option`.
    pub(super) fn option(&mut self, words: &[String], is_on: bool) {
        let Some((name, rest)) = words.split_first() else { return };
        if name == "httpchk" {
            self.is_http = is_on;
            if is_on {
                self.request_line(rest);
            }
        } else if is_on && OTHER_CHECKS.contains(&name.as_str()) {
            self.is_http = false;
        }
    }

    /// `option httpchk URI`, `option httpchk METHOD URI` or `option httpchk METHOD URI VERSION`. Up to HAProxy 2.1 the
    /// version was followed by headers.
    fn request_line(&mut self, words: &[String]) {
        let uri = match words {
            [] => return,
            [uri] => uri,
            [_, uri, ..] => uri,
        };
        self.http.path = Some(uri.clone());
        let headers = words.get(2..).unwrap_or_default().join(" ");
        let host = headers.lines().find_map(|line| line.trim().split_once(':').filter(|(name, _)| is_host(name)));
        if let Some((_, host)) = host {
            self.http.host = Some(host.trim().to_owned());
        }
    }

    /// Reads the words after `http-check`.
    pub(super) fn http_check(&mut self, words: &[String]) {
        match words.split_first() {
            Some((verb, rest)) if verb == "send" && !self.has_request => self.send(rest),
            Some((verb, rest)) if verb == "expect" => self.expect(rest),
            _ => {}
        }
    }

    fn send(&mut self, words: &[String]) {
        self.has_request = true;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "uri" => self.http.path = words.next().cloned().or_else(|| self.http.path.take()),
                "hdr" => {
                    if let (Some(name), Some(value)) = (words.next(), words.next())
                        && is_host(name)
                    {
                        self.http.host = Some(value.clone());
                    }
                }
                "meth" | "ver" | "body" | "uri-lf" | "body-lf" => {
                    let _ = words.next();
                }
                _ => {}
            }
        }
    }

    fn expect(&mut self, words: &[String]) {
        let condition = words.join(" ");
        let mut words = words.iter().map(String::as_str).skip_while(|word| !CONDITIONS.contains(word));
        match (words.next(), words.next().map(str::parse)) {
            (Some("status"), Some(Ok(status))) if !condition.contains('!') => self.http.status = Some(status),
            _ => self.http.other_condition = Some(condition),
        }
    }
}

fn is_host(name: &str) -> bool {
    name.trim().eq_ignore_ascii_case("host")
}

/// The conditions of `http-check expect`. Options such as `comment` come before them.
const CONDITIONS: [&str; 8] = ["status", "rstatus", "hdr", "fhdr", "string", "rstring", "string-lf", "!"];

/// Options that make another check of it.
const OTHER_CHECKS: [&str; 9] = [
    "tcp-check",
    "ssl-hello-chk",
    "smtpchk",
    "ldap-check",
    "mysql-check",
    "pgsql-check",
    "redis-check",
    "spop-check",
    "external-check",
];
