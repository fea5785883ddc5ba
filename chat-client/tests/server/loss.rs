//! Connections that break, servers that are killed, readers that are slow: nothing is missed, nothing doubled.

use chat_client::protocol::To;
use chat_client::{Client, Incoming, LogId, Room};
use chat_core::{Target, Write};
use futures_util::StreamExt;

use super::host::{Host, Place, Told, next, options, secret, soon};
use super::proxy::Proxy;

fn cuts() -> usize {
    let asked = std::env::var("CHAT_CLIENT_CUTS").ok();
    asked.and_then(|cuts| cuts.parse().ok()).unwrap_or(50)
}

fn seed() -> u64 {
    let asked = std::env::var("CHAT_CLIENT_SEED").ok();
    let seed = asked.and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("CHAT_CLIENT_SEED={seed}");
    seed
}

fn caught_up(incoming: Incoming) -> Option<()> {
    matches!(incoming, Incoming::CaughtUp).then_some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_at_any_byte_nothing_is_missed_or_doubled() {
    let host = Host::start(&Place::memory(), &secret());
    let (ada, bob) = (host.account("ada").await, host.account("bob").await);
    let proxy = Proxy::start(host.address, seed()).await;
    let (client, mut events) = Client::connect(options(proxy.url(), "ada")).await.unwrap();
    next(&mut events, caught_up).await;
    let sent = soon(client.post(To::User(bob), "first")).await.unwrap();
    let conversation = sent.conversation.unwrap();
    let log = LogId::Conversation(conversation);
    let collector = tokio::spawn(async move {
        let mut told = Told::default();
        while told.texts(log).last().is_none_or(|last| last != "last") {
            told.take(soon(events.next()).await.expect("it ended"));
        }
        told
    });

    proxy.cut(cuts());
    let mut mine = vec!["first".to_owned()];
    let mut theirs = Vec::new();
    while proxy.cuts_left() > 0 {
        let text = format!("mine {}", mine.len());
        let sent = client.post(To::Conversation(conversation), text.clone());
        mine.push(text);
        for _ in 0..fastrand::usize(0..4) {
            let text = format!("theirs {}", theirs.len());
            let write = Write::post(bob, Target::Direct(ada, bob), text.clone());
            host.chat.commit(write).await.unwrap();
            theirs.push(text);
        }
        soon(sent).await.unwrap();
    }
    soon(client.post(To::Conversation(conversation), "last"))
        .await
        .unwrap();
    mine.push("last".to_owned());

    let told = soon(collector).await.unwrap();
    assert!(told.connected > 0);
    let texts = told.texts(log);
    let of = |start: &str| {
        let of = texts.iter().filter(|text| text.starts_with(start));
        of.cloned().collect::<Vec<String>>()
    };
    assert_eq!(of("theirs"), theirs);
    assert_eq!(texts.len(), mine.len() + theirs.len());
    let own: Vec<&String> = texts
        .iter()
        .filter(|text| !text.starts_with("theirs"))
        .collect();
    assert_eq!(own, mine.iter().collect::<Vec<_>>());
    let (fresh, _events) = Client::connect(options(host.url(), "ada")).await.unwrap();
    told.equals_a_fresh_load(&fresh).await;
}

/// Kills the server in the middle of many writes, several times.
async fn killed_in_the_middle(place: Place) {
    let secret = secret();
    let mut host = Host::start(&place, &secret);
    let (_, bob) = (host.account("ada").await, host.account("bob").await);
    let proxy = Proxy::start(host.address, 0).await;
    let (client, mut events) = Client::connect(options(proxy.url(), "ada")).await.unwrap();
    let (reader, mut seen) = Client::connect(options(proxy.url(), "bob")).await.unwrap();
    next(&mut events, caught_up).await;
    next(&mut seen, caught_up).await;
    let first = soon(client.post(To::User(bob), "0")).await.unwrap();
    let conversation = first.conversation.unwrap();
    let to = To::Conversation(conversation);
    let (mut texts, mut last) = (vec!["0".to_owned()], first.seq);
    for round in 1..=3 {
        let sent: Vec<_> = (0..50)
            .map(|number| {
                let text = format!("{round}.{number}");
                texts.push(text.clone());
                client.post(to.clone(), text)
            })
            .collect();
        let mut sent = sent.into_iter();
        for sent in sent.by_ref().take(10) {
            last = soon(sent).await.unwrap().seq;
        }
        host.kill();
        host = Host::start(&place, &secret);
        proxy.lead_to(host.address);
        for sent in sent {
            let written = soon(sent).await.unwrap();
            assert!(written.seq > last, "out of order");
            last = written.seq;
        }
    }
    let log = LogId::Conversation(conversation);
    for (client, events) in [(&client, &mut events), (&reader, &mut seen)] {
        let mut told = Told::default();
        told.until(events, log, last).await;
        assert!(told.connected > 0);
        assert_eq!(told.texts(log), texts);
        told.equals_a_fresh_load(client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_and_doubles_nothing() {
    killed_in_the_middle(Place::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_over_a_file_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    killed_in_the_middle(Place::File(folder.path().join("chat.db"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_takes_nothing_for_a_while_misses_nothing() {
    let host = Host::start(&Place::memory(), &secret());
    let (ada, bob) = (host.account("ada").await, host.account("bob").await);
    let small = Room {
        items: 8,
        bytes: 4096,
    };
    let options = options(host.url(), "ada").events(small);
    let (client, mut events) = Client::connect(options).await.unwrap();
    let mut last = None;
    for number in 0..300 {
        let write = Write::post(bob, Target::Direct(ada, bob), number.to_string());
        last = Some(host.chat.commit(write).await.unwrap());
    }
    let last = last.unwrap();
    let conversation = last.conversation.unwrap();
    // Its answers come all the same.
    assert_eq!(
        soon(client.conversation(conversation)).await.unwrap().head,
        last.first
    );
    let mut told = Told::default();
    let log = LogId::Conversation(conversation);
    told.until(&mut events, log, last.first).await;
    // Either from the first message on, or from where this client began.
    let texts = told.texts(log);
    let expected: Vec<String> = (300 - texts.len()..300).map(|n| n.to_string()).collect();
    assert_eq!(texts, expected);
    told.equals_a_fresh_load(&client).await;
}

#[tokio::test]
async fn kept_cursors_go_on_where_they_stopped() {
    let host = Host::start(&Place::memory(), &secret());
    let (ada, bob) = (host.account("ada").await, host.account("bob").await);
    let (client, mut events) = Client::connect(options(host.url(), "ada")).await.unwrap();
    next(&mut events, caught_up).await;
    let sent = soon(client.post(To::User(bob), "0")).await.unwrap();
    let log = LogId::Conversation(sent.conversation.unwrap());
    let mut told = Told::default();
    told.until(&mut events, log, sent.seq).await;
    for round in 1..5 {
        // What came but was not taken counts as not received.
        let cursors = events.cursors();
        drop((client.clone(), events));
        let write = Write::post(bob, Target::Direct(ada, bob), round.to_string());
        let written = host.chat.commit(write).await.unwrap();
        let options = options(host.url(), "ada").cursors(cursors);
        let (_client, new) = Client::connect(options).await.unwrap();
        events = new;
        told.until(&mut events, log, written.first).await;
    }
    assert_eq!(told.texts(log), ["0", "1", "2", "3", "4"]);
}
