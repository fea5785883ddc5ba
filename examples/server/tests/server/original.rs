//! `import-original`: what the original app kept is there, and what was odd is told.

use std::path::Path;

use chat_store_sqlite::rusqlite::{Connection, params};
use serde_json::json;

use crate::client::{User, get, request};
use crate::moving::{is_sound, refuses, sqlite};
use crate::support::{Server, refused};

/// Made by passlib 1.7.4 over bcrypt 4.0.1, both versions of `bcrypt_sha256`,.
const V2: &str =
    "$bcrypt-sha256$v=2,t=2b,r=4$/HZPs8jbqTweeooOeX.ri.$AtFVavJ3kGlMiphcyk1gBvwF.cRJbhi";
const V1: &str = "$bcrypt-sha256$2b,4$SEslHfGI4YpTzkUd9G49lu$gMm07SCEtS21yfP3c6yYodq4TzI.s0i";
const PASSWORD: &str = "correct horse battery staple";

const SCHEMA: &str = "
    CREATE TABLE user(id INTEGER NOT NULL PRIMARY KEY, username VARCHAR, password_hash VARCHAR);
    CREATE TABLE conversation(id INTEGER NOT NULL PRIMARY KEY, user_a INTEGER, user_b INTEGER);
    CREATE TABLE message(
        id INTEGER NOT NULL PRIMARY KEY, conversation_id INTEGER, sender_id INTEGER, content TEXT, timestamp DATETIME);
";

fn original(file: &Path) -> Connection {
    let db = Connection::open(file).expect("a database");
    db.execute_batch(SCHEMA).expect("made");
    for (id, name, hash) in [(3, "Anna", V2), (7, "ben", V1)] {
        let sql = "INSERT INTO user VALUES(?, ?, ?)";
        db.execute(sql, params![id, name, hash]).expect("inserted");
    }
    db.execute("INSERT INTO conversation VALUES(4, 7, 3)", [])
        .expect("inserted");
    for (id, sender, text, at) in [
        (10, 3, "hello", "2024-06-19 15:22:45.123456"),
        (11, 7, "hello yourself", "2024-06-19T15:22:46"),
        (12, 3, "and now?", "1718810600"),
    ] {
        message(&db, id, Some(4), sender, text, Some(at));
    }
    db
}

fn message(
    db: &Connection,
    id: i64,
    conversation: Option<i64>,
    sender: i64,
    text: &str,
    at: Option<&str>,
) {
    let sql = "INSERT INTO message VALUES(?, ?, ?, ?, ?)";
    db.execute(sql, params![id, conversation, sender, text, at])
        .expect("inserted");
}

fn log_in(server: &Server, name: &str) -> User {
    let body = json!({ "username": name, "password": PASSWORD });
    let answer = request(server.address, "POST", "/login", None, Some(&body));
    assert_eq!(answer.status, 200, "{name}: {}", answer.body);
    let answer = answer.json();
    User {
        id: answer["user"]["id"].as_u64().expect("an id"),
        token: answer["access_token"].as_str().expect("a token").to_owned(),
    }
}

