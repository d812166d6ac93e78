//! The text of teeter.toml.

use std::collections::BTreeMap;

use super::farms::{Draft, lines_by_backend};
use super::halves::Groups;
use super::notes;
use super::site::Site;
use super::verify::Verify;
use crate::farm::{HttpProbe, MemberName, RouteKey};
use crate::haproxy::{BackendName, ServerRef};

/// A part of the text, with comments.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Adds a line, or an empty one.
    pub(super) fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// Adds comments: text broken into lines.
    pub(super) fn comment(&mut self, text: &str) {
        self.comment_by("#", "#", text);
    }

    /// Adds an item of a list in comments.
    pub(super) fn item(&mut self, text: &str) {
        self.comment_by("# -", "#  ", text);
    }

    fn comment_by(&mut self, first: &str, further: &str, text: &str) {
        let mut line = String::from(first);
        for word in text.split_whitespace() {
            let word: String = word.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            if line.len() > first.len() && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                line = String::from(further);
            }
            line.push(' ');
            line.push_str(&word);
        }
        self.line(&line);
    }

    /// The text.
    pub(super) fn end(self) -> String {
        self.0
    }
}

/// The head: how HAProxy is reached.
pub(super) fn head(site: &Site) -> String {
    let mut text = Text::default();
    let socket = site.endpoint.address.to_string();
    let files: Vec<String> = site.cfg_paths.iter().map(|path| path.display().to_string()).collect();
    let from = if files.is_empty() { String::new() } else { format!(" and {}", files.join(", ")) };
    text.comment(&format!("Written by `teeter init` from HAProxy {} at {socket}{from}.", site.seen.version));
    text.comment("Every key and its default: docs/configuration.md. Check changes by `teeterd --check --config FILE`.");
    text.line("");
    text.line("[[haproxy]]");
    text.line(&format!("name = {}", quoted(site.name.as_str())));
    text.line(&format!("socket = {}", quoted(&socket)));
    if let Some(tls) = &site.endpoint.tls {
        text.line(&format!("tls = {{ ca = {} }}", quoted(&tls.ca.display().to_string())));
    }
    match &site.master {
        Some(master) => {
            text.comment("The master shows the processes that reloads leave behind, with their requests.");
            text.line(&format!("master = {}", quoted(&master.display().to_string())));
        }
        None => {
            text.line("# master = \"/run/haproxy-master.sock\"          # if HAProxy runs with -S: docs/haproxy.md");
        }
    }
    text.end()
}

/// The tables of a farm.
pub(super) fn farm(site: &Site, draft: &Draft, verify: &Verify) -> String {
    let mut text = Text::default();
    let name = &draft.name;
    text.line("");
    text.comment(&notes::about(site, draft));
    text.comment(&format!("The first look: `teeter deploy {name}{} --dry-run`.", draft.strategy()));
    text.line(&format!("[farm.{name}]"));
    let plain = draft.is_plain();
    if plain {
        list(&mut text, "members", &patterns(site, draft));
    }
    match &draft.groups {
        Groups::Auto => text.line("halves = \"auto\""),
        Groups::Named(groups) => {
            notes::weights(site, draft).iter().for_each(|note| text.comment(note));
            let groups: Vec<String> =
                groups.iter().map(|(group, members)| format!("{} = {}", key(group.as_str()), array(members))).collect();
            text.line(&format!("groups = {{ {} }}", groups.join(", ")));
        }
        Groups::None if draft.leader => text.line("leader = true"),
        Groups::None => {}
    }
    let stays = draft.stays();
    text.line(&format!("min_available = {:<34}# members that carry the traffic during a deploy", stays.max(1)));
    if !plain {
        text.comment("A member has every line that leads to its process.");
        text.line(&format!("[farm.{name}.members]"));
        for (member, lines) in table(draft) {
            text.line(&format!("{} = {}", key(member.as_str()), array(&lines)));
        }
    }
    flip(&mut text, draft);
    drain(&mut text, site, draft);
    verification(&mut text, draft, verify);
    text.end()
}

/// Patterns for a list of members: a glob for a backend all lines of which belong to the farm.
fn patterns(site: &Site, draft: &Draft) -> Vec<String> {
    let lines: Vec<ServerRef> =
        draft.members.iter().flat_map(|(_, lines)| lines.iter().cloned()).chain(draft.slots.iter().cloned()).collect();
    let mut patterns = Vec::new();
    for (backend, lines) in lines_by_backend(&lines) {
        if site.seen.servers.in_backend(backend).count() == lines.len() {
            patterns.push(format!("{backend}/*"));
        } else {
            patterns.extend(lines.iter().map(ToString::to_string));
        }
    }
    patterns
}

