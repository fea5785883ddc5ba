//! Every answer of the documented API, field by field.

use chat_core::{Actor, Change, Content, Data, History, Role, Target, Write};
use serde_json::{Value, json};

use super::client::{Host, Person};

/// Takes the times out of an answer, which must be as documented.
fn timeless(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Array(list) => list.iter_mut().for_each(walk),
            Value::Object(map) => {
                for (name, value) in map {
                    let is_time = ["timestamp", "updated_at", "edited_at", "expires_at"];
                    match value {
                        Value::String(text) if is_time.contains(&name.as_str()) => {
                            let shape: String = text
                                .chars()
                                .map(|c| if c.is_ascii_digit() { '0' } else { c })
                                .collect();
                            assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{text}");
                            *text = "TIME".to_owned();
                        }
                        Value::String(text) if name == "cursor" => *text = "CURSOR".to_owned(),
                        other => walk(other),
                    }
                }
            }
            _ => {}
        }
    }
    walk(&mut value);
    value
}

async fn say(host: &Host, from: &Person, to: &Person, text: &str) {
    let write = Write::post(from.id, Target::Direct(from.id, to.id), text);
    host.chat.commit(write).await.unwrap();
}

#[tokio::test]
async fn accounts() {
    let host = Host::start().await;
    let account = json!({"username": "ada", "password": "correct horse"});

    let reply = host.post("/register", account.clone()).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.json(), json!({"id": 1, "username": "ada"}));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("set-cookie"), None);

    let taken = host.post("/register", account.clone()).await;
    taken.problem(409);
    for (field, bad) in [
        (
            "username",
            json!({"username": "", "password": "correct horse"}),
        ),
        (
            "username",
            json!({"username": "a\u{0}b", "password": "correct horse"}),
        ),
        ("password", json!({"username": "bob", "password": "short"})),
    ] {
        let refused = host.post("/register", bad).await;
        let detail = refused.problem(422);
        assert_eq!(
            refused.json()["errors"],
            json!([{"field": field, "detail": detail}])
        );
    }

    let reply = host.post("/login", account.clone()).await;
    assert_eq!(reply.status, 200);
    let body = reply.json();
    let token = body["access_token"].as_str().unwrap();
    let seconds = body["expires_in"].as_u64().unwrap();
    assert_eq!(
        body,
        json!({"access_token": token, "token_type": "bearer", "expires_in": seconds, "user": {"id": 1, "username": "ada"}})
    );
    assert_eq!(
        reply.header("set-cookie").unwrap(),
        format!("chat_session={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}")
    );
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn sessions() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let expected = json!({"user": {"id": 1, "username": "ada"}, "expires_at": "TIME"});
    let session = host.get("/v1/session", &ada).await;
    assert_eq!(
        (session.status, timeless(session.json())),
        (200, expected.clone())
    );
    let by_cookie = host.call("GET", "/v1/session").cookie(&ada).send().await;
    assert_eq!(timeless(by_cookie.json()), expected);

    let renewed = host.call("POST", "/v1/session").bearer(&ada).send().await;
    assert_eq!(renewed.status, 200);
    let token = renewed.json()["access_token"].as_str().unwrap().to_owned();
    assert!(renewed.header("set-cookie").unwrap().contains(&token));
    let new = Person { token, id: ada.id };
    assert_eq!(
        timeless(host.get("/v1/session", &new).await.json()),
        expected
    );

    let reply = host.call("POST", "/logout").bearer(&ada).send().await;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    let cleared = "chat_session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0";
    assert_eq!(reply.header("set-cookie"), Some(cleared));
    let gone = host.get("/v1/session", &ada).await;
    gone.problem(401);
    assert_eq!(gone.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn unknown_users_and_wrong_passwords_answer_alike() {
    let host = Host::start().await;
    host.person("ada").await;
    let mut details = Vec::new();
    for name in ["ada", "nobody"] {
        let account = json!({"username": name, "password": "not this one"});
        let reply = host.post("/login", account).await;
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        details.push(reply.problem(401));
    }
    assert_eq!(details[0], details[1]);
}

#[tokio::test]
async fn passwords() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let change = |current: &str| {
        let body = json!({"current_password": current, "new_password": "another long one"});
        host.call("POST", "/v1/password").bearer(&ada).json(&body)
    };
    change("wrong").send().await.problem(403);
    let short = json!({"current_password": "password of ada", "new_password": "x"});
    let refused = host
        .call("POST", "/v1/password")
        .bearer(&ada)
        .json(&short)
        .send()
        .await;
    refused.problem(422);
    assert_eq!(refused.json()["errors"][0]["field"], "new_password");
    let reply = change("password of ada").send().await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let token = reply.json()["access_token"].as_str().unwrap().to_owned();
    assert!(reply.header("set-cookie").unwrap().contains(&token));
    assert_eq!(reply.json()["user"], json!({"id": 1, "username": "ada"}));
    host.get("/v1/session", &ada).await.problem(401);
    let again = Person { token, ..ada };
    assert_eq!(host.get("/v1/session", &again).await.status, 200);
}

