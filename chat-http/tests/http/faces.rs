//! One question, asked on either face: as a plain request and as a frame.

use serde_json::{Value, json};

use super::client::{Host, Person, Request, Socket};

/// How the operations are asked for, as the server describes it.
pub(crate) struct Api(Value);

impl Api {
    pub(crate) async fn of(host: &Host) -> Self {
        Self(host.call("GET", "/openapi.json").send().await.json())
    }

    /// Method, path and description of each operation.
    pub(crate) fn all(&self) -> Vec<(&str, &str, &Value)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        let all = paths.flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, about)| (method.as_str(), path.as_str(), about))
        });
        all.filter(|(.., about)| about["tags"] == json!(["operations"]))
            .collect()
    }

    /// The plain request for what a frame with this body asks for.
    pub(crate) fn request<'h>(&self, host: &'h Host, word: &str, body: &Value) -> Request<'h> {
        let all = self.all();
        let (method, path, about) = all
            .into_iter()
            .find(|(.., about)| about["operationId"] == word)
            .unwrap_or_else(|| panic!("no route for {word}"));
        let mut fields = body.as_object().unwrap().clone();
        if let Some(log) = fields.remove("log") {
            let (kind, id) = log.as_object().unwrap().iter().next().unwrap();
            fields.extend([
                ("kind".to_owned(), json!(kind)),
                ("id".to_owned(), id.clone()),
            ]);
        }
        let text = |value: Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let (mut path, mut query) = (path.to_owned(), String::new());
        for parameter in about["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            if parameter["in"] == "path" {
                let value = text(fields.remove(name).unwrap());
                path = path.replace(&format!("{{{name}}}"), &value);
            } else if let Some(value) = fields.remove(name) {
                query += &format!("&{name}={}", text(value).replace(' ', "+"));
            }
        }
        // Whatever is not described goes where all the rest goes.
        let method = method.to_uppercase();
        let takes_body = about["requestBody"].is_object();
        if !takes_body {
            for (name, value) in std::mem::take(&mut fields) {
                query += &format!("&{name}={}", text(value));
            }
        }
        if !query.is_empty() {
            path += &format!("?{}", &query[1..]);
        }
        let request = host.call(&method, &path);
        if takes_body {
            request.json(&Value::Object(fields))
        } else {
            request
        }
    }
}

/// A socket of the native protocol, past its `hello`.
pub(crate) async fn open(host: &Host, person: &Person) -> Socket {
    let offer = format!("chat.v1, bearer.{}", person.token);
    let headers = [("sec-websocket-protocol", offer)];
    let mut socket = host.socket("/ws", &headers).await;
    assert_eq!(socket.json().await["type"], "hello");
    socket
}

/// What answers a frame; what has no answer when all is well is answered by a `pong`.
pub(crate) async fn framed(socket: &mut Socket, word: &str, body: &Value) -> Value {
    let silent = ["read", "delivered", "signal"].contains(&word);
    let frame = json!({"type": word, "ref": "r", "body": body});
    socket.send(frame).await;
    if silent {
        socket.send(json!({"type": "ping", "ref": "p"})).await;
    }
    let mut answer = None;
    loop {
        let frame = socket.json().await;
        let is_pong = frame["ref"] == "p";
        if is_pong || frame["ref"] == "r" {
            let answer = answer.get_or_insert(frame);
            if is_pong || !silent {
                return std::mem::take(answer);
            }
        }
    }
}
