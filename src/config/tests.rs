use std::fs;

use super::*;

pub(super) fn load(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("teeter.toml");
    fs::write(&path, text).unwrap();
    Config::load(Some(&path), env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// The error without the file's directory.
pub(super) fn error(text: &str, env: &[(&str, &str)]) -> String {
    let error = load(text, env).expect_err("should be refused").to_string();
    error.split_once("teeter.toml:").map(|(_, rest)| rest.to_owned()).unwrap_or(error)
}

const FARM: &str = "[farm.web]\nmembers = [\"app/web0*\"]\nhalves = \"auto\"\n";

#[test]
fn an_empty_file_is_the_default() {
    let config = load("", &[]).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!((config.control.mode, config.log.level), (0o660, LogLevel::Info));
}

#[test]
fn unknown_keys_and_invalid_values_are_refused_with_line_and_column() {
    for (text, place, says) in [
        ("[control]\nsoket = \"/a\"\n", "2:1: ", "unknown field `soket`"),
        ("[colours]\n", "1:2: ", "unknown field `colours`"),
        ("[control]\n  mode = 660\n", "2:10: ", "invalid type: integer"),
        ("[control]\nmode = \"999\"\n", "2:8: ", "not a file mode"),
        ("[store]\npath = \"teeter.db\"\n", "2:8: ", "not an absolute path"),
        ("[log]\nlevel = \"loud\"\n", "2:9: ", "unknown variant `loud`"),
        ("[[haproxy]]\nname = \"edge\"\nsocket = \"admin.sock\"\n", "3:10: ", "is not a socket address"),
        ("[farm.web]\nmembers = [\"app/*\"]\n[farm.web.drain]\ngrace = \"30\"\n", "4:9: ", "is not a length of time"),
        ("[farm.web]\nmembers = [\"app/*\"]\ndrain = { grase = \"1s\" }\n", "3:11: ", "unknown field `grase`"),
        ("[farm.web]\n", "1:1: ", "missing field `members`"),
        ("[farm.\"a b\"]\nmembers = []\n", "1:7: ", "has a character other"),
        ("# ä\n[control\n", "2:9: ", ""),
    ] {
        let error = error(text, &[]);
        assert!(error.starts_with(place) && error.contains(says), "{text:?} gave {error}");
    }
}

#[test]
fn contradictory_settings_are_refused_with_line_and_column() {
    let two = |name: &str, socket: &str| {
        format!(
            "[[haproxy]]\nname = \"edge\"\nsocket = \"/a\"\n[[haproxy]]\nname = \"{name}\"\nsocket = \"{socket}\"\n"
        )
    };
    let farm = |rest: &str| format!("# the farm\n[farm.web]\nmembers = [\"app/*\"]\n{rest}");
    for (text, place, says) in [
        (two("edge", "/b"), "5:1: ", "there is another HAProxy named edge"),
        (two("core", "/a"), "6:1: ", "there is another HAProxy at /a"),
        (farm("halves = \"auto\"\ngroups = { a = [\"w1\"], b = [\"w2\"] }\n"), "4:1: ", "both groups and halves"),
        (farm("groups = { a = [\"w1\", \"w2\"], b = [\"w2\"] }\n"), "4:1: ", "\"w2\" is in more than one group: a, b"),
        (farm("[farm.web.drain]\ngrace = \"10m\"\n"), "4:11: ", "the grace is longer than the deadline"),
        (farm("").replace("app/*", "web01"), "3:1: ", "is not BACKEND/SERVER"),
    ] {
        let error = error(&text, &[]);
        assert!(error.starts_with(place) && error.contains(says), "{text:?} gave {error}");
    }
}

#[test]
fn variables_replace_settings_of_the_file() {
    let config = load(
        FARM,
        &[
            ("TEETER_CONTROL__SOCKET", "/tmp/c.sock"),
            ("TEETER_CONTROL__MODE", "0600"),
            ("TEETER_HAPROXY__0__NAME", "edge"),
            ("TEETER_HAPROXY__0__SOCKET", "tcp://127.0.0.1:9999"),
            ("TEETER_LOG__LEVEL", "debug"),
            ("TEETER_FARM__web__MIN_AVAILABLE", "50%"),
            ("TEETER_FARM__web__DRAIN__GRACE", "5s"),
            ("TEETER_FARM__Shop__MEMBERS", "[\"shop/*\"]"),
            ("TEETER_FARM__Shop__GROUPS__Old", "[\"s1\"]"),
            ("TEETER_FARM__Shop__VERIFY__HTTP__PATH", "/up"),
            ("TEETER_FARM__Shop__VERIFY__HTTP__EXPECT", "204"),
        ],
    )
    .unwrap();
    assert_eq!(config.control.socket, Path::new("/tmp/c.sock"));
    assert_eq!((config.control.mode, config.log.level), (0o600, LogLevel::Debug));
    assert_eq!(config.haproxy[0].socket.to_string(), "tcp://127.0.0.1:9999");
    assert_eq!(config.farms.keys().map(FarmName::as_str).collect::<Vec<_>>(), ["Shop", "web"]);
    let web = &config.farms[&"web".parse().unwrap()].settings;
    assert_eq!((web.min_available.to_string(), web.drain.grace.to_string()), ("50%".into(), "5s".into()));
    assert_eq!(web.members.iter().count(), 1);
    let shop = &config.farms[&"Shop".parse().unwrap()].settings;
    assert_eq!(shop.groups.keys().next().unwrap().as_str(), "Old");
    assert_eq!(shop.verify.http.as_ref().unwrap().expect, 204);
}

#[test]
fn other_variables_are_ignored() {
    let others =
        [("TEETER_SOCKET", "/x"), ("TEETER_RUN", "3"), ("TEETER_FARM", "web"), ("TEETERD__X", "1"), ("HOME", "/")];
    assert_eq!(load("", &others).unwrap(), Config::default());
}

#[test]
fn a_wrong_variable_is_named() {
    for (name, value, says) in [
        ("TEETER_CONTROL__SOKET", "/a", "unknown field `soket`"),
        ("TEETER_NOTHING__AT_ALL", "1", "unknown field `nothing`"),
        ("TEETER_STORE__", "1", "unknown field"),
        ("TEETER_FARM__web__DRAIN__GRACE", "30", "is not a length of time"),
        ("TEETER_FARM__web__DRAIN__GRACE", "20m", "the grace is longer than the deadline"),
        ("TEETER_FARM__web__GROUPS__a", "[\"web01\"]", "both groups and halves"),
        ("TEETER_FARM__WEB__MIN_AVAILABLE", "2", "missing configuration field \"farm.WEB.members\""),
        ("TEETER_FARM__web__MEMBERS", "[app/web01", "not a list or table"),
        ("TEETER_LOG__LEVEL", "loud", "loud"),
    ] {
        let error = error(FARM, &[("TEETER_LOG__TO", "plain"), (name, value)]);
        assert!(
            error.starts_with(&format!("{name} in the environment: ")) && error.contains(says),
            "{name} gave {error}"
        );
    }
}

#[test]
fn only_the_default_file_may_be_absent() {
    let missing = Path::new("/nonexistent/teeter.toml");
    assert!(matches!(Config::load(Some(missing), std::iter::empty()), Err(ConfigError::Read { .. })));
}

#[test]
fn the_sample_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("haproxy/servers.toml");
    let config = Config::load(Some(&path), std::iter::empty()).unwrap();
    assert_eq!(config.farms[&"web".parse().unwrap()].settings.groups.len(), 2);
}

#[test]
fn the_packaged_file_sets_nothing_until_it_is_edited() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/teeter.toml")).unwrap();
    assert_eq!(load(&text, &[]).unwrap(), Config::default());
    // A commented-out setting has no space after its sign, and is valid without the sign.
    let edited = text.lines().map(|line| match line.strip_prefix('#') {
        Some(code) if !code.starts_with(' ') => code,
        _ => line,
    });
    let config = load(&edited.collect::<Vec<_>>().join("\n"), &[]).unwrap();
    assert_eq!((config.haproxy.len(), config.farms[&"web".parse().unwrap()].settings.groups.len()), (1, 2));
}