#[tokio::test]
async fn conversations_and_messages() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let bob = host.person("bob").await;
    let empty = host.get("/conversations/1", &ada).await;
    assert_eq!((empty.status, empty.json()), (200, json!([])));

    say(&host, &bob, &ada, "hi").await;
    say(&host, &ada, &bob, "hello").await;
    let message = json!({
        "id": 3, "conversation_id": 1, "sender_id": 1, "content": "hello", "timestamp": "TIME",
        "edited_at": null, "deleted": false, "reply_to": null, "data": null,
    });
    let list = host.get("/conversations/1", &ada).await;
    assert_eq!(
        timeless(list.json()),
        json!([{
            "id": 1, "kind": "direct", "user_a": 1, "user_b": 2, "title": null,
            "peer": {"id": 2, "username": "bob"}, "updated_at": "TIME", "unread": 0,
            "last_message": message, "cursor": "CURSOR",
        }])
    );
    assert_eq!(list.header("cache-control"), Some("no-store"));
    let others = host.get("/conversations/2", &bob).await.json();
    assert_eq!(others[0]["unread"], 1);
    assert_eq!(others[0]["peer"], json!({"id": 1, "username": "ada"}));

    let page = host.get("/messages/1", &bob).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.json()[0]["content"], "hi");
    assert_eq!(timeless(page.json())[1], message);

    host.get("/conversations/2", &ada).await.problem(403);
    host.get("/messages/2", &ada).await.problem(404);
    let carol = host.person("carol").await;
    let foreign = host.get("/messages/1", &carol).await.problem(404);
    let missing = host.get("/messages/77", &carol).await.problem(404);
    assert_eq!(foreign, missing);
}

