//! Nothing secret is logged, however much is.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::client::{Host, masked};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn no_secret_is_logged() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .finish();
    // One thread, so that all of the server logs here.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let token = tracing::subscriber::with_default(subscriber, || runtime.block_on(talk()));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for secret in ["canary", "Canary", "CANARY", &token] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    // It was there to be seen.
    for told in [
        "route=\"/ws/{token}\"",
        "route=\"/login\"",
        "status=401",
        "method=\"other\"",
    ] {
        assert!(log.contains(told), "{told} is not in the log:\n{log}");
    }
}

/// Has secrets at every place where a client can put one.
async fn talk() -> String {
    let host = Host::start().await;
    let account = json!({"username": "ada", "password": "canary password"});
    host.post("/register", account.clone()).await;
    host.post(
        "/register",
        json!({"username": "\u{0}", "password": "canary"}),
    )
    .await;
    let wrong = json!({"username": "canary", "password": "canary wrong"});
    assert_eq!(host.post("/login", wrong).await.status, 401);
    let login = host.post("/login", account).await;
    assert_eq!(login.status, 200);
    let ada = super::client::Person {
        id: chat_core::UserId::new(1).unwrap(),
        token: login.json()["access_token"].as_str().unwrap().to_owned(),
    };
    host.person("bob").await;
    host.call("POST", "/login").body("canary").send().await;
    host.call("POST", "/login")
        .json(&json!(["canary"]))
        .send()
        .await;
    host.get("/search-users?q=canary", &ada).await;
    host.get("/messages/canary?limit=canary", &ada).await;
    host.call("GET", "/canary")
        .header("cookie", "chat_session=canary")
        .send()
        .await;
    host.call("CANARY", "/login")
        .header("canary", "canary")
        .send()
        .await;
    host.raw(b"GET /canary HTTP/1.1\r\nbad header canary\r\n\r\n")
        .await;
    let mut nobody = host.socket("/ws/canary", &[]).await;
    nobody.closed().await;
    let mut socket = host.live(&ada).await;
    for frame in [
        r#"{"to":2,"content":"canary"}"#,
        r#"{"to":"canary","content":"canary","ref":"canary"}"#,
        r#"{"conversation_id":99,"content":"canary","ref":"canary"}"#,
    ] {
        socket.send(frame).await;
        socket.json().await;
    }
    let mut stream = host.bare(&ada).await;
    let close = [&4000u16.to_be_bytes()[..], b"canary"].concat();
    let bytes = [masked(0x89, b"canary"), masked(0x88, &close)].concat();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes)
        .await
        .unwrap();
    super::client::read_frames(&mut stream).await;
    ada.token
}
