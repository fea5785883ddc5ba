//! The operations as plain requests: the same as on a socket, by what `/openapi.json` says of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::client::{Host, Reply};
use super::faces::{Api, framed, open};

fn key(number: usize) -> String {
    format!("01990000-0000-7000-8000-{number:012}")
}

/// Whatever may be asked for is answered alike. A write is done once, whichever face it comes to again.
#[tokio::test]
async fn both_faces_answer_alike() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    for name in ["bob", "carol"] {
        host.person(name).await;
    }
    let api = Api::of(&host).await;
    let mut socket = open(&host, &ada).await;
    let mut done = BTreeSet::new();
    for (number, (word, mut body)) in [
        (
            "post",
            json!({"to": {"user": 2}, "text": "12", "data": {"b": 1.0, "a": 1e2}}),
        ),
        (
            "post",
            json!({"to": {"user": 2}, "text": "to be gone", "reply_to": 2}),
        ),
        (
            "edit",
            json!({"conversation": 1, "message": 2, "revision": 0, "text": "alpha 12"}),
        ),
        ("delete", json!({"conversation": 1, "message": 3})),
        (
            "react",
            json!({"conversation": 1, "message": 2, "emoji": "👍", "on": true}),
        ),
        ("pin", json!({"conversation": 1, "message": 2, "on": true})),
        (
            "create",
            json!({"title": "Team", "members": [{"user": 2, "role": "admin"}]}),
        ),
        ("configure", json!({"conversation": 2, "title": "The team"})),
        ("add", json!({"conversation": 2, "users": [3]})),
        (
            "set_role",
            json!({"conversation": 2, "user": 2, "role": "member"}),
        ),
        ("remove", json!({"conversation": 2, "user": 3})),
        (
            "mute",
            json!({"conversation": 2, "until": "2126-11-22T16:40:00.123Z"}),
        ),
        ("archive", json!({"conversation": 2, "on": true})),
        ("hide", json!({"conversation": 2})),
        ("leave", json!({"conversation": 2, "successor": 2})),
        ("block", json!({"user": 3, "on": true})),
        ("profile", json!({"data": {"mood": "good"}})),
    ]
    .into_iter()
    .enumerate()
    {
        body["key"] = json!(key(number));
        let ask = || api.request(&host, word, &body).bearer(&ada).send();
        let mut first = ask().await;
        assert_eq!(first.status, 200, "{word}: {}", first.body);
        let again = framed(&mut socket, word, &body).await["body"].clone();
        assert_eq!(ask().await.json(), again, "{word}");
        assert_eq!(again["replayed"], true, "{word}");
        first.body = first
            .body
            .replace("\"replayed\":false", "\"replayed\":true");
        assert_eq!(first.json(), again, "{word}");
        done.insert(word);
    }
    let search = json!({"text": "12", "limit": 1});
    let ask = || api.request(&host, "search", &search).bearer(&ada).send();
    while ask().await.json()["messages"] == json!([]) {
        // A search at a time: the index is a moment behind.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for (word, body) in [
        ("inbox", json!({})),
        ("inbox", json!({"limit": 1, "after": "1895365600123.6"})),
        ("heads", json!({"limit": 1})),
        ("conversation", json!({"conversation": 1})),
        ("history", json!({"conversation": 1, "before": 3})),
        (
            "log",
            json!({"log": {"conversation": 1}, "after": 0, "limit": 3}),
        ),
        ("log", json!({"log": {"user": 1}, "after": 0})),
        ("members", json!({"conversation": 1, "after": 1})),
        ("user", json!({"user": 2})),
        ("users", json!({"name": "a"})),
        ("search", search.clone()),
        (
            "search",
            json!({"text": "alpha 12", "conversation": 1, "before": "1-2"}),
        ),
    ] {
        let plain = api.request(&host, word, &body).bearer(&ada).send().await;
        let frame = framed(&mut socket, word, &body).await;
        assert_eq!(frame["type"], "reply", "{word}: {frame}");
        assert_eq!(plain.status, 200, "{word}: {}", plain.body);
        assert_eq!(plain.json(), frame["body"], "{word}");
        done.insert(word);
    }
    for word in ["read", "delivered"] {
        let body = json!({"conversation": 1, "seq": 2});
        let plain = api.request(&host, word, &body).bearer(&ada).send().await;
        assert_eq!((plain.status, plain.json()), (200, json!({"kind": "done"})));
        done.insert(word);
    }
    let described = api.all().into_iter();
    let described = described.map(|(.., about)| about["operationId"].as_str().unwrap());
    assert_eq!(done, described.collect());
}

