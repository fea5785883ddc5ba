//! What live delivery costs, counted in what the store is asked: no time is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chat_core::conformance::async_trait;
use chat_core::kv::MemoryStore;
use chat_core::rules::Row;
use chat_core::{
    Actor, Change, Chat, Connection, ConversationId, History, Identity, Item, Limits, LogId,
    Prepared, Role, Seq, Store, Target, UserId, Viewer, Write,
};

use crate::store::{Fault, Faulty, Results};

/// Counts, and changes nothing.
#[derive(Clone, Default)]
struct Counted(Arc<Counts>);

#[derive(Default)]
struct Counts {
    groups: AtomicUsize,
    writes: AtomicUsize,
    reads: AtomicUsize,
    rows: AtomicUsize,
    pages: AtomicUsize,
}

impl Counts {
    fn take(&self) -> [usize; 5] {
        [
            &self.groups,
            &self.writes,
            &self.reads,
            &self.rows,
            &self.pages,
        ]
        .map(|count| count.swap(0, Ordering::SeqCst))
    }
}

#[async_trait]
impl Fault for Counted {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        self.0.groups.fetch_add(1, Ordering::SeqCst);
        self.0.writes.fetch_add(group.len(), Ordering::SeqCst);
        store.commit(group).await
    }
    fn rows(&self, rows: &mut Vec<Option<Row>>) {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        self.0.rows.fetch_add(rows.len(), Ordering::SeqCst);
    }
    fn log_viewer(&self, viewer: Viewer, _log: LogId) -> Viewer {
        self.0.pages.fetch_add(1, Ordering::SeqCst);
        viewer
    }
}

struct Scene {
    counts: Counted,
    chat: Chat,
}

impl Scene {
    fn new() -> Self {
        let counts = Counted::default();
        let mut limits = Limits::default();
        limits.message_rate = 0.0;
        // Comparing heads is not what is counted.
        limits.sweep = Duration::from_secs(3600);
        let store = Faulty::new(MemoryStore::new(), counts.clone());
        let chat = Chat::builder(store).limits(limits).build();
        Self { counts, chat }
    }

    async fn users(&self, count: usize) -> Vec<UserId> {
        let mut users = Vec::new();
        for n in 0..count {
            users.push(
                self.chat
                    .enroll("test", &format!("{n}"), "Name")
                    .await
                    .unwrap(),
            );
        }
        users
    }

    async fn group(&self, owner: UserId, others: &[UserId]) -> ConversationId {
        let create = Change::Create {
            title: None,
            data: None,
            managed: false,
            history: History::All,
            members: Vec::new(),
        };
        let write = Write::new(Actor::User(owner), Target::Group, vec![create]);
        let id = self.chat.commit(write).await.unwrap().conversation.unwrap();
        for users in others.chunks(100) {
            let add = |&user: &UserId| Change::Add {
                user,
                role: Role::Member,
            };
            self.write(owner, id, users.iter().map(add).collect()).await;
        }
        id
    }

    async fn write(&self, user: UserId, id: ConversationId, changes: Vec<Change>) -> Seq {
        let write = Write::new(Actor::User(user), Target::Conversation(id), changes);
        self.chat.commit(write).await.unwrap().last()
    }

    async fn connect(&self, user: UserId) -> Connection {
        self.chat.connect(Identity::of(user)).await.unwrap()
    }
}

/// Takes all that is there.
async fn settle(device: &mut Connection) -> Vec<Item> {
    let mut items = Vec::new();
    while let Ok(()) =
        tokio::time::timeout(Duration::from_millis(1), device.drain(&mut items)).await
    {}
    items
}