#[tokio::test]
async fn groups_edits_and_deletions() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let bob = host.person("bob").await;
    let create = Change::Create {
        title: Some("Engines".to_owned()),
        data: None,
        managed: false,
        history: History::All,
        members: vec![(bob.id, Role::Member)],
    };
    let mut changes = vec![create, Change::post("first"), Change::post("second")];
    changes.push(Change::Post {
        content: Content {
            text: "third".to_owned(),
            data: Some(Data::from_json(r#"{"k":[1]}"#).unwrap()),
        },
        reply_to: Some(2),
        mentions: Vec::new(),
    });
    changes.push(Change::Edit {
        message: 2,
        revision: None,
        content: "changed".into(),
    });
    changes.push(Change::Delete { message: 3 });
    let write = Write::new(Actor::User(ada.id), Target::Group, changes);
    host.chat.commit(write).await.unwrap();

    let list = timeless(host.get("/conversations/2", &bob).await.json());
    let entry = &list[0];
    assert_eq!(entry["kind"], "group");
    assert_eq!(entry["title"], "Engines");
    assert_eq!(
        [&entry["user_a"], &entry["user_b"], &entry["peer"]],
        [&Value::Null; 3]
    );
    let page = timeless(host.get("/messages/1", &bob).await.json());
    assert_eq!(
        page,
        json!([
            {"id": 2, "conversation_id": 1, "sender_id": 1, "content": "changed", "timestamp": "TIME",
             "edited_at": "TIME", "deleted": false, "reply_to": null, "data": null},
            {"id": 3, "conversation_id": 1, "sender_id": 1, "content": "", "timestamp": "TIME",
             "edited_at": null, "deleted": true, "reply_to": null, "data": null},
            {"id": 4, "conversation_id": 1, "sender_id": 1, "content": "third", "timestamp": "TIME",
             "edited_at": null, "deleted": false, "reply_to": 2, "data": {"k": [1]}},
        ])
    );
}

#[tokio::test]
async fn pages() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let bob = host.person("bob").await;
    for number in 1..=120 {
        say(&host, &ada, &bob, &format!("{number}")).await;
    }
    let page = async |query: &str| -> Vec<u64> {
        let reply = host.get(&format!("/messages/1{query}"), &ada).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.body);
        let list = reply.json();
        let ids = list.as_array().unwrap().iter();
        ids.map(|message| message["id"].as_u64().unwrap()).collect()
    };
    // Seq 1 is the creation; messages are 2 to 121.
    let range = |from: u64, to: u64| (from..=to).collect::<Vec<_>>();
    assert_eq!(page("").await, range(72, 121));
    assert_eq!(page("?limit=2").await, range(120, 121));
    assert_eq!(page("?limit=1000000000").await, range(22, 121));
    assert_eq!(page("?before=72").await, range(22, 71));
    assert_eq!(page("?before=5&limit=2").await, range(3, 4));
    assert_eq!(page("?before=2").await, range(1, 0));
    assert_eq!(page("?after=119").await, range(120, 121));
    assert_eq!(page("?after=0&limit=3").await, range(2, 4));
    assert_eq!(page("?after=121").await, range(1, 0));

    for number in 0..5 {
        let other = host.person(&format!("person{number}")).await;
        say(&host, &ada, &other, "hi").await;
    }
    let mut path = "/conversations/1?limit=4".to_owned();
    let mut seen = Vec::new();
    loop {
        let list = host.get(&path, &ada).await.json();
        let Some(last) = list.as_array().unwrap().last() else {
            break;
        };
        let cursor = last["cursor"].as_str().unwrap();
        path = format!("/conversations/1?limit=4&before={cursor}");
        let ids = list.as_array().unwrap().iter();
        seen.extend(ids.map(|entry| entry["id"].as_u64().unwrap()));
    }
    assert_eq!(seen, [6, 5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn search() {
    let limits = chat_http::ServerLimits::default();
    let host = Host::with(|builder| builder.rates(None), limits).await;
    let ada = host.person("ada").await;
    host.person("adam").await;
    host.person("bob").await;
    let find = async |query: &str| host.get(&format!("/search-users?q={query}"), &ada).await;
    assert_eq!(
        find("AD").await.json(),
        json!([{"id": 2, "username": "adam"}])
    );
    for nothing in ["%25", "_", "", "%20", "nobody"] {
        assert_eq!(find(nothing).await.json(), json!([]), "{nothing}");
    }
    host.get("/search-users", &ada).await.problem(422);
    for number in 0..30 {
        host.person(&format!("many{number}")).await;
    }
    let page = find("many").await.json();
    assert_eq!(page.as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn users_one_knows() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let bob = host.person("bob").await;
    let carol = host.person("carol").await;
    let look = async |id: u64| host.get(&format!("/v1/users/{id}"), &ada).await;
    let told = |id: u64, name: &str| json!({"kind": "user", "user": {"id": id, "name": name}});
    assert_eq!(look(1).await.json(), told(1, "ada"));
    let known = look(2).await.problem(404);
    assert_eq!(look(99).await.problem(404), known);

    say(&host, &bob, &ada, "hi").await;
    assert_eq!(look(2).await.json(), told(2, "bob"));
    look(3).await.problem(404);
    let create = Change::Create {
        title: None,
        data: None,
        managed: false,
        history: History::All,
        members: vec![(carol.id, Role::Member), (ada.id, Role::Member)],
    };
    let write = Write::new(Actor::User(bob.id), Target::Group, vec![create]);
    let group = host.chat.commit(write).await.unwrap().conversation.unwrap();
    assert_eq!(look(3).await.status, 200);
    let leave = |user, successor| {
        let change = Change::Leave { successor };
        Write::new(Actor::User(user), Target::Conversation(group), vec![change])
    };
    // Her messages are still there to be read.
    host.chat.commit(leave(carol.id, None)).await.unwrap();
    assert_eq!(look(3).await.status, 200);
    host.chat.commit(leave(ada.id, None)).await.unwrap();
    look(3).await.problem(404);
}

#[tokio::test]
async fn removing_a_conversation_is_for_oneself_only() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let bob = host.person("bob").await;
    let carol = host.person("carol").await;
    say(&host, &bob, &ada, "hi").await;
    let remove = |person| host.call("DELETE", "/conversation/1").bearer(person).send();
    remove(&carol).await.problem(404);
    let reply = remove(&ada).await;
    let done = json!({"message": "The conversation was removed from your list."});
    assert_eq!((reply.status, reply.json()), (200, done));
    assert_eq!(host.get("/conversations/1", &ada).await.json(), json!([]));
    let messages = host.get("/messages/1", &bob).await.json();
    assert_eq!(messages[0]["content"], "hi");
    say(&host, &bob, &ada, "again").await;
    assert_eq!(host.get("/conversations/1", &ada).await.json()[0]["id"], 1);
    let left = host.get("/messages/1", &ada).await.json();
    assert_eq!(
        left.as_array().unwrap().len(),
        1,
        "what was removed stays so"
    );
}

#[tokio::test]
async fn health() {
    let host = Host::start().await;
    let health = host.call("GET", "/healthz").send().await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok"));
    assert_eq!(host.call("GET", "/readyz").send().await.status, 200);
    let patience = std::time::Duration::from_secs(1);
    host.chat.drain(patience).await.unwrap();
    assert_eq!(host.call("GET", "/healthz").send().await.status, 200);
    host.call("GET", "/readyz").send().await.problem(503);
}

#[tokio::test]
async fn everything_needs_a_login() {
    let host = Host::start().await;
    for (method, path) in [
        ("GET", "/conversations/1"),
        ("GET", "/messages/1"),
        ("GET", "/search-users?q=a"),
        ("DELETE", "/conversation/1"),
        ("POST", "/logout"),
        ("GET", "/v1/session"),
        ("GET", "/v1/users/1"),
    ] {
        let reply = host.call(method, path).send().await;
        reply.problem(401);
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{path}");
    }
    let body = json!({"current_password": "a", "new_password": "b"});
    host.post("/v1/password", body).await.problem(401);
}

#[tokio::test]
async fn methods_and_paths() {
    let host = Host::start().await;
    for (method, path, allow) in [
        ("PUT", "/login", "POST, OPTIONS"),
        ("GET", "/register", "POST, OPTIONS"),
        ("POST", "/conversations/1", "GET, HEAD, OPTIONS"),
        ("PATCH", "/conversation/1", "DELETE, OPTIONS"),
        ("BREW", "/healthz", "GET, HEAD, OPTIONS"),
        ("TRACE", "/healthz", "GET, HEAD, OPTIONS"),
        ("POST", "/ws", "GET, HEAD, OPTIONS"),
    ] {
        let reply = host.call(method, path).send().await;
        reply.problem(405);
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
    }
    for path in [
        "/nowhere", "/v1", "/login/", "/ws/a/b", "/", "//", "/docs/x",
    ] {
        host.call("GET", path).send().await.problem(404);
    }
    let options = host.call("OPTIONS", "/login").send().await;
    assert_eq!(
        (options.status, options.header("allow")),
        (204, Some("POST, OPTIONS"))
    );
    let head = host.call("HEAD", "/healthz").send().await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), Some("2"));
    let head = host.call("HEAD", "/v1/session").send().await;
    assert_eq!((head.status, head.body.as_str()), (401, ""));
}