/// What is refused is refused in the same words, which name the same field.
#[tokio::test]
async fn both_faces_refuse_alike() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    host.person("bob").await;
    let api = Api::of(&host).await;
    let mut socket = open(&host, &ada).await;
    let key = key(1);
    for (word, body, status) in [
        ("post", json!({"key": key, "to": {"user": 2}}), 422),
        (
            "post",
            json!({"key": "7", "to": {"user": 2}, "text": "a"}),
            422,
        ),
        (
            "post",
            json!({"key": key, "to": {"user": 2}, "text": ""}),
            422,
        ),
        (
            "post",
            json!({"key": key, "to": {"user": 9}, "text": "a"}),
            404,
        ),
        (
            "post",
            json!({"key": key, "to": {"conversation": 9}, "text": "a"}),
            404,
        ),
        (
            "create",
            json!({"key": key, "members": [{"user": 2, "role": "king"}]}),
            422,
        ),
        (
            "edit",
            json!({"key": key, "conversation": 0, "message": 2, "text": "a"}),
            422,
        ),
        (
            "edit",
            json!({"key": key, "conversation": "x", "message": 2, "text": "a"}),
            422,
        ),
        ("delete", json!({"conversation": 1, "message": 2}), 422),
        (
            "delete",
            json!({"key": key, "conversation": 1, "message": 2, "extra": 3}),
            422,
        ),
        ("inbox", json!({"after": "here"}), 422),
        ("inbox", json!({"limit": "many"}), 422),
        ("inbox", json!({"limit": -1}), 422),
        ("history", json!({"conversation": 1}), 404),
        (
            "history",
            json!({"conversation": 1, "before": 1, "after": 1}),
            422,
        ),
        ("log", json!({"log": {"group": 1}, "after": 0}), 422),
        ("log", json!({"log": {"user": 2}, "after": 0}), 404),
        ("log", json!({"log": {"user": 1}}), 422),
        ("user", json!({"user": 9}), 404),
        ("users", json!({}), 422),
        ("search", json!({"text": "?"}), 422),
        ("search", json!({"text": "a", "before": "1-1"}), 422),
        ("read", json!({"conversation": 1, "seq": 1}), 404),
        ("read", json!({"conversation": 1}), 422),
    ] {
        let frame = framed(&mut socket, word, &body).await;
        assert_eq!(frame["type"], "error", "{word} {body}: {frame}");
        let plain = api.request(&host, word, &body).bearer(&ada).send().await;
        let detail = plain.problem(status);
        assert_eq!(detail, frame["body"]["detail"], "{word} {body}");
        let field = &plain.json()["errors"][0]["field"];
        assert_eq!(*field, frame["body"]["field"], "{word} {body}");
        let code = frame["body"]["code"].as_str().unwrap();
        let expected = if status == 404 {
            "not_found"
        } else {
            "invalid"
        };
        assert_eq!(code, expected, "{word} {body}");
    }
}

/// What only a plain request can get wrong.
#[tokio::test]
async fn requests_are_read_strictly() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    host.person("bob").await;
    let post = |body: &str| {
        let call = host.call("POST", "/v1/messages").bearer(&ada);
        call.header("content-type", "application/json").body(body)
    };
    let whole = format!(
        r#" {{ "key":"{}","to":{{"user":2}},"text":"a","data":{{"z":1.0, "a":1e2}}}} "#,
        key(1)
    );
    assert_eq!(post(&whole).send().await.status, 200);
    let said = host.get("/v1/conversations/1/messages", &ada).await;
    assert!(
        said.body.contains(r#""data":{"z":1.0, "a":1e2}"#),
        "{}",
        said.body
    );
    for bad in ["", "[]", "null", "{", "{}x", "{\"a\":}", "\u{feff}{}"] {
        post(bad).send().await.problem(400);
    }
    let large = format!(
        r#"{{"key":"{}","to":{{"user":2}},"text":"{}"}}"#,
        key(2),
        "x".repeat(70_000)
    );
    post(&large).send().await.problem(413);
    let plain = host
        .call("POST", "/v1/messages")
        .bearer(&ada)
        .body(whole.clone());
    plain.send().await.problem(415);

    let put = |path: &str, body: Value| host.call("PUT", path).bearer(&ada).json(&body).send();
    let archive = "/v1/conversations/1/archive";
    let twice = put(
        archive,
        json!({"key": key(3), "conversation": 2, "on": true}),
    )
    .await;
    assert_eq!(twice.problem(422), "`conversation` stands there twice.");
    let body = json!({"key": key(3), "on": true});
    let query = put(&format!("{archive}?on=true"), body.clone()).await;
    assert_eq!(query.json()["errors"][0]["field"], "on");
    query.problem(422);
    assert_eq!(put(archive, body).await.status, 200);
    host.get("/v1/conversations?limit=1&limit=1", &ada)
        .await
        .problem(422);
    let path = "/v1/conversations/01";
    assert_eq!(
        host.get(path, &ada).await.problem(422),
        "`conversation` must be an integer, 0 or more."
    );
    let options = host.call("OPTIONS", path).send().await;
    assert_eq!(options.header("allow"), Some("GET, HEAD, PATCH, OPTIONS"));
}

