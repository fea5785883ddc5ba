//! Everything a client offers, with a server that behaves.

use chat_client::protocol::{
    Add, Create, Edit, GetHistory, GetMembers, Inbox, NewMember, React, Request, To, What, WriteKey,
};
use chat_client::{Client, Error, History, Incoming, LogId, Options, Role};
use futures_util::{StreamExt, TryStreamExt};

use super::host::{Host, Place, Told, next, options, secret, soon, stopped};

#[tokio::test]
async fn two_clients_talk() {
    let host = Host::start(&Place::memory(), &secret());
    let (ada, bob) = (host.account("ada").await, host.account("bob").await);
    let (a, mut a_events) = Client::connect(options(host.url(), "ada")).await.unwrap();
    let (b, mut b_events) = Client::connect(options(host.url(), "bob")).await.unwrap();
    assert_eq!((a.user(), b.user()), (ada, bob));
    assert_eq!(a.find("bo").await.unwrap()[0].id, bob);

    let sent = soon(a.post(To::User(bob), "hello")).await.unwrap();
    let conversation = sent.conversation.unwrap();
    let log = LogId::Conversation(conversation);
    let mut told = Told::default();
    told.until(&mut b_events, log, sent.seq).await;
    assert_eq!(told.texts(log), ["hello"]);
    // One's own log comes first: it says that there is a new conversation.
    let first = &told.logs[&LogId::User(bob)][0];
    assert!(matches!(&first.what, What::Added(added) if added.conversation == conversation));

    let edit = Edit {
        key: WriteKey::generate(),
        conversation,
        message: sent.seq,
        revision: Some(0),
        text: "hello!".to_owned(),
        data: None,
    };
    let edited = soon(a.write(Request::Edit(edit.clone()))).await.unwrap();
    let again = soon(a.write(Request::Edit(edit))).await.unwrap();
    assert!(again.replayed && again.seq == edited.seq);
    let react = React {
        key: WriteKey::generate(),
        conversation,
        message: sent.seq,
        emoji: "👍".to_owned(),
        on: true,
    };
    soon(b.write(Request::React(react))).await.unwrap();
    let history = GetHistory {
        conversation,
        before: None,
        after: None,
        limit: None,
    };
    let messages = a.history(history).await.unwrap().messages;
    assert_eq!(messages[0].text.as_deref(), Some("hello!"));
    assert_eq!(messages[0].reactions[0].count, 1);

    let refused = soon(b.write(Request::Edit(Edit {
        key: WriteKey::generate(),
        conversation,
        message: sent.seq,
        revision: None,
        text: "not mine".to_owned(),
        data: None,
    })))
    .await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");

    a.close();
    assert_eq!(next(&mut a_events, stopped).await, Error::Closed);
    assert_eq!(a_events.next().await, None);
    assert_eq!(
        soon(a.post(To::User(bob), "late")).await,
        Err(Error::Closed)
    );
}

#[tokio::test]
async fn pages_are_streams() {
    let host = Host::start(&Place::memory(), &secret());
    let (_, bob) = (host.account("ada").await, host.account("bob").await);
    let (a, _events) = Client::connect(options(host.url(), "ada")).await.unwrap();
    let create = |number: u32| Create {
        key: WriteKey::generate(),
        title: Some(format!("group {number}")),
        data: None,
        history: History::default(),
        members: vec![NewMember {
            user: bob,
            role: Role::Member,
        }],
    };
    let mut groups = Vec::new();
    for number in 0..120 {
        let made = soon(a.write(Request::Create(create(number))))
            .await
            .unwrap();
        groups.push(made.conversation.unwrap());
    }
    let all: Vec<_> = a.conversations().try_collect().await.unwrap();
    assert_eq!(all.len(), 120);
    assert!(a.inbox(Inbox::default()).await.unwrap().next.is_some());
    let to = To::Conversation(groups[3]);
    // Without waiting: in this order all the same.
    let sent: Vec<_> = (0..120)
        .map(|n| a.post(to.clone(), n.to_string()))
        .collect();
    for sent in sent {
        soon(sent).await.unwrap();
    }
    let texts: Vec<String> = a
        .messages(groups[3])
        .map_ok(|message| message.text.unwrap_or_default())
        .try_collect()
        .await
        .unwrap();
    let expected: Vec<String> = (0..120).rev().map(|n: u32| n.to_string()).collect();
    assert_eq!(texts, expected);
    let cyd = host.account("cyd").await;
    let add = Add {
        key: WriteKey::generate(),
        conversation: groups[3],
        users: vec![cyd],
        role: Role::Member,
    };
    soon(a.write(Request::Add(add))).await.unwrap();
    let (after, limit) = (None, None);
    let ask = GetMembers {
        conversation: groups[3],
        after,
        limit,
    };
    assert_eq!(a.members(ask).await.unwrap().members.len(), 3);
    assert_eq!(
        a.conversation(groups[3])
            .await
            .unwrap()
            .conversation
            .members,
        3
    );
    assert_eq!(a.profile(bob).await.unwrap().name, "bob");
}

#[tokio::test]
async fn a_login_that_is_refused_is_told() {
    let host = Host::start(&Place::memory(), &secret());
    host.account("ada").await;
    let wrong = Options::new(host.url()).password("ada", "wrong");
    let refused = Client::connect(wrong).await.err();
    assert!(matches!(refused, Some(Error::Login(_))), "{refused:?}");
    let forged = Options::new(host.url()).token("forged");
    let refused = soon(Client::connect(forged)).await.err();
    assert!(refused.is_some());
    let url = host.url();
    let taken = chat_client::register(&url, "ada", "another password").await;
    assert!(matches!(taken, Err(Error::Login(_))), "{taken:?}");
    host.kill();
    let gone = Client::connect(options(url, "ada")).await.err();
    assert!(matches!(gone, Some(Error::Unreachable(_))), "{gone:?}");
}

#[tokio::test]
async fn what_is_not_stored_travels_too() {
    let host = Host::start(&Place::memory(), &secret());
    let (_, bob) = (host.account("ada").await, host.account("bob").await);
    let (a, mut a_events) = Client::connect(options(host.url(), "ada")).await.unwrap();
    let (b, mut b_events) = Client::connect(options(host.url(), "bob")).await.unwrap();
    let sent = soon(a.post(To::User(bob), "hello")).await.unwrap();
    let conversation = sent.conversation.unwrap();
    assert_eq!(b.conversation(conversation).await.unwrap().me.unread, 1);
    b.read(conversation, sent.seq);
    // One's other devices are told by one's own log.
    next(&mut b_events, |incoming| match incoming {
        Incoming::Event(event) => match event.what {
            What::Read(read) => (read.up_to == sent.seq).then_some(()),
            _ => None,
        },
        _ => None,
    })
    .await;
    assert_eq!(b.conversation(conversation).await.unwrap().me.unread, 0);

    // Typing is told while both are there, so it is repeated until it arrives.
    let typing = async {
        loop {
            b.signal(conversation, "typing", None);
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
    };
    let told = next(&mut a_events, |incoming| match incoming {
        Incoming::Signal(signal) => Some((signal.user, signal.kind)),
        _ => None,
    });
    let told = tokio::select! {
        () = typing => unreachable!(),
        told = told => told,
    };
    assert_eq!(told, (bob, "typing".to_owned()));
    soon(a.watch(vec![bob])).await.unwrap();
    let here = next(&mut a_events, |incoming| match incoming {
        Incoming::Presence(presence) => Some((presence.user, presence.online)),
        _ => None,
    });
    assert_eq!(here.await, (bob, true));
}
