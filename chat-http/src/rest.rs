//! The operations of the native protocol as plain requests, for who has no socket: a table, and how a request is read by it.
//! What they do, and what is wrong with them, [`chat_core::protocol`] says: the same as on a socket.

use std::borrow::Cow;
use std::fmt::Write as _;

use chat_core::protocol::{Request, execute};
use http::{Method, Response, StatusCode};
use serde_json::value::RawValue;

use crate::body::Body;
use crate::problem::Problem;
use crate::query::{Query, integer};
use crate::service::{Call, json};

/// Method, path, and the `type` of the frame that asks for the same on a socket. What stands in braces is a field of its body,
/// but for the log, which is named in two parts.
pub(crate) const TABLE: &[(Method, &str, &str)] = &[
    (Method::GET, "/v1/conversations", "inbox"),
    (Method::POST, "/v1/conversations", "create"),
    (Method::GET, CONVERSATION, "conversation"),
    (Method::PATCH, CONVERSATION, "configure"),
    (
        Method::GET,
        "/v1/conversations/{conversation}/messages",
        "history",
    ),
    (Method::POST, "/v1/messages", "post"),
    (Method::PUT, MESSAGE, "edit"),
    (Method::DELETE, MESSAGE, "delete"),
    (
        Method::PUT,
        "/v1/conversations/{conversation}/messages/{message}/reaction",
        "react",
    ),
    (
        Method::PUT,
        "/v1/conversations/{conversation}/messages/{message}/pin",
        "pin",
    ),
    (
        Method::GET,
        "/v1/conversations/{conversation}/members",
        "members",
    ),
    (
        Method::POST,
        "/v1/conversations/{conversation}/members",
        "add",
    ),
    (
        Method::DELETE,
        "/v1/conversations/{conversation}/members/{user}",
        "remove",
    ),
    (
        Method::PUT,
        "/v1/conversations/{conversation}/members/{user}/role",
        "set_role",
    ),
    (
        Method::POST,
        "/v1/conversations/{conversation}/leave",
        "leave",
    ),
    (
        Method::POST,
        "/v1/conversations/{conversation}/hide",
        "hide",
    ),
    (Method::PUT, "/v1/conversations/{conversation}/mute", "mute"),
    (
        Method::PUT,
        "/v1/conversations/{conversation}/archive",
        "archive",
    ),
    (Method::PUT, "/v1/conversations/{conversation}/read", "read"),
    (
        Method::PUT,
        "/v1/conversations/{conversation}/delivered",
        "delivered",
    ),
    (Method::GET, "/v1/heads", "heads"),
    (Method::GET, "/v1/logs/{kind}/{id}", "log"),
    (Method::GET, "/v1/search", "search"),
    (Method::GET, "/v1/users", "users"),
    (Method::GET, "/v1/users/{user}", "user"),
    (Method::PUT, "/v1/users/{user}/block", "block"),
    (Method::PATCH, "/v1/profile", "profile"),
];

const CONVERSATION: &str = "/v1/conversations/{conversation}";
const MESSAGE: &str = "/v1/conversations/{conversation}/messages/{message}";

/// Fields that are texts even when they look like numbers.
const TEXTS: [&str; 3] = ["key", "name", "text"];

/// Whether the fields that are not in the path stand in a JSON body; in the query, else: not everything between a client and
/// a server lets a body pass with these.
pub(crate) fn takes_json(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::DELETE)
}

/// Does what a frame with this `type` does, and answers with the body of its reply.
pub(crate) async fn answer(
    call: &Call<'_>,
    word: &str,
    query: &Query,
) -> Result<Response<Body>, Problem> {
    let identity = call.identity().await?;
    let request = Request::read(word, &frame_body(call, query)?)?;
    let reply = execute(&call.inner.chat, &identity, request).await?;
    Ok(json(StatusCode::OK, &reply))
}

/// The body of the frame that asks for the same: what stands in path and query, put in front of what stands in the body. So a
/// field that stands in two places is told to stand there twice, and opaque JSON stays as it came.
fn frame_body(call: &Call<'_>, query: &Query) -> Result<String, Problem> {
    let mut fields = String::new();
    match (call.params.get("kind"), call.params.get("id")) {
        (Some(kind), Some(id)) => {
            let mut log = String::new();
            field(&mut log, kind, id);
            let _ = write!(fields, "\"log\":{{{log}}}");
        }
        _ => {
            for (name, value) in call.params.iter() {
                field(&mut fields, name, value);
            }
        }
    }
    if !takes_json(&call.parts.method) {
        for (name, value) in query.pairs() {
            field(&mut fields, name, value);
        }
        return Ok(format!("{{{fields}}}"));
    }
    if let Some((name, _)) = query.pairs().next() {
        let name = name.chars().take(64).collect::<String>();
        let detail = format!("`{name}` stands in the query; this takes its fields in the body");
        return Err(Problem::field(name, detail));
    }
    let body: &RawValue = call.parsed()?;
    // An object: it begins with a brace.
    let rest = body.get().get(1..).unwrap_or_default().trim_start();
    let comma = if fields.is_empty() || rest.starts_with('}') {
        ""
    } else {
        ","
    };
    Ok(format!("{{{fields}{comma}{rest}"))
}

/// Adds a field that was written as plain text: a number where it looks like one and may be one.
fn field(fields: &mut String, name: &str, value: &str) {
    if !fields.is_empty() {
        fields.push(',');
    }
    let number = integer(value).filter(|_| !TEXTS.contains(&name));
    let value: Cow<'_, str> = match number {
        Some(_) => value.into(),
        None => quoted(value).into(),
    };
    let _ = write!(fields, "{}:{value}", quoted(name));
}

fn quoted(text: &str) -> String {
    // A string always serializes.
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What needs a socket: it is about the socket itself, or is not stored.
    const SOCKET: [&str; 5] = ["ping", "presence", "renew", "resume", "signal"];

    #[test]
    fn every_request_has_one_route_unless_it_needs_a_socket() {
        let mut routed: Vec<&str> = TABLE.iter().map(|(.., word)| *word).collect();
        routed.extend(SOCKET);
        routed.sort_unstable();
        let mut all = Request::TYPES.to_vec();
        all.sort_unstable();
        assert_eq!(routed, all);
        for (method, path, _) in TABLE {
            let same = |row: &&(Method, &str, &str)| row.0 == *method && row.1 == *path;
            assert_eq!(TABLE.iter().filter(same).count(), 1, "{method} {path}");
        }
    }

    #[test]
    fn texts_stay_texts_and_numbers_become_numbers() {
        let mut fields = String::new();
        for (name, value) in [
            ("limit", "20"),
            ("text", "20"),
            ("after", "1795365600123.6"),
            ("seq", "007"),
            ("a\"b", "c\"d"),
        ] {
            field(&mut fields, name, value);
        }
        let expected =
            r#""limit":20,"text":"20","after":"1795365600123.6","seq":"007","a\"b":"c\"d""#;
        assert_eq!(fields, expected);
    }
}