/// 1,000 receivers of a large group who mark ten times a second: one write a second each, in a few groups; no key is kept,
/// and nobody is told. With the group's messages going on, the marks cost no group at all.
#[tokio::test(start_paused = true)]
async fn a_thousand_who_mark() {
    const RECEIVERS: usize = 1000;
    const SECONDS: usize = 10;
    let scene = Scene::new();
    let users = scene.users(RECEIVERS + 1).await;
    let id = scene.group(users[0], &users[1..]).await;
    let mut last = scene.write(users[0], id, vec![Change::post("first")]).await;
    let mut devices = Vec::new();
    for user in &users[1..] {
        devices.push(scene.connect(*user).await);
    }
    for writes_go_on in [false, true] {
        tokio::time::sleep(Duration::from_secs(3)).await;
        scene.counts.0.take();
        let mut sent = 0;
        for round in 0..SECONDS * 10 {
            if writes_go_on || round % 5 == 0 {
                last = scene.write(users[0], id, vec![Change::post("more")]).await;
                sent += 1;
            }
            for device in &mut devices {
                settle_now(device);
                device.mark(id, Some(last), Some(last)).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let [groups, writes, reads, rows, pages] = scene.counts.0.take();
        let marks = writes - sent;
        println!(
            "{RECEIVERS} receivers, {SECONDS} s, messages all the time: {writes_go_on}. \
             groups {groups}, of them messages' {sent}; marks written {marks}; reads {reads} of {rows} rows; pages {pages}"
        );
        assert!(marks <= RECEIVERS * (SECONDS + 1), "{marks} marks written");
        assert!(marks >= RECEIVERS * (SECONDS - 2), "{marks} marks written");
        // At most 512 or so in a group, and only where nothing came along.
        let own = if writes_go_on { 0 } else { 4 * SECONDS };
        assert!(groups <= sent + own, "{groups} groups for {sent} messages");
        assert!(rows <= 2 * groups, "{rows} rows read to tell nobody");
        assert_eq!(pages, 0, "pages read");
    }
}

fn settle_now(device: &mut Connection) {
    let mut items = Vec::new();
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let _ = device.poll_drain(&mut cx, &mut items);
}

/// A device with many conversations resumes with few reads: one of heads for what is unchanged, and pages for the rest alone.
#[tokio::test(start_paused = true)]
async fn unchanged_logs_cost_no_page() {
    const LOGS: usize = 1000;
    let scene = Scene::new();
    let users = scene.users(2).await;
    let mut cursors = Vec::new();
    for _ in 0..LOGS {
        let id = scene.group(users[0], &users[1..]).await;
        cursors.push((LogId::from(id), 2));
    }
    let LogId::Conversation(changed) = cursors[700].0 else {
        panic!("a user's log");
    };
    let last = scene
        .write(users[0], changed, vec![Change::post("new")])
        .await;
    let mut device = scene.connect(users[1]).await;
    scene.counts.0.take();
    let own = scene
        .chat
        .log(Viewer::User(users[1]), users[1].into(), 0, 1);
    let head = own.await.unwrap().head;
    scene.counts.0.take();
    for part in cursors.chunks(500) {
        device.resume(part.to_vec()).unwrap();
    }
    device.resume(vec![(users[1].into(), head)]).unwrap();
    let items = settle(&mut device).await;
    let [_, _, reads, rows, pages] = scene.counts.0.take();
    println!("{LOGS} logs: {reads} reads of {rows} heads, {pages} pages");
    let (live, events): (Vec<_>, Vec<_>) = items
        .iter()
        .partition(|item| matches!(item, Item::Live { .. }));
    assert_eq!(
        live.len(),
        cursors.len() + 1,
        "each log says once that it is live"
    );
    let places: Vec<_> = events
        .iter()
        .map(|item| match item {
            Item::Event(event) => (event.event.log, event.event.seq),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(places, [(changed.into(), last)]);
    assert!(reads <= 2 && pages <= 1, "{reads} reads, {pages} pages");
    // All of them are live.
    for &(log, _) in cursors.iter().step_by(99) {
        let LogId::Conversation(id) = log else {
            continue;
        };
        let seq = scene.write(users[0], id, vec![Change::post("live")]).await;
        let items = settle(&mut device).await;
        assert!(
            matches!(&items[..], [Item::Event(event)] if (event.event.log, event.event.seq) == (log, seq)),
            "{items:?}"
        );
    }
}

/// Eight messages to a thousand devices, in one write or in eight that follow one another: how often each device is woken.
#[tokio::test(start_paused = true)]
async fn a_run_to_a_thousand_devices() {
    const DEVICES: usize = 1000;
    const RUN: usize = 8;
    let scene = Scene::new();
    let users = scene.users(DEVICES).await;
    let id = scene.group(users[0], &users[1..]).await;
    let mut readers = tokio::task::JoinSet::new();
    let (wakes, events) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for &user in &users {
        let mut device = scene.connect(user).await;
        settle(&mut device).await;
        let (wakes, events) = (wakes.clone(), events.clone());
        readers.spawn(async move {
            let mut items = Vec::new();
            loop {
                device.drain(&mut items).await;
                wakes.fetch_add(1, Ordering::SeqCst);
                let new = items.drain(..);
                events.fetch_add(new.count(), Ordering::SeqCst);
            }
        });
    }
    let sender = scene.connect(users[0]).await;
    let posts = || (0..RUN).map(|n| Change::post(format!("{n}")));
    for one_write in [true, false] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        wakes.store(0, Ordering::SeqCst);
        events.store(0, Ordering::SeqCst);
        if one_write {
            scene.write(users[0], id, posts().collect()).await;
        } else {
            for (n, post) in (0..).zip(posts()) {
                let target = Target::Conversation(id);
                let write = Write::new(Actor::User(users[0]), target, vec![post]);
                sender.submit(n, write).unwrap();
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (wakes, events) = (wakes.load(Ordering::SeqCst), events.load(Ordering::SeqCst));
        println!("one write: {one_write}; {events} events in {wakes} wake-ups");
        assert_eq!(events, DEVICES * RUN);
        assert_eq!(wakes, DEVICES, "wake-ups for a run of {RUN}");
    }
    readers.shutdown().await;
}
