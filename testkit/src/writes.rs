//! Writes of tests, and what came of them.
//!
//! What goes wrong ends the test, with a panic.
#![expect(clippy::unwrap_used, clippy::panic, reason = "parts of tests")]

use std::collections::HashMap;

use chat_core::rules::{Row, RowKey};
use chat_core::{
    Actor, Change, Committed, ConversationId, Error, ErrorKind, EventKind, History, Key, Prepared,
    Role, Seq, Store, Target, UserId, Viewer, Write,
};

/// A write as it is submitted; a clone of it is the retry.
pub fn prepared(actor: Actor, target: Target, change: Change) -> Prepared {
    Prepared {
        write: Write::new(actor, target, vec![change]),
        digest: [7; 16],
    }
}

/// A message under a key of its own.
pub fn post(user: UserId, conversation: ConversationId, text: &str) -> Prepared {
    let target = Target::Conversation(conversation);
    prepared(Actor::User(user), target, Change::post(text))
}

/// A message under a given key.
pub fn post_as(user: UserId, conversation: ConversationId, text: &str, key: Key) -> Prepared {
    let mut post = post(user, conversation, text);
    post.write.key = Some(key);
    post
}

/// Commits one write.
pub async fn commit(store: &impl Store, write: Prepared) -> Result<Committed, Error> {
    let mut results = store.commit(vec![write]).await;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

/// How something failed; `None` when it did not.
pub fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// Makes a user.
pub async fn register(store: &impl Store, subject: &str) -> UserId {
    let target = Target::Subject {
        provider: "test".to_owned(),
        subject: subject.to_owned(),
    };
    let name = subject.to_owned();
    let register = prepared(Actor::Host, target, Change::Register { name });
    commit(store, register).await.unwrap().user.unwrap()
}

/// A group of the first user with the others in it.
pub async fn group(store: &impl Store, users: &[UserId]) -> ConversationId {
    let (owner, others) = users.split_first().unwrap();
    let create = Change::Create {
        title: None,
        data: None,
        managed: false,
        history: History::All,
        members: others.iter().map(|user| (*user, Role::Member)).collect(),
    };
    let create = prepared(Actor::User(*owner), Target::Group, create);
    let committed = commit(store, create).await.unwrap();
    committed.conversation.unwrap()
}

/// The texts of a conversation's messages by their seq, after its whole log was found to be gapless.
pub async fn messages(store: &impl Store, conversation: ConversationId) -> HashMap<Seq, String> {
    let mut texts = HashMap::new();
    let mut last = 0;
    loop {
        let page = store.log(Viewer::All, conversation.into(), last, 100);
        let page = page.await.unwrap();
        assert_eq!(page.resync, None);
        assert!(
            last == page.head || !page.entries.is_empty(),
            "an empty page"
        );
        for (seq, event) in page.entries {
            assert_eq!(seq, last + 1, "a hole in {conversation}");
            last = seq;
            let event = event.unwrap();
            assert_eq!(event.seq, seq);
            if event.kind == EventKind::Posted {
                let message = event.message.unwrap();
                assert_eq!(message.seq, seq);
                texts.insert(seq, message.content.unwrap().text);
            }
        }
        if last == page.head {
            return texts;
        }
    }
}

/// The store's secret.
pub async fn secret(store: &impl Store) -> [u8; 32] {
    match store.rows(vec![RowKey::Secret()]).await.unwrap().pop() {
        Some(Some(Row::Secret(secret))) => secret,
        other => panic!("no secret but {other:?}"),
    }
}
