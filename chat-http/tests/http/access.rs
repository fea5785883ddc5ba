//! Origins, cookies, headers, addresses and rates.

use std::time::Duration;

use chat_http::{Rate, Rates, ServerLimits};
use serde_json::json;

use super::client::{Host, Person, Reply};

fn account(name: &str) -> serde_json::Value {
    json!({"username": name, "password": format!("password of {name}")})
}

#[tokio::test]
async fn foreign_pages_change_nothing() {
    let host = Host::with(
        |builder| {
            builder
                .public_url("https://chat.example")
                .allow_origin("http://localhost:5173")
        },
        ServerLimits::default(),
    )
    .await;
    let ada = host.person("ada").await;
    let body = account("ada");
    let change = json!({"current_password": "password of ada", "new_password": "another long one"});
    let evil = [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "https://chat.example.evil.example"),
        ("origin", "https://evilchat.example"),
        ("origin", "http://chat.example"),
        ("origin", "https://chat.example:8443"),
        ("origin", "http://localhost:51730"),
        ("origin", ""),
        ("sec-fetch-site", "cross-site"),
    ];
    for (name, value) in evil {
        let requests = [
            host.call("POST", "/login").json(&body),
            host.call("POST", "/register").json(&account("eve")),
            host.call("POST", "/logout").cookie(&ada),
            host.call("POST", "/v1/password").cookie(&ada).json(&change),
            host.call("DELETE", "/conversation/1").cookie(&ada),
        ];
        for request in requests {
            let reply = request.header(name, value).send().await;
            reply.problem(403);
            assert_eq!(reply.header("access-control-allow-origin"), None);
            assert_eq!(reply.header("set-cookie"), None);
        }
        let header = format!("{name}: {value}\r\n");
        let cookie = format!("cookie: chat_session={}\r\n{header}", ada.token);
        assert_eq!(host.upgrade("/ws", &cookie).await.status, 403, "{value}");
        // Whoever has the token is not a browser that was tricked.
        let path = format!("/ws/{}", ada.token);
        assert_eq!(host.upgrade(&path, &header).await.status, 101);
        let bearer = format!("authorization: Bearer {}\r\n{header}", ada.token);
        assert_eq!(host.upgrade("/ws", &bearer).await.status, 101);
    }
    let two = "origin: https://chat.example\r\norigin: https://evil.example\r\n";
    let cookie = format!("cookie: chat_session={}\r\n{two}", ada.token);
    assert_eq!(host.upgrade("/ws", &cookie).await.status, 403);
    for origin in ["https://chat.example", "http://localhost:5173"] {
        let request = host.call("POST", "/login").json(&body);
        assert_eq!(request.header("origin", origin).send().await.status, 200);
        let cookie = format!("cookie: chat_session={}\r\norigin: {origin}\r\n", ada.token);
        assert_eq!(host.upgrade("/ws", &cookie).await.status, 101);
    }
}

#[tokio::test]
async fn without_a_public_url_the_address_listened_on_counts() {
    let host = Host::start().await;
    host.person("ada").await;
    let login = async |origin: &str| {
        let request = host.call("POST", "/login").json(&account("ada"));
        request.header("origin", origin).send().await.status
    };
    let port = host.address.port();
    assert_eq!(login(&host.origin()).await, 200);
    assert_eq!(login(&format!("http://localhost:{port}")).await, 200);
    assert_eq!(login(&format!("https://localhost:{port}")).await, 403);
    assert_eq!(login("http://localhost").await, 403);
}

