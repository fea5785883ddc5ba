//! A small world with everybody in it, and what they may try there.

use std::collections::HashMap;
use std::sync::Arc;

use chat_core::{
    Actor, Authenticator, Change, Chat, ConversationId, Error, History, Identity, Limits, Reach,
    Role, Seq, Target, UserId, Write,
};
use chat_http::ServerLimits;
use serde_json::{Value, json};

use crate::client::{Host, Person, memory};

const NAMES: [&str; 9] = [
    "owner", "admin", "member", "former", "stranger", "blocked", "other", "second", "support",
];

/// Tokens are names.
struct Names(HashMap<&'static str, UserId>);

#[async_trait::async_trait]
impl Authenticator for Names {
    async fn authenticate(&self, token: &str) -> Result<Identity, Error> {
        let user = self
            .0
            .get(token)
            .ok_or_else(|| Error::forbidden("log in"))?;
        let mut identity = Identity::of(*user);
        if token == "support" {
            identity.reach = Reach::All;
        }
        Ok(identity)
    }
}

/// One conversation in a host of its own.
pub(super) struct World {
    pub(super) host: Host,
    pub(super) users: HashMap<&'static str, UserId>,
    pub(super) conversation: ConversationId,
    /// A message of each.
    messages: HashMap<&'static str, Seq>,
}

async fn commit(
    chat: &Chat,
    actor: Actor,
    target: Target,
    change: Change,
) -> (ConversationId, Seq) {
    let done = chat
        .commit(Write::new(actor, target, vec![change]))
        .await
        .unwrap();
    (
        done.conversation.unwrap_or(ConversationId::new(1).unwrap()),
        done.last(),
    )
}

fn said(text: &str) -> Change {
    Change::Post {
        content: text.into(),
        reply_to: None,
        mentions: Vec::new(),
    }
}

impl World {
    pub(super) async fn new(scene: &str, who: &str) -> Self {
        let mut limits = Limits::default();
        limits.message_rate = 0.0;
        let chat = memory(limits);
        let mut users = HashMap::new();
        for name in NAMES {
            users.insert(name, chat.enroll("test", name, name).await.unwrap());
        }
        let by = |name: &str| Actor::User(users[name]);
        let (target, there) = match (scene, who) {
            ("group", _) => {
                let members = ["admin", "member", "former", "blocked", "other", "second"];
                let role = |name| {
                    if ["admin", "second"].contains(&name) {
                        Role::Admin
                    } else {
                        Role::Member
                    }
                };
                let create = Change::Create {
                    title: None,
                    data: None,
                    managed: false,
                    history: History::All,
                    members: members.map(|name| (users[name], role(name))).to_vec(),
                };
                let (group, _) = commit(&chat, by("owner"), Target::Group, create).await;
                let all = ["owner", "admin", "member", "former", "blocked", "other"];
                (Target::Conversation(group), all.to_vec())
            }
            (_, "blocked") => {
                let pair = Target::Direct(users["owner"], users["blocked"]);
                (pair, vec!["owner", "blocked"])
            }
            // In a direct conversation, `party` is the member, `other` the other one.
            _ => (
                Target::Direct(users["member"], users["other"]),
                vec!["member", "other"],
            ),
        };
        let (mut messages, mut conversation) = (HashMap::new(), None);
        for name in there {
            let (place, seq) = commit(&chat, by(name), target.clone(), said("some words")).await;
            messages.insert(name, seq);
            conversation = Some(place);
        }
        let conversation = conversation.unwrap();
        if scene == "group" {
            let user = users["former"];
            commit(&chat, Actor::Host, target.clone(), Change::Remove { user }).await;
        }
        let (user, on) = (users["blocked"], true);
        let owner = Target::User(users["owner"]);
        commit(&chat, by("owner"), owner, Change::Block { user, on }).await;
        let names = Arc::new(Names(users.clone()));
        let host = Host::over(chat, |builder| builder.v1(names), ServerLimits::default()).await;
        Self {
            host,
            users,
            conversation,
            messages,
        }
    }

    pub(super) fn person(&self, who: &str) -> Option<Person> {
        let id = *self.users.get(who)?;
        let token = who.to_owned();
        Some(Person { id, token })
    }

    /// The frame of a row of a table, as `who` sends it.
    pub(super) fn frame(&self, row: &str, who: &str) -> (&'static str, Value) {
        let key = json!("01990000-0000-7000-8000-000000000001");
        let at = json!(self.conversation);
        let id = |name: &str| json!(self.users[name]);
        let author = if self.messages.contains_key(who) {
            who
        } else {
            "member"
        };
        let author = if self.messages.contains_key(author) {
            author
        } else {
            "owner"
        };
        let own = json!(self.messages[author]);
        let others = ["other", "owner", "member"]
            .into_iter()
            .filter(|name| *name != author);
        let foreign = others
            .filter_map(|name| self.messages.get(name))
            .next()
            .unwrap();
        let foreign = json!(foreign);
        let remove = |name: &str| {
            (
                "remove",
                json!({"key": key, "conversation": at, "user": id(name)}),
            )
        };
        let add = |role: &str| {
            (
                "add",
                json!({"key": key, "conversation": at, "users": [id("stranger")], "role": role}),
            )
        };
        let role = |role: &str| {
            (
                "set_role",
                json!({"key": key, "conversation": at, "user": id("other"), "role": role}),
            )
        };
        let of = |word: &'static str| (word, json!({"conversation": at}));
        let own_list = |word: &'static str, more: Value| {
            let mut body = json!({"key": key, "conversation": at});
            body.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            (word, body)
        };
        let message = |word: &'static str, message: &Value, more: Value| {
            let (word, mut body) = own_list(word, more);
            body["message"] = message.clone();
            (word, body)
        };
        match row {
            "conversation" => of("conversation"),
            "history" => of("history"),
            "members" => of("members"),
            "log" => ("log", json!({"log": {"conversation": at}, "after": 0})),
            "search" => ("search", json!({"text": "words", "conversation": at})),
            "read" => ("read", json!({"conversation": at, "seq": 1})),
            "delivered" => ("delivered", json!({"conversation": at, "seq": 1})),
            "signal" => ("signal", json!({"conversation": at, "kind": "typing"})),
            "post" => (
                "post",
                json!({"key": key, "to": {"conversation": at}, "text": "a"}),
            ),
            "post+reply" => (
                "post",
                json!({"key": key, "to": {"conversation": at}, "text": "a", "reply_to": foreign}),
            ),
            "react" => message("react", &foreign, json!({"emoji": "+1", "on": true})),
            "edit+own" => message("edit", &own, json!({"text": "b"})),
            "edit+other" => message("edit", &foreign, json!({"text": "b"})),
            "delete+own" => message("delete", &own, json!({})),
            "delete+other" => message("delete", &foreign, json!({})),
            "pin" => message("pin", &foreign, json!({"on": true})),
            "configure" => own_list("configure", json!({"title": "A title"})),
            "add" => add("member"),
            "add+admin" => add("admin"),
            "remove+member" => remove("other"),
            "remove+admin" => remove("second"),
            "remove+owner" => remove("owner"),
            "set_role" => role("admin"),
            "set_role+owner" => role("owner"),
            "leave" => own_list("leave", json!({})),
            "leave+successor" => own_list("leave", json!({"successor": id("other")})),
            "hide" => own_list("hide", json!({})),
            "mute" => own_list("mute", json!({"until": null})),
            "archive" => own_list("archive", json!({"on": true})),
            "inbox" => ("inbox", json!({})),
            "heads" => ("heads", json!({})),
            "users" => ("users", json!({"name": "own"})),
            "user+self" => (
                "user",
                json!({"user": self.users.get(who).map_or(json!(1), |id| json!(id))}),
            ),
            "user+owner" => ("user", json!({"user": id("owner")})),
            "user+nobody" => ("user", json!({"user": 999})),
            "presence+owner" => ("presence", json!({"users": [id("owner")]})),
            "search+all" => ("search", json!({"text": "words"})),
            "log+own" => (
                "log",
                json!({"log": {"user": self.users.get(who).map_or(json!(1), |id| json!(id))}, "after": 0}),
            ),
            "log+owner's" => ("log", json!({"log": {"user": id("owner")}, "after": 0})),
            "create" => (
                "create",
                json!({"key": key, "members": [{"user": id("other")}]}),
            ),
            "create+owner" => (
                "create",
                json!({"key": key, "members": [{"user": id("owner")}]}),
            ),
            "post+to-owner" => (
                "post",
                json!({"key": key, "to": {"user": id("owner")}, "text": "a"}),
            ),
            "post+to-nobody" => (
                "post",
                json!({"key": key, "to": {"user": 999}, "text": "a"}),
            ),
            "block" => (
                "block",
                json!({"key": key, "user": id("admin"), "on": true}),
            ),
            "profile" => ("profile", json!({"key": key, "data": 1})),
            other => panic!("no such row: {other}"),
        }
    }

    /// The same as the host itself does it.
    pub(super) fn change(&self, row: &str) -> Change {
        let (message, user) = (self.messages["other"], self.users["other"]);
        let stranger = self.users["stranger"];
        let mut post = said("a");
        if let (Change::Post { reply_to, .. }, "post+reply") = (&mut post, row) {
            *reply_to = Some(message);
        }
        match row {
            "post" | "post+reply" => post,
            "delete+other" => Change::Delete { message },
            "pin" => Change::Pin { message, on: true },
            "configure" => Change::Configure {
                title: Some("A title".to_owned()),
                data: None,
                history: None,
            },
            "add" => Change::Add {
                user: stranger,
                role: Role::Member,
            },
            "add+admin" => Change::Add {
                user: stranger,
                role: Role::Admin,
            },
            "remove+member" => Change::Remove { user },
            "remove+admin" => Change::Remove {
                user: self.users["second"],
            },
            "remove+owner" => Change::Remove {
                user: self.users["owner"],
            },
            "set_role" => Change::SetRole {
                user,
                role: Role::Admin,
            },
            "set_role+owner" => Change::SetRole {
                user,
                role: Role::Owner,
            },
            other => panic!("not for the host: {other}"),
        }
    }
}
