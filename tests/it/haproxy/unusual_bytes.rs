//! Unusual bytes in HAProxy's replies: the text of a check with prompts, quotes and empty lines, and a description in
//! another encoding. They do not mix replies and hide no server.

use std::net::SocketAddr;

use teeter_lab::App;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::fixtures::custom_config::CustomConfig;
use crate::fixtures::site::until;

/// A MySQL server that refuses every client, in words that look like the end of a reply and like another table.
async fn misleading_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("it listens");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(async move {
        let words = b"no\n> \n\n\"\",x,\n> # pxname,svname\napp,w1,7,7\n\n> \xe9\x1b[31m\" ;";
        let length = u8::try_from(words.len() + 3).expect("it is short");
        let greeting = [&[length, 0, 0, 0, 0xff, 0x10, 0x04], &words[..]].concat();
        while let Ok((mut stream, _)) = listener.accept().await {
            // HAProxy may close the connection before the end.
            let _ = stream.write_all(&greeting).await;
        }
    });
    address
}

#[tokio::test]
async fn text_of_a_server_ends_no_reply() {
    let (app, misleading) = (App::start("w1", "v1").await.expect("it starts"), misleading_server().await);
    let site = CustomConfig::start(
        |_, front| {
            format!(
                "frontend www\n  bind {front}\n  default_backend app\n\
                 backend app\n  server w1 {0}\n  server w2 {0}\n\
                 backend db\n  mode tcp\n  option mysql-check user x\n  \
                 server m1 {misleading} check inter 100ms fall 1\n  server m2 {0}\nbackend last\n  server z {0}\n",
                app.addr()
            )
        },
        "",
    )
    .await;
    // Add a description that is not UTF-8.
    let config = std::fs::read_to_string(site.haproxy.config()).expect("it is there");
    let config = config.replacen("global\n", "global\n  description \"R?partiteur\"\n", 1).into_bytes();
    let config: Vec<u8> = config.into_iter().map(|byte| if byte == b'?' { 0xe9 } else { byte }).collect();
    std::fs::write(site.haproxy.config(), config).expect("it is written");
    site.haproxy.restart().await.expect("HAProxy restarts");
    until(|| async {
        let shown = site.json(&["status", "db/m1"]).await;
        shown["servers"][0]["last_check"].as_str().is_some_and(|text| text.starts_with("no > "))
    })
    .await;
    let shown = site.json(&["status"]).await;
    let server = |name: &str| {
        let servers = shown["servers"].as_array().expect("servers");
        let named = |row: &&serde_json::Value| {
            name.split_once('/').is_some_and(|(backend, server)| row["backend"] == backend && row["server"] == server)
        };
        servers.iter().find(named).cloned()
    };
    for (name, status) in [("app/w1", "no check"), ("db/m1", "DOWN"), ("db/m2", "no check"), ("last/z", "no check")] {
        assert_eq!(server(name).map(|row| row["status"].clone()), Some(status.into()), "{name} {shown}");
    }
    for server in ["db/m1", "app/w1"] {
        let drained = site.daemon.teeter(&["drain", server, "--reason", "r"]).await;
        assert_eq!(drained.code, 0, "{drained:?}\n{}", site.daemon.log());
    }
}