#[tokio::test]
async fn documents() {
    let host = Host::start().await;
    let page = host.call("GET", "/docs").send().await;
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    for (path, kind) in [
        ("/docs/page.js", "text/javascript; charset=utf-8"),
        ("/docs/page.css", "text/css; charset=utf-8"),
    ] {
        assert!(
            page.body.contains(&path[1..]),
            "{path} is not part of the page"
        );
        let part = host.call("GET", path).send().await;
        assert_eq!(
            (part.status, part.header("content-type")),
            (200, Some(kind))
        );
    }
    assert!(
        !page.body.contains("http"),
        "the page must need nothing from elsewhere"
    );
    assert!(!page.body.contains("style=") && !page.body.contains("onclick"));
    let document = host.call("GET", "/openapi.json").send().await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
}

#[tokio::test]
async fn a_web_client() {
    let assets = chat_http::Assets::new()
        .file("/index.html", "<!doctype html>")
        .hashed("/assets/app-1.js", "1");
    let limits = chat_http::ServerLimits::default();
    let host = Host::with(|builder| builder.assets(assets), limits).await;
    let page = host.call("GET", "/").send().await;
    assert_eq!((page.status, page.body.as_str()), (200, "<!doctype html>"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let script = host.call("GET", "/assets/app-1.js").send().await;
    let kept = "public, max-age=31536000, immutable";
    assert_eq!(script.header("cache-control"), Some(kept));
    let html = |path| host.call("GET", path).header("accept", "text/html").send();
    assert_eq!(html("/c/17").await.body, "<!doctype html>");
    host.call("GET", "/c/17").send().await.problem(404);
    host.call("POST", "/c/17").send().await.problem(404);
    host.call("POST", "/assets/app-1.js")
        .send()
        .await
        .problem(405);
    // What is a route is no page.
    html("/messages/1").await.problem(401);
}