#[test]
fn tls_settings_are_complete_and_for_tls_sockets_only() {
    let instance = |socket: &str, tls: &str| format!("[[haproxy]]\nname = \"a\"\nsocket = \"{socket}\"\n{tls}\n");
    for (socket, tls, place, says) in [
        ("tls://lb:1", "", "3:1: ", "needs tls"),
        ("/a.sock", "tls = { ca = \"/ca.pem\" }", "4:1: ", "does not speak TLS"),
        ("tls://lb:1", "tls = { ca = \"ca.pem\" }", "4:1: ", "not an absolute path"),
        ("tls://lb:1", "tls = { ca = \"/ca.pem\", key = \"/k.pem\" }", "4:1: ", "key needs a certificate"),
        ("tls://lb:1", "tls = { key = \"/k.pem\" }", "4:7: ", "missing field `ca`"),
    ] {
        let error = error(&instance(socket, tls), &[]);
        assert!(error.starts_with(place) && error.contains(says), "{error}");
    }
    let complete = "tls = { ca = \"/ca.pem\", certificate = \"/c.pem\", key = \"/k.pem\", server_name = \"lb\" }";
    let config = load(&instance("tls://10.0.0.1:9998", complete), &[]).unwrap();
    assert_eq!(config.haproxy[0].tls.as_ref().unwrap().server_name.as_deref(), Some("lb"));
}
