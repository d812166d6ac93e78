//! Every state that a server of HAProxy can be in: what teeter shows, what a hold does, what a release gives back.

use crate::site::{DRAIN, MAINT};
use crate::stand::Stand;

/// A name that nobody resolves.
const UNRESOLVED: &str =
    "resolvers nobody\n  nameserver none 127.0.0.1:1\n  resolve_retries 1\n  timeout retry 100ms\n";

#[tokio::test]
async fn the_status_says_who_keeps_a_server_out() {
    let backends = format!(
        "{UNRESOLVED}backend app\n  default-server inter 100ms\n  server up {{web01}} check\n  \
         server off {{web01}} check disabled\n  \
         server named nowhere.invalid:80 check resolvers nobody init-addr none\n  server spare {{web02}} check backup\n  \
         server told {{web03}} check\n  server drained {{web03}}\n  server light {{web04}} check\n  \
         server held {{web04}} check\nbackend api\n  server named {{web02}} track app/named\n  \
         server held {{web04}} track app/held\nbackend old\n  server named {{web02}} track api/named\n"
    );
    let stand = Stand::start(&backends, "").await;
    stand.tell("set server app/told state maint").await;
    stand.tell("set server app/drained state drain").await;
    stand.tell("set server app/light weight 0").await;
    stand.done(&["drain", "app/held", "--reason", "kernel", "--allow-outage"]).await;
    let user = stand.json(&["holds"]).await["holds"][0]["owner"].as_str().unwrap_or_default().to_owned();
    for (server, bits, held_by) in [
        ("app/up", 0, String::new()),
        ("app/off", MAINT | 4, "disabled in haproxy.cfg".to_owned()),
        ("app/named", 32, "its name has no address".to_owned()),
        ("api/named", 2, "tracks app/named".to_owned()),
        ("old/named", 2, "tracks api/named".to_owned()),
        ("app/spare", 0, String::new()),
        ("app/told", MAINT, "maint, set outside teeter".to_owned()),
        ("app/drained", DRAIN, "drain, set outside teeter".to_owned()),
        ("app/light", 0, "its weight is 0".to_owned()),
        ("app/held", DRAIN, format!("{user} (kernel)")),
        ("api/held", DRAIN | 16, format!("{user} (kernel)")),
    ] {
        assert_eq!((stand.bits(server).await, stand.held_by(server).await), (bits, held_by), "{server}");
        let up = matches!(server, "app/up" | "app/spare");
        assert_eq!(stand.status(server).await["in_service"], up, "{server}");
    }
    let table = stand.done(&["status", "app/*"]).await;
    let row = |server: &str| table.lines().find(|line| line.starts_with(server)).unwrap_or_default().to_owned();
    assert!(row("app/spare").contains("UP (backup)"), "{table}");
    assert!(row("app/named").ends_with("its name has no address"), "{table}");
    // A hold does not hide what else keeps a server out.
    stand.done(&["maint", "app/light", "app/told", "--reason", "disk", "--allow-outage"]).await;
    assert_eq!(stand.held_by("app/light").await, format!("{user} (disk); its weight is 0"));
    assert_eq!(stand.held_by("app/told").await, format!("{user} (disk); maint, set outside teeter"));
    let waited = stand.teeter(&["wait", "app/named", "--until", "up", "--timeout", "200ms"]).await;
    assert!(waited.code == 5 && waited.err.contains("app/named out: its name has no address"), "{waited:?}");
}