#[tokio::test]
async fn allowed_pages_may_read() {
    let host = Host::with(
        |builder| builder.allow_origin("http://app.example:3000"),
        ServerLimits::default(),
    )
    .await;
    let preflight = |origin: &'static str, path: &'static str| {
        host.call("OPTIONS", path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .send()
    };
    let reply = preflight("http://app.example:3000", "/login").await;
    assert_eq!(reply.status, 204);
    let allowed = [
        ("access-control-allow-origin", "http://app.example:3000"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "POST, OPTIONS"),
        (
            "access-control-allow-headers",
            "authorization, content-type",
        ),
        ("vary", "origin"),
    ];
    for (name, value) in allowed {
        assert_eq!(reply.header(name), Some(value));
    }
    let reply = preflight("http://evil.example", "/login").await;
    for (name, _) in &allowed[..4] {
        assert_eq!(reply.header(name), None);
    }
    let refused = host.call("GET", "/v1/session");
    let refused = refused
        .header("origin", "http://app.example:3000")
        .send()
        .await;
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("http://app.example:3000")
    );
    assert_eq!(
        refused.header("access-control-expose-headers"),
        Some("retry-after")
    );
}

fn secured(reply: &Reply, https: bool) {
    let policy = reply.header("content-security-policy").unwrap();
    for part in [
        "default-src 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    assert!(reply.header("permissions-policy").is_some());
    assert_eq!(reply.header("strict-transport-security").is_some(), https);
}

#[tokio::test]
async fn every_answer_is_secured() {
    let paths = [
        "/healthz",
        "/docs",
        "/openapi.json",
        "/nowhere",
        "/v1/session",
        "/ws",
    ];
    let host = Host::start().await;
    for path in paths {
        secured(&host.call("GET", path).send().await, false);
    }
    secured(&host.upgrade("/ws", "").await, false);
    let limits = ServerLimits::default();
    let host = Host::with(
        |builder| builder.public_url("https://chat.example/"),
        limits,
    )
    .await;
    for path in paths {
        secured(&host.call("GET", path).send().await, true);
    }
    host.person("ada").await;
    let cookie = host.post("/login", account("ada")).await;
    assert!(cookie.header("set-cookie").unwrap().ends_with("; Secure"));
    let policy = cookie.header("content-security-policy").unwrap();
    assert!(
        policy.contains("connect-src 'self' wss://chat.example;"),
        "{policy}"
    );
}

#[tokio::test]
async fn the_first_credential_counts() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let bob = host.person("bob").await;
    let session = async |bearer: &str, cookie: &str| {
        let request = host.call("GET", "/v1/session");
        let request = request
            .header("authorization", bearer)
            .header("cookie", cookie);
        request.send().await
    };
    let cookie = format!("chat_session={}", bob.token);
    let both = session(&format!("Bearer {}", ada.token), &cookie).await;
    assert_eq!(both.json()["user"]["username"], "ada");
    for bad in ["Bearer no", "Bearer", "Bearer a b"] {
        session(bad, &cookie).await.problem(401);
    }
    let other = session("Basic eDp5", &cookie).await;
    assert_eq!(other.json()["user"]["username"], "bob");
    let two = format!("chat_session={}; chat_session={}", ada.token, bob.token);
    session("Basic eDp5", &two).await.problem(401);
}

fn strict() -> Rates {
    let hour = Duration::from_secs(3600);
    let mut rates = Rates::default();
    rates.login_account = Rate::new(3, hour);
    rates.login_address = Rate::new(6, hour);
    rates.register_address = Rate::new(4, hour);
    rates.search_user = Rate::new(2, hour);
    rates
}

fn waits(reply: &Reply) {
    reply.problem(429);
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&seconds));
}

#[tokio::test]
async fn logins_registrations_and_searches_are_limited() {
    let host = Host::with(|builder| builder.rates(strict()), ServerLimits::default()).await;
    let login = async |name: &str, password: &str| {
        let body = json!({"username": name, "password": password});
        host.post("/login", body).await
    };
    let ada = host.person("ada").await;
    host.post("/register", account("bob")).await;
    // However the name is written, it is one account.
    login("ada", "wrong password").await.problem(401);
    login("ADA", "wrong password").await.problem(401);
    waits(&login(" \u{ff41}da", "password of ada").await);
    // Of six from this address two are left.
    login("bob", "wrong password").await.problem(401);
    login("nobody", "wrong password").await.problem(401);
    waits(&login("bob", "password of bob").await);
    let body = json!({"current_password": "password of ada", "new_password": "another long one"});
    let password = host.call("POST", "/v1/password").bearer(&ada).json(&body);
    waits(&password.send().await);

    host.post("/register", account("carol")).await;
    host.post("/register", json!({"username": "x", "password": "y"}))
        .await
        .problem(422);
    waits(&host.post("/register", account("dave")).await);

    for _ in 0..2 {
        assert_eq!(host.get("/search-users?q=a", &ada).await.status, 200);
    }
    waits(&host.get("/search-users?q=a", &ada).await);
}

