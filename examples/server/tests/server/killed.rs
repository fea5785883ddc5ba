//! The server killed under load, again and again, with clients that retry: nothing acknowledged is lost, nothing is there
//! twice, and each sender's messages stand in the order in which they were sent.
//!
//! `CHAT_SERVER_KILLS` sets how often it is killed on each store; 10 times without it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chat_client::protocol::To;
use chat_client::{Client, ConversationId, Seq, UserId};
use chat_testkit::Postgres;
use tokio::sync::mpsc;

use crate::crowd::{Door, Reader, connect, group, join, load, posts, soon};
use crate::support::{Server, Signal};

const SENDERS: usize = 4;
const GROUPS: usize = 2;
/// How many messages of one sender to one group wait for their acknowledgement.
const AHEAD: usize = 8;
/// The server is killed after so many acknowledgements at most.
const MOST: usize = 150;

fn kills() -> usize {
    std::env::var("CHAT_SERVER_KILLS").map_or(10, |kills| kills.parse().expect("a number"))
}

/// An acknowledgement: when it came, and whether it was of something done by an earlier try.
type Ack = (Instant, bool);

/// Sends until it is told to stop, and then until all is acknowledged: the texts, with their places.
async fn send(
    client: Client,
    to: ConversationId,
    acks: mpsc::UnboundedSender<Ack>,
    stop: Arc<AtomicBool>,
) -> Vec<(UserId, String, Seq)> {
    let (mut waiting, mut done) = (VecDeque::new(), Vec::new());
    let mut number = 0;
    loop {
        while waiting.len() < AHEAD && !stop.load(Ordering::Relaxed) {
            number += 1;
            let text = number.to_string();
            waiting.push_back((text.clone(), client.post(To::Conversation(to), text)));
        }
        let Some((text, sent)) = waiting.pop_front() else {
            return done;
        };
        let written = soon("an acknowledgement", sent).await.expect("stored");
        assert_eq!(written.conversation, Some(to));
        done.push((client.user(), text, written.seq));
        let _ = acks.send((Instant::now(), written.replayed));
    }
}

async fn killed_under_load(name: &str, kills: usize, start: impl Fn() -> Server) {
    let start = || tokio::task::block_in_place(&start);
    let mut server = start();
    let door = Door::to(server.address).await;
    let (reader, events) = join(&door.url, "reader").await;
    let reading = Reader::of(events);
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        // What they are told is not looked at.
        let (sender, _) = join(&door.url, &format!("sender{number}")).await;
        senders.push(sender);
    }
    let members: Vec<UserId> = senders.iter().map(Client::user).collect();
    let mut groups = Vec::new();
    for _ in 0..GROUPS {
        groups.push(group(&reader, &members).await);
    }

    let stop = Arc::new(AtomicBool::new(false));
    let (acks, mut acknowledged) = mpsc::unbounded_channel();
    let mut running = Vec::new();
    for &to in &groups {
        for sender in &senders {
            let sending = send(sender.clone(), to, acks.clone(), Arc::clone(&stop));
            running.push((to, sender.user(), tokio::spawn(sending)));
        }
    }
    drop(acks);

    let (mut listening, mut working, mut replayed) = (Vec::new(), Vec::new(), 0);
    for _ in 0..kills {
        for _ in 0..fastrand::usize(1..=MOST) {
            let ack = soon("an acknowledgement", acknowledged.recv()).await;
            replayed += usize::from(ack.expect("senders go on").1);
        }
        server.signal(Signal::KILL);
        tokio::task::block_in_place(|| server.ended());
        let killed = Instant::now();
        server = start();
        door.lead_to(server.address);
        let there = Instant::now();
        listening.push(there - killed);
        loop {
            let ack = soon("an acknowledgement", acknowledged.recv()).await;
            let (when, again) = ack.expect("senders go on");
            replayed += usize::from(again);
            if when > there {
                working.push(when - killed);
                break;
            }
        }
    }
    stop.store(true, Ordering::Relaxed);

    let (fresh, _) = connect(&format!("http://{}", server.address), "reader").await;
    let mut count = 0;
    for group in groups {
        let mut sent = Vec::new();
        for (_, sender, sending) in running.extract_if(.., |(to, ..)| *to == group) {
            let acknowledged = sending.await.expect("all is acknowledged");
            assert!(!acknowledged.is_empty(), "{sender} sent nothing");
            count += acknowledged.len();
            sent.push((sender, acknowledged));
        }
        let stored = load(&fresh, group, 0).await;
        let texts = posts(&stored);
        for (sender, acknowledged) in sent {
            let of: Vec<_> = texts.iter().filter(|(by, ..)| *by == sender).collect();
            assert_eq!(of, acknowledged.iter().collect::<Vec<_>>(), "{sender}");
        }
        // Who read all the time was told the same.
        let head = stored.last().expect("not empty").seq;
        reading.until_seq(group, head).await;
        let told = reading.told(group);
        let known = usize::try_from(told[0].seq - 1).expect("a place");
        assert_eq!(told, stored[known..], "{group}");
    }
    println!(
        "{name}: killed {kills} times, {count} messages acknowledged, {replayed} of them by a retry; \
        from the restart to listening {}, to the first acknowledgement {}",
        spread(listening),
        spread(working)
    );
}

/// The middle and the longest of some times.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    let most = times.last().copied().unwrap_or_default();
    format!("{middle:.0?} (at most {most:.0?})")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_loses_doubles_and_reorders_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = || Server::on(folder.path(), &["--no-rate-limits"]);
    killed_under_load("SQLite", kills(), start).await;
}

/// The test above can fail: a disk that takes back what was acknowledged, as one does that syncs nothing, is found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_is_found_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().to_owned();
    let copy = move |from: &str, to: &str| {
        for end in ["", "-wal"] {
            let [from, to] = [from, to].map(|name| database.join(format!("{name}{end}")));
            std::fs::copy(from, to).expect("a copy");
        }
    };
    let kept = folder.path().to_owned();
    let starts = AtomicUsize::new(0);
    let start = move || {
        match starts.fetch_add(1, Ordering::Relaxed) {
            // As it stands when the server was killed for the first time …
            1 => copy("chat.db", "before"),
            // … it stands again after the second time.
            2 => {
                copy("before", "chat.db");
                std::fs::remove_file(kept.join("chat.db-shm")).expect("removed");
            }
            _ => {}
        }
        Server::on(&kept, &["--no-rate-limits"])
    };
    let told = tokio::spawn(killed_under_load("a disk that forgets", 2, start)).await;
    let told = told.expect_err("what was lost was not missed").into_panic();
    let told = told.downcast_ref::<String>().expect("a text");
    assert!(told.contains("left == right"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_over_postgresql_loses_doubles_and_reorders_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    let secret = secret.to_str().expect("UTF-8");
    let postgres = tokio::task::block_in_place(Postgres::start).expect("PostgreSQL");
    let url = postgres.database().expect("a database");
    let start = || {
        let options = ["--store", &url, "--secret-file", secret];
        Server::start(&[&options[..], &["--no-rate-limits"]].concat())
    };
    killed_under_load("PostgreSQL", kills(), start).await;
}