fn texts(server: &Server, user: &User, conversation: u64) -> Vec<String> {
    let page = get(
        server.address,
        &format!("/messages/{conversation}?after=0&limit=100"),
        &user.token,
    );
    let page = page.as_array().expect("a page").iter();
    page.map(|message| message["content"].as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn people_log_in_with_their_old_passwords_and_find_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = folder.path().join("original.db");
    drop(original(&from));
    let before = std::fs::read(&from).expect("there");
    let target = sqlite(&folder.path().join("chat.db"));
    let from = from.display().to_string();
    let import = ["import-original", "--from", &from, "--to", &target];
    let (code, out, err) = refused(&import);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(
        out.starts_with("Imported 2 users, 1 conversations and 3 messages"),
        "{out}"
    );
    refuses(&import, "holds something already");
    assert_eq!(std::fs::read(&from).expect("there"), before);
    is_sound(&folder.path().join("chat.db"));

    let server = Server::on(folder.path(), &[]);
    let (anna, ben) = (log_in(&server, "anna"), log_in(&server, "Ben"));
    assert_eq!((anna.id, ben.id), (3, 7));
    let list = get(server.address, "/conversations/7", &ben.token);
    assert_eq!((&list[0]["id"], &list[0]["unread"]), (&json!(4), &json!(0)));
    let at = list[0]["last_message"]["timestamp"]
        .as_str()
        .expect("a time");
    assert!(at.starts_with("2024-06-19T15:23:20"), "{at}");
    for user in [&anna, &ben] {
        assert_eq!(
            texts(&server, user, 4),
            ["hello", "hello yourself", "and now?"]
        );
    }
    // Who comes next does not get an old id.
    let new = crate::client::register(server.address, "carla");
    assert_eq!(new.id, 8);
}

#[test]
fn what_is_odd_is_kept_or_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = folder.path().join("original.db");
    let db = original(&from);
    for (id, name) in [(8, Some("ANNA")), (9, None), (0, Some("zero"))] {
        let sql = "INSERT INTO user VALUES(?, ?, ?)";
        db.execute(sql, params![id, name, (id == 8).then_some(V2)])
            .expect("inserted");
    }
    db.execute_batch(
        "INSERT INTO conversation VALUES(5, 3, 7), (6, 8, 8), (7, 3, 99), (8, NULL, 3), (9, 8, 9);",
    )
    .expect("inserted");
    let long = "wörter ".repeat(3000);
    message(
        &db,
        20,
        Some(5),
        7,
        "between",
        Some("2024-06-19 15:22:45.500000"),
    );
    message(&db, 21, Some(6), 8, "to myself", None);
    message(
        &db,
        22,
        Some(7),
        99,
        "from nobody",
        Some("2024-06-20 00:00:00"),
    );
    message(&db, 23, Some(7), 3, &long, Some("2024-06-20 00:00:01"));
    message(&db, 24, Some(4), 3, " ", Some("2024-06-20 00:00:02"));
    message(&db, 25, Some(4), 8, "not mine", Some("2024-06-20 00:00:03"));
    message(&db, 26, Some(77), 3, "nowhere", Some("2024-06-20 00:00:04"));
    message(&db, 27, None, 3, "nowhere", Some("2024-06-20 00:00:05"));
    message(&db, 28, Some(4), 3, "nul\0nul", Some("soon"));
    drop(db);
    let target = sqlite(&folder.path().join("chat.db"));
    let from = from.display().to_string();
    let (code, out, err) = refused(&["import-original", "--from", &from, "--to", &target]);
    assert_eq!((code, err.as_str()), (Some(3), ""), "{out}");
    let mut lines = out.lines();
    let first = lines.next().expect("a line");
    assert!(
        first.starts_with("Imported 5 users, 4 conversations and 8 messages"),
        "{first}"
    );
    let told: Vec<_> = lines
        .map(|line| line.split_once(" (").expect("a count").1)
        .collect();
    let expected = [
        r#"2): 8 ("ANNA" is "ANNA-8" now), 9 ("" is "user9" now)"#,
        "1): 9",
        "1): 99",
        "1): 5 (into 4)",
        "1): 6",
        "2): 21, 28",
        "1): 23 (3 parts)",
        "1): 28",
        "1): 0",
        "1): 8",
        "2): 26, 27",
        "1): 25",
        "1): 24",
    ];
    assert_eq!(told, expected, "{out}");
    is_sound(&folder.path().join("chat.db"));

    let server = Server::on(folder.path(), &[]);
    let (anna, ben) = (log_in(&server, "Anna"), log_in(&server, "ben"));
    assert_eq!(
        texts(&server, &ben, 4),
        [
            "hello",
            "between",
            "hello yourself",
            "and now?",
            "nul\u{fffd}nul"
        ]
    );
    let whole = texts(&server, &anna, 7);
    assert_eq!(whole[0], "from nobody");
    assert_eq!(whole[1..].concat(), long);
    let other = log_in(&server, "anna-8");
    assert_eq!(other.id, 8);
    assert_eq!(texts(&server, &other, 6), ["to myself"]);
}

#[test]
fn what_is_no_original_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = sqlite(&folder.path().join("chat.db"));
    let file = folder.path().join("other.db");
    let from = file.display().to_string();
    let import = ["import-original", "--from", &from, "--to", &target];
    refuses(&import, "there is no such file");
    Connection::open(&file)
        .and_then(|db| db.execute_batch("CREATE TABLE user(id INTEGER)"))
        .expect("made");
    refuses(&import, "no database of the original app");
    assert!(!folder.path().join("chat.db").exists());
}