/// By cookie as by header; but a page of another site changes nothing.
#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    host.person("bob").await;
    let api = Api::of(&host).await;
    let post = json!({"key": key(1), "to": {"user": 2}, "text": "hello"});
    let sent = |origin: &str| {
        let call = api.request(&host, "post", &post).cookie(&ada);
        call.header("origin", origin).send()
    };
    sent("https://evil.example").await.problem(403);
    for (method, path, _) in api.all() {
        let path = path.replace("{kind}", "user");
        let parts = path.split('/');
        let parts = parts.map(|part| if part.starts_with('{') { "1" } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        let method = method.to_uppercase();
        let call = host
            .call(&method, &path)
            .cookie(&ada)
            .header("origin", "https://evil.example");
        let reply = call.json(&json!({})).send().await;
        if method == "GET" {
            assert_ne!(reply.status, 403, "{path}");
        } else {
            reply.problem(403);
        }
        let nobody = host.call(&method, &path).json(&json!({})).send().await;
        nobody.problem(401);
    }
    let own = host.origin();
    assert_eq!(sent(&own).await.json()["replayed"], false);
}

/// A search costs of the same allowance on both faces.
#[tokio::test]
async fn searches_are_limited() {
    let mut limits = chat_core::Limits::default();
    limits.search_burst = 2.0;
    limits.search_rate = 0.001;
    let chat = super::client::memory(limits);
    let host = Host::over(chat, |builder| builder, chat_http::ServerLimits::default()).await;
    let ada = host.person("ada").await;
    let body = json!({"text": "hello"});
    let mut socket = open(&host, &ada).await;
    assert_eq!(framed(&mut socket, "search", &body).await["type"], "reply");
    let search = async || -> Reply { host.get("/v1/search?text=hello", &ada).await };
    assert_eq!(search().await.status, 200);
    let refused = search().await;
    refused.problem(429);
    assert!(
        refused
            .header("retry-after")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 100
    );
}

/// Law 7 on both faces: who was removed reads what was, and nothing of what became of it.
#[tokio::test]
async fn who_left_reads_what_was() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let bob = host.person("bob").await;
    let api = Api::of(&host).await;
    let mut done = 0;
    for (word, mut body) in [
        (
            "create",
            json!({"title": "before", "members": [{"user": 2}]}),
        ),
        (
            "post",
            json!({"to": {"conversation": 1}, "text": "as it was"}),
        ),
        (
            "post",
            json!({"to": {"conversation": 1}, "text": "to be edited"}),
        ),
        (
            "post",
            json!({"to": {"conversation": 1}, "text": "to be gone"}),
        ),
        (
            "post",
            json!({"to": {"conversation": 1}, "text": "to be liked"}),
        ),
        ("remove", json!({"conversation": 1, "user": 2})),
        (
            "post",
            json!({"to": {"conversation": 1}, "text": "unheard"}),
        ),
        (
            "edit",
            json!({"conversation": 1, "message": 3, "revision": 0, "text": "unheard of"}),
        ),
        ("delete", json!({"conversation": 1, "message": 4})),
        (
            "react",
            json!({"conversation": 1, "message": 5, "emoji": "+", "on": true}),
        ),
        ("pin", json!({"conversation": 1, "message": 2, "on": true})),
        ("configure", json!({"conversation": 1, "title": "unheard"})),
    ] {
        done += 1;
        body["key"] = json!(key(done));
        let asked = api.request(&host, word, &body).bearer(&ada).send().await;
        assert_eq!(asked.status, 200, "{word}: {}", asked.body);
    }
    let search = json!({"text": "unheard", "conversation": 1});
    let ask = || api.request(&host, "search", &search).bearer(&ada).send();
    while ask().await.json()["messages"].as_array().unwrap().len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut socket = open(&host, &bob).await;
    for (word, body, found) in [
        ("history", json!({"conversation": 1}), "/messages"),
        (
            "history",
            json!({"conversation": 1, "after": 1}),
            "/messages",
        ),
        (
            "history",
            json!({"conversation": 1, "before": 99}),
            "/messages",
        ),
        ("log", json!({"log": {"conversation": 1}, "after": 0}), ""),
        ("conversation", json!({"conversation": 1}), ""),
        ("inbox", json!({}), ""),
        ("heads", json!({}), ""),
        ("search", search.clone(), "/messages"),
        ("search", json!({"text": "unheard"}), "/messages"),
        ("search", json!({"text": "as it was"}), "/messages"),
        ("members", json!({"conversation": 1}), ""),
    ] {
        let plain = api.request(&host, word, &body).bearer(&bob).send().await;
        let frame = framed(&mut socket, word, &body).await["body"].to_string();
        for told in [&plain.body, &frame] {
            for later in ["unheard", "edited_at", "deleted", "\"+\"", "to be"] {
                assert!(!told.contains(later), "{word}: {told}");
            }
        }
        if !found.is_empty() {
            let texts = plain.json().pointer(found).unwrap().to_string();
            let wants = body["text"].as_str() != Some("unheard");
            assert_eq!(texts.contains("as it was"), wants, "{word}: {texts}");
        }
        match word {
            "conversation" => {
                let entry = &plain.json()["entry"];
                assert_eq!(entry["conversation"]["title"], "before");
                assert_eq!(entry["conversation"]["pins"], json!([]));
                assert_eq!(entry["head"], 6);
            }
            "members" => assert_eq!(plain.status, 404),
            _ => {}
        }
    }
}
