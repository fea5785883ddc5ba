//! Two servers over one PostgreSQL and no bus between them: what is done at one is right at the other, soon, by the sweep
//! alone. How soon is tested on a clock that stands still, in `chat_core::conformance`; here everything is waited for.

use std::collections::BTreeMap;

use chat_client::protocol::{
    Add, Code, Configure, Delete, Edit, Pin, React, Remove, Request, To, What, WriteKey, Written,
};
use chat_client::{Client, ConversationId, Error, LogId, Role, Seq, UserId};
use chat_testkit::Postgres;
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;

use crate::crowd::{Reader, connect, group, join, load, messages, posts, soon};
use crate::support::Server;

/// Messages of each in full swing.
const MANY: usize = 60;

/// Two servers, and what they stand on.
struct Pair {
    urls: [String; 2],
    _servers: [Server; 2],
    _postgres: Postgres,
    _folder: tempfile::TempDir,
}

impl Pair {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let secret = folder.path().join("secret");
        let secret = secret.to_str().expect("UTF-8");
        let postgres = Postgres::start().expect("PostgreSQL");
        let store = postgres.database().expect("a database");
        let start = || {
            let options = ["--store", &store, "--secret-file", secret];
            Server::start(&[&options[..], &["--no-rate-limits"]].concat())
        };
        let servers = [start(), start()];
        Self {
            urls: servers.each_ref().map(|s| format!("http://{}", s.address)),
            _servers: servers,
            _postgres: postgres,
            _folder: folder,
        }
    }
}

/// Somebody with a device at each server.
struct Person {
    clients: [Client; 2],
    readers: [Reader; 2],
}

impl Person {
    async fn join(pair: &Pair, name: &str) -> Self {
        let (here, told) = join(&pair.urls[0], name).await;
        let (there, told_there) = connect(&pair.urls[1], name).await;
        Self {
            clients: [here, there],
            readers: [Reader::of(told), Reader::of(told_there)],
        }
    }

    fn id(&self) -> UserId {
        self.clients[0].user()
    }

    /// Waits until both devices have an entry of a log.
    async fn until_seq(&self, log: impl Into<LogId>, seq: Seq) {
        let log = log.into();
        for reader in &self.readers {
            reader.until_seq(log, seq).await;
        }
    }

    async fn write(&self, at: usize, request: Request) -> Written {
        let written = soon("a write", self.clients[at].write(request)).await;
        written.expect("stored")
    }

    async fn post(&self, at: usize, to: ConversationId, text: &str) -> Seq {
        let sent = self.clients[at].post(To::Conversation(to), text);
        soon("a message", sent).await.expect("stored").seq
    }

    /// What both devices made of what they were told equals what is loaded afresh at either server.
    async fn is_right(&self, to: ConversationId) {
        let stored = load(&self.clients[1], to, 0).await;
        let head = stored.last().expect("not empty").seq;
        self.until_seq(to, head).await;
        for (client, reader) in self.clients.iter().zip(&self.readers) {
            let loaded: Vec<_> = client.messages(to).try_collect().await.expect("pages");
            let loaded: BTreeMap<Seq, _> = loaded.into_iter().map(|m| (m.id, m)).collect();
            let told = reader.told(to);
            assert_eq!(messages(&told), loaded);
            let seqs: Vec<Seq> = told.iter().map(|event| event.seq).collect();
            assert_eq!(seqs, (told[0].seq..=head).collect::<Vec<_>>());
        }
    }
}