/// The table of members. A slot belongs to the member of its name, or is one by itself.
fn table(draft: &Draft) -> BTreeMap<MemberName, Vec<ServerRef>> {
    let mut table: BTreeMap<MemberName, Vec<ServerRef>> = draft.members.iter().cloned().collect();
    for slot in &draft.slots {
        table.entry(slot.server.clone()).or_default().push(slot.clone());
    }
    table
}

fn flip(text: &mut Text, draft: &Draft) {
    let Draft { name, routes, not_routed, .. } = draft;
    if !routes.is_empty() {
        text.line("");
        text.comment(
            "The map chooses the backend, so a flip switches all traffic at once. All clients move at the flip: \
                      docs/flips.md has other ways for `sticky`.",
        );
        text.line(&format!("[farm.{name}.flip]"));
        text.line("sticky = \"break\"");
        match &routes[..] {
            [route] => text.line(&format!("route = {}", table_of(route))),
            routes => {
                text.line("route = [");
                routes.iter().for_each(|route| text.line(&format!("    {},", table_of(route))));
                text.line("]");
            }
        }
        // HAProxy names the map as haproxy.cfg does, and only an absolute path is a file for teeterd.
        if routes.iter().any(|route| route.file().is_none_or(|file| !file.starts_with('/'))) {
            text.comment("The path of the map is not absolute, so teeterd cannot keep its file in step.");
            text.line("write_map = false");
        }
    }
    not_routed.iter().for_each(|note| text.comment(&format!("No route: {note}.")));
}

fn table_of(route: &RouteKey) -> String {
    let mut keys =
        vec![format!("map = {}", quoted(route.map.as_str())), format!("key = {}", quoted(route.key.as_str()))];
    keys.extend(
        route.backends().map(|(side, backend)| format!("{} = {}", key(side.as_str()), quoted(backend.as_str()))),
    );
    format!("{{ {} }}", keys.join(", "))
}

fn drain(text: &mut Text, site: &Site, draft: &Draft) {
    text.line("");
    text.line(&format!("[farm.{}.drain]", draft.name));
    match notes::sticky(site, draft) {
        Some(note) => {
            text.comment(&note);
            text.line("grace = \"30s\"");
        }
        None => text.line("# grace = \"30s\"                                  # for sticky clients; there are none"),
    }
    text.line("deadline = \"5m\"                                  # how long requests in flight may take");
    text.line("on_deadline = \"fail\"                             # then stop; no request is cut off");
}

fn verification(text: &mut Text, draft: &Draft, verify: &Verify) {
    text.line("");
    text.line(&format!("[farm.{}.verify]", draft.name));
    match &verify.http {
        Ok(probe) => {
            text.comment(
                "The request of HAProxy's health check. Add `version = { header = \"x-version\" }` if an answer \
                          shows which version runs: docs/configuration.md.",
            );
            if let Some(beyond) = &verify.beyond {
                text.comment(&format!("HAProxy also requires `{beyond}`, and goes on doing so."));
            }
            text.line(&format!("http = {}", http(probe)));
        }
        Err(why) => {
            text.comment(&format!("Only HAProxy's checks verify a server that comes back: {why}."));
            let example = || "{ path = \"/_status\", expect = 200 }".to_owned();
            text.line(&format!("# http = {}", verify.unanswered.as_ref().map_or_else(example, http)));
        }
    }
    text.line("deadline = \"60s\"");
}

fn http(probe: &HttpProbe) -> String {
    let mut keys = vec![format!("path = {}", quoted(&probe.path)), format!("expect = {}", probe.expect)];
    keys.extend(probe.port.map(|port| format!("port = {port}")));
    keys.extend(probe.host.as_ref().map(|host| format!("host = {}", quoted(host))));
    keys.extend(probe.tls.as_ref().map(|tls| match &tls.ca {
        Some(ca) => format!("tls = {{ ca = {} }}", quoted(&ca.display().to_string())),
        None => "tls = { insecure = true }".to_owned(),
    }));
    format!("{{ {} }}", keys.join(", "))
}

fn list(text: &mut Text, name: &str, items: &[String]) {
    let one_line = format!("{name} = {}", array(items));
    if one_line.len() <= WIDTH {
        return text.line(&one_line);
    }
    text.line(&format!("{name} = ["));
    items.iter().for_each(|item| text.line(&format!("    {},", quoted(item))));
    text.line("]");
}

fn array(items: &[impl ToString]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// A basic string of TOML: the same as a string of JSON, but that U+007F is escaped, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// A bare key, where that is possible.
fn key(text: &str) -> String {
    let is_bare = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_bare && !text.is_empty() { text.to_owned() } else { quoted(text) }
}

/// The text about one backend, for comments.
pub(super) fn backends(names: impl Iterator<Item = BackendName>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

const WIDTH: usize = 118;
