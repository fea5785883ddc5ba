//! Every kind of row.

use std::collections::BTreeMap;

use chat_core::rules::{Counter, Done, EventRow, Row, RowCache, RowKey};
use chat_core::{
    Actor, Content, Conversation, ConversationId, ConversationKind, Data, EventKind, Head, History,
    Key, LogId, Login, LoginId, MAX_ID, Member, Message, Ranges, Reaction, Role, Timestamp, User,
    UserId,
};

use crate::{SqliteStore, rows};

fn member(conversation: ConversationId, user: UserId, role: Option<Role>) -> Member {
    let mut ranges = Ranges::from_seq(3);
    ranges.close(9);
    Member {
        conversation,
        user,
        role,
        ranges,
        read: 1,
        read_ordinal: 2,
        delivered: 3,
        hidden: 4,
        muted_until: role.map(|_| Timestamp::from_millis(-5)),
        archived: role.is_none(),
        mentions: if role.is_some() {
            vec![2, MAX_ID]
        } else {
            Vec::new()
        },
    }
}

/// A row of every kind, and of those with variants one of each.
fn rows_of_every_kind() -> BTreeMap<RowKey, Row> {
    let user = |id| UserId::new(id).unwrap();
    let (a, b, c) = (user(1), user(2), user(MAX_ID));
    let conversation = ConversationId::new(MAX_ID).unwrap();
    let login = LoginId::new(7).unwrap();
    let at = Timestamp::from_millis(1_700_000_000_123);
    let log = LogId::Conversation(conversation);
    let data = || Some(Data::from_json(r#"{"a": [1e3, "é\u0000"]}"#).unwrap());
    let odd = "o'dd \0 ünicode 👋".to_owned();
    let event = |seq, actor, kind, message: Option<Message>| {
        let row = EventRow {
            at,
            actor,
            kind,
            ordinal: message.as_ref().map_or(8, |message| message.ordinal),
            message,
        };
        (RowKey::Event(log, seq), Row::Event(row))
    };
    let full = Message {
        conversation,
        seq: 2,
        ordinal: 1,
        sender: Actor::User(a),
        at,
        content: Some(Content {
            text: odd.clone(),
            data: data(),
        }),
        revision: 3,
        edited_at: Some(at.plus_millis(9)),
        reply_to: Some(1),
        mentions: vec![b, c],
        changed: 9,
        reactions: vec![Reaction {
            emoji: "👍".to_owned(),
            count: 2,
        }],
    };
    let erased = Message {
        seq: 3,
        ordinal: MAX_ID,
        sender: Actor::Host,
        content: None,
        revision: 0,
        edited_at: None,
        reply_to: None,
        mentions: Vec::new(),
        changed: 0,
        reactions: Vec::new(),
        ..full.clone()
    };
    let created = EventKind::Created {
        kind: ConversationKind::Direct(a, b),
        members: vec![(a, Role::Owner)],
    };
    let done = Done {
        digest: [0xfe; 16],
        at,
        conversation: Some(conversation),
        user: None,
        login: None,
        first: 4,
        count: u32::MAX,
    };
    let other = Done {
        conversation: None,
        user: Some(c),
        login: Some(login),
        ..done.clone()
    };
    let head = Head {
        seq: 5,
        floor: 1,
        ordinal: 3,
        message: 4,
        at,
    };
    BTreeMap::from([
        (
            RowKey::User(a),
            Row::User(User {
                id: a,
                provider: "local".to_owned(),
                subject: odd.clone(),
                name: String::new(),
                data: data(),
                disabled: true,
                logins_from: 3,
            }),
        ),
        (
            RowKey::Subject("p".to_owned(), odd.clone()),
            Row::Subject(c),
        ),
        (
            RowKey::Subject(odd.clone(), "p".to_owned()),
            Row::Subject(a),
        ),
        (RowKey::Suffix(odd.clone(), a), Row::Suffix(())),
        (RowKey::Credential(a), Row::Credential(odd.clone())),
        (
            RowKey::Login(login),
            Row::Login(Login {
                id: login,
                user: a,
                at,
                expires: at,
                revoked: false,
            }),
        ),
        (RowKey::Block(a, c), Row::Block(())),
        (
            RowKey::Conversation(conversation),
            Row::Conversation(Conversation {
                id: conversation,
                kind: ConversationKind::Group,
                key: Some(odd.clone()),
                title: None,
                data: data(),
                managed: true,
                history: History::Joined,
                members: 2,
                owner: Some(b),
                pins: vec![2],
            }),
        ),
        (RowKey::Direct(a, b), Row::Direct(conversation)),
        (RowKey::Named(odd.clone()), Row::Named(conversation)),
        (
            RowKey::Member(conversation, a),
            Row::Member(member(conversation, a, Some(Role::Owner))),
        ),
        (
            RowKey::Member(conversation, b),
            Row::Member(member(conversation, b, None)),
        ),
        (
            RowKey::Member(conversation, c),
            Row::Member(member(conversation, c, Some(Role::Member))),
        ),
        (RowKey::Head(log), Row::Head(head)),
        // Another log than the conversation of the same number.
        (RowKey::Head(c.into()), Row::Head(Head::default())),
        event(1, Actor::Host, created, None),
        event(2, Actor::User(a), EventKind::Posted, Some(full)),
        event(3, Actor::Host, EventKind::Posted, Some(erased)),
        event(4, Actor::User(c), EventKind::Left { user: c }, None),
        (
            RowKey::Reactions(conversation, 2, a),
            Row::Reactions(vec![odd, String::new()]),
        ),
        (
            RowKey::Done(Key::new([0; 16]), Actor::Host),
            Row::Done(done),
        ),
        (
            RowKey::Done(Key::new([0; 16]), Actor::User(c)),
            Row::Done(other),
        ),
        (RowKey::Counter(Counter::User), Row::Counter(1)),
        (RowKey::Counter(Counter::Conversation), Row::Counter(2)),
        (RowKey::Counter(Counter::Login), Row::Counter(MAX_ID)),
        (RowKey::Secret(), Row::Secret([9; 32])),
    ])
}

#[tokio::test]
async fn every_kind_of_row_comes_back_as_it_was_put() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("chat.db")).unwrap();
    let rows = rows_of_every_kind();
    let writer = store.writer.lock().await;
    let (db, _) = writer.held.as_ref().unwrap();
    let found = || {
        let mut found = BTreeMap::new();
        rows::get_all(
            db,
            &mut RowCache::default(),
            rows.keys().cloned(),
            |key, row| {
                found.extend(row.map(|row| (key, row)));
            },
        )
        .unwrap();
        found
    };
    // Made, then changed from what stands before them in their table, then taken away.
    let put: BTreeMap<_, _> = rows
        .iter()
        .map(|(key, row)| (key, Some(row.clone())))
        .collect();
    rows::apply(db, put.iter().map(|(key, row)| (*key, row.as_ref(), false))).unwrap();
    assert_eq!(found(), rows);
    rows::apply(
        db,
        put.iter()
            .rev()
            .map(|(key, row)| (*key, row.as_ref(), false)),
    )
    .unwrap();
    assert_eq!(found(), rows);
    rows::apply(db, put.keys().map(|key| (*key, None, false))).unwrap();
    assert_eq!(found(), BTreeMap::new());
}