fn key() -> WriteKey {
    WriteKey::generate()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_over_one_database_agree_without_a_bus() {
    let pair = tokio::task::block_in_place(Pair::start);
    let ada = Person::join(&pair, "ada").await;
    let bob = Person::join(&pair, "bob").await;
    let eve = Person::join(&pair, "eve").await;
    let dan = Person::join(&pair, "dan").await;
    let conversation = group(&ada.clients[0], &[bob.id(), eve.id()]).await;
    for person in [&ada, &bob, &eve] {
        person.until_seq(conversation, 1).await;
    }

    // Both servers in full swing at once.
    let swing = |person: &Person, at: usize| {
        let client = person.clients[at].clone();
        let sent =
            (0..MANY).map(move |n| client.post(To::Conversation(conversation), n.to_string()));
        try_join_all(sent.collect::<Vec<_>>())
    };
    let (adas, bobs) = tokio::join!(swing(&ada, 0), swing(&bob, 1));
    for (person, written) in [(&ada, adas), (&bob, bobs)] {
        let stored = posts(&load(&eve.clients[0], conversation, 0).await);
        let own = stored.iter().filter(|(by, ..)| *by == person.id());
        let own: Vec<_> = own.map(|(_, text, seq)| (text.clone(), *seq)).collect();
        let written = written.expect("stored").into_iter().map(|w| w.seq);
        let sent: Vec<_> = (0..MANY).map(|n| n.to_string()).zip(written).collect();
        assert_eq!(own, sent);
    }

    // Every kind of change at one, told at both.
    let message = ada.post(0, conversation, "a mistake").await;
    let edit = Edit {
        key: key(),
        conversation,
        message,
        revision: Some(0),
        text: "mended".to_owned(),
        data: None,
    };
    ada.write(1, Request::Edit(edit)).await;
    let react = |emoji: &str, on| {
        let emoji = emoji.to_owned();
        Request::React(React {
            key: key(),
            conversation,
            message,
            emoji,
            on,
        })
    };
    for (person, at, on) in [(&bob, 0, true), (&eve, 1, true), (&bob, 1, false)] {
        person.write(at, react("+", on)).await;
    }
    let erased = bob.post(1, conversation, "too much").await;
    let delete = Delete {
        key: key(),
        conversation,
        message: erased,
    };
    ada.write(0, Request::Delete(delete)).await;
    let pin = Pin {
        key: key(),
        conversation,
        message,
        on: true,
    };
    ada.write(1, Request::Pin(pin)).await;
    let configure = Configure {
        key: key(),
        conversation,
        title: Some("Two servers".to_owned()),
        data: None,
        history: None,
    };
    ada.write(0, Request::Configure(configure)).await;
    for person in [&ada, &bob, &eve] {
        person.is_right(conversation).await;
        for client in &person.clients {
            let entry = client.conversation(conversation).await.expect("a member");
            assert_eq!(entry.conversation.title.as_deref(), Some("Two servers"));
            assert_eq!(entry.conversation.pins, [message]);
        }
    }

    // Two who write to each other for the first time, at two servers at once, get one conversation.
    let (one, other) = tokio::join!(
        ada.clients[0].post(To::User(eve.id()), "from here"),
        eve.clients[1].post(To::User(ada.id()), "from there"),
    );
    let (one, other) = (one.expect("stored"), other.expect("stored"));
    assert_eq!(one.conversation, other.conversation);
    let direct = one.conversation.expect("a conversation");
    // What one reads at one is read on one's device at the other.
    eve.clients[0].read(conversation, message);
    // Who is added at one gets all from then on at the other.
    let add = Add {
        key: key(),
        conversation,
        users: vec![dan.id()],
        role: Role::Member,
    };
    let joined = ada.write(0, Request::Add(add)).await.seq;
    let hello = bob.post(1, conversation, "hello, dan").await;
    for person in [&ada, &eve] {
        person.until_seq(direct, one.seq.max(other.seq)).await;
    }
    dan.until_seq(conversation, hello).await;
    for (eves, dans) in eve.readers.iter().zip(&dan.readers) {
        let is_read = |what: &What| matches!(what, What::Read(read) if read.up_to == message);
        eves.until_told(eve.id(), is_read).await;
        assert_eq!(dans.told(conversation)[0].seq, joined);
    }
    removed_at_the_other(&ada, &bob, &eve, conversation, direct).await;
}

/// Eve is removed at the first server while bob writes at the second: she is told nothing of what follows her removal, on
/// whichever device, and cannot do anything at the second at once, whatever it knows.
async fn removed_at_the_other(
    ada: &Person,
    bob: &Person,
    eve: &Person,
    conversation: ConversationId,
    direct: ConversationId,
) {
    let flood = {
        let client = bob.clients[1].clone();
        let sent = (0..MANY).map(|_| client.post(To::Conversation(conversation), "not for eve"));
        tokio::spawn(try_join_all(sent.collect::<Vec<_>>()))
    };
    let remove = Remove {
        key: key(),
        conversation,
        user: eve.id(),
    };
    let removed = soon("removal", ada.clients[0].write(Request::Remove(remove))).await;
    let end = removed.expect("stored").seq;
    let late = eve.clients[1].post(To::Conversation(conversation), "still here?");
    let late = soon("an answer", late).await;
    assert!(
        matches!(&late, Err(Error::Refused(refused)) if refused.code == Code::NotFound),
        "{late:?}"
    );
    let page = load(&eve.clients[1], conversation, 0).await;
    assert_eq!(page.last().map(|event| event.seq), Some(end));
    let flooded = soon("the flood", flood).await.expect("runs");
    let flooded = flooded.expect("stored");
    let after = bob.post(1, conversation, "after all").await;
    assert!(flooded.iter().any(|written| written.seq > end) || after > end);
    ada.until_seq(conversation, after).await;
    // Both servers know when her devices have what was written later, elsewhere.
    let word = ada.post(0, direct, "you are out").await;
    eve.until_seq(direct, word).await;
    for reader in &eve.readers {
        let is_end = |what: &What| matches!(what, What::Removed(removed) if removed.at_seq == end);
        reader.until_told(eve.id(), is_end).await;
        reader.until_seq(conversation, end).await;
        let told = reader.told(conversation);
        assert_eq!(told.last().map(|event| event.seq), Some(end));
    }
    for person in [ada, bob] {
        person.is_right(conversation).await;
    }
}