#[tokio::test]
async fn rates_can_be_turned_off() {
    let host = Host::with(|builder| builder.rates(None), ServerLimits::default()).await;
    let ada = host.person("ada").await;
    for number in 0..40 {
        let missing = json!({"username": format!("nobody{number}"), "password": "password"});
        host.post("/login", missing).await.problem(401);
        assert_eq!(host.get("/search-users?q=a", &ada).await.status, 200);
    }
}

#[tokio::test]
async fn addresses_behind_named_proxies_are_told_apart() {
    let register = async |host: &Host, name: &str, from: &str| {
        let request = host.call("POST", "/register").json(&account(name));
        request.header("x-forwarded-for", from).send().await.status
    };
    let limits = ServerLimits::default;
    let host = Host::with(|b| b.rates(strict()).trust_proxy("127.0.0.0/8"), limits()).await;
    for number in 0..8 {
        let name = format!("person{number}");
        let from = format!("9.9.9.9, 1.1.1.{}", number % 2);
        assert_eq!(register(&host, &name, &from).await, 201, "{number}");
    }
    assert_eq!(register(&host, "more", "1.1.1.1").await, 429);
    let host = Host::with(|b| b.rates(strict()).trust_proxy("10.0.0.0/8"), limits()).await;
    for number in 0..5 {
        let name = format!("person{number}");
        let expected = if number < 4 { 201 } else { 429 };
        let from = format!("1.1.1.{number}");
        assert_eq!(register(&host, &name, &from).await, expected, "{number}");
    }
}

#[tokio::test]
async fn what_is_set_by_a_client_counts_for_nothing() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let bob = host.person("bob").await;
    let mut socket = host.live(&ada).await;
    socket
        .send(json!({
            "to": bob.id, "content": "hi", "id": 99, "seq": 99, "sender_id": 2, "timestamp": "1970-01-01T00:00:00Z",
            "type": "error", "actor": "host",
        }))
        .await;
    let frame = socket.json().await;
    assert_eq!((&frame["id"], &frame["sender_id"]), (&json!(2), &json!(1)));
    assert_ne!(frame["timestamp"], "1970-01-01T00:00:00Z");
}

#[tokio::test]
async fn builders_say_what_is_wrong() {
    let chat = super::chat();
    let build = |configure: fn(chat_http::Builder) -> chat_http::Builder| {
        configure(chat_http::Http::builder(chat.clone())).build()
    };
    assert!(
        build(|builder| builder)
            .unwrap_err()
            .to_string()
            .contains("nothing to serve")
    );
    let auth = super::auth(&chat);
    for (url, proxy) in [("chat.example", "::1"), ("http://x", "10.0.0.0/40")] {
        let builder = chat_http::Http::builder(chat.clone()).documented(auth.clone());
        let error = builder
            .public_url(url)
            .trust_proxy(proxy)
            .build()
            .unwrap_err();
        let said = error.to_string();
        assert!(said.contains(url) || said.contains(proxy), "{said}");
    }
}

/// A person with a token of their own making.
#[tokio::test]
async fn tokens_are_not_guessed() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    for token in [
        "",
        " ",
        "x",
        "null",
        "undefined",
        "\u{e4}",
        &"x".repeat(4000),
    ] {
        let nobody = Person {
            id: ada.id,
            token: token.to_owned(),
        };
        host.get("/v1/session", &nobody).await.problem(401);
    }
}
