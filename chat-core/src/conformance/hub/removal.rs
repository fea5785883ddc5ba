//! Law 7 on all paths at once: somebody is removed while everything goes on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::conformance::device::{Boxed, Device, place, together};
use crate::conformance::node::{Chance, Faults, Nodes, free};
use crate::conformance::world::to;
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure};
use crate::{
    Change, Chat, ConversationId, Error, ErrorKind, Event, Item, Limits, LogId, Message, Seq, Span,
    Target, UserId, Viewer, Write,
};

/// So often somebody is removed, each time from another group.
const ROUNDS: u64 = 4;
/// Messages of each writer before the removal, and after it.
const MESSAGES: u64 = 12;
/// The kinds of signals before and after their sender was told of the removal.
const BEFORE: &str = "before";
const AFTER: &str = "after";
/// A title that the group gets after the removal.
const LATE: &str = "late";

/// One group, from which one is removed.
struct Scene<'a> {
    fixture: &'a dyn Fixture,
    nodes: &'a Nodes,
    owner: UserId,
    writer: UserId,
    gone: UserId,
    id: ConversationId,
    /// The removal was acknowledged.
    over: AtomicBool,
    /// Nothing more is asked.
    stop: AtomicBool,
    /// The seq of the removal.
    end: AtomicU64,
    /// On which path what was told to the one who is removed.
    told: Mutex<Vec<(&'static str, Seq)>>,
}

/// Who is removed while others write, mark and signal, and while they themselves listen on several nodes, resume, read every
/// page there is, search, post and signal, is told of nothing that stands behind their removal, on any of these paths, on any
/// node, and can do nothing any more as soon as the removal was acknowledged anywhere.
///
/// # Errors
/// How it was broken.
pub async fn removed_are_told_nothing_on_any_path(fixture: &dyn Fixture) -> Outcome {
    let limits = Limits {
        signal_rate: 0.0,
        ..free()
    };
    let nodes = Nodes::open(fixture, 2, &limits, Some(Faults::new(0, 0))).await?;
    let [owner, writer, gone] = nodes.world.users().await?;
    for round in 0..ROUNDS {
        let scene = Scene {
            fixture,
            nodes: &nodes,
            owner,
            writer,
            gone,
            id: nodes.world.group_of(owner, &[writer, gone]).await?,
            over: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            end: AtomicU64::new(0),
            told: Mutex::default(),
        };
        scene.play(round).await?;
    }
    Ok(Verdict::Holds)
}

impl Scene<'_> {
    async fn play(&self, round: u64) -> Result<(), Violation> {
        let mut paths: Vec<Boxed<'_>> = vec![Box::pin(self.lead(round))];
        for chat in &self.nodes.chats {
            let mut live = Device::connect(self.fixture, chat, self.gone).await?;
            paths.push(Box::pin(async move {
                live.until("the last word", |items| is_last(items, round))
                    .await?;
                self.hears("live", &live.items)
            }));
            paths.push(Box::pin(self.resumes(chat, round)));
            paths.push(Box::pin(self.reads(chat)));
            paths.push(Box::pin(self.writes(chat)));
        }
        together(paths).await?;
        let end = self.end.load(Ordering::SeqCst);
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for path in ["live", "resumed", "history", "log", "entry", "list", "post"] {
            let was = told.iter().any(|(other, _)| *other == path);
            ensure!(was, "nothing at all was told on the path `{path}`");
        }
        let late = told.iter().find(|(_, seq)| *seq > end);
        ensure!(
            late.is_none(),
            "removed at {end}, and told of (path, seq) {late:?}"
        );
        Ok(())
    }

    fn note(&self, path: &'static str, seqs: impl IntoIterator<Item = Seq>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.extend(seqs.into_iter().map(|seq| (path, seq)));
    }

    /// What a device of the removed one got.
    fn hears(&self, path: &'static str, items: &[Item]) -> Result<(), Violation> {
        let log = LogId::from(self.id);
        for item in items {
            match item {
                Item::Resync { log: of, seq } if *of == log => self.note(path, [*seq]),
                Item::Receipt(receipt) if receipt.conversation == self.id => {
                    self.note("receipts", [receipt.read, receipt.delivered]);
                }
                Item::Signal(signal) if signal.conversation == self.id => {
                    ensure!(
                        signal.kind != AFTER,
                        "a signal came to one who had been removed before"
                    );
                }
                other => {
                    let seq = place(other).filter(|(of, _)| *of == log);
                    self.note(path, seq.map(|(_, seq)| seq));
                    if let (Some(_), Item::Event(event)) = (seq, other) {
                        self.note(path, event.event.message.iter().map(known));
                    }
                }
            }
        }
        Ok(())
    }

    /// The others: they write, mark and signal, on both nodes, and remove one of them.
    async fn lead(&self, round: u64) -> Result<(), Violation> {
        let id = self.id;
        let mut devices = Vec::new();
        for chat in &self.nodes.chats {
            devices.push(Device::connect(self.fixture, chat, self.owner).await?);
        }
        let mut chance = Chance::new(round);
        let mut last = 0;
        let mut early = Vec::new();
        for n in 0..2 * MESSAGES {
            if n < MESSAGES {
                // What is changed when they are gone.
                let post = Change::post(format!("needle {n} of the owner"));
                let done = self.nodes.chats[0].commit(to(self.owner, id, vec![post]));
                early.push(done.await?.last());
            } else if let Some(message) = early.pop() {
                let changes = self.late(n, message);
                self.nodes.chats[0]
                    .commit(to(self.owner, id, changes))
                    .await?;
            }
            for (chat, user) in self.nodes.chats.iter().zip([self.owner, self.writer]) {
                let post = Change::post(format!("needle {n}"));
                last = chat.commit(to(user, id, vec![post])).await?.last();
            }
            if n == MESSAGES {
                let chat = &self.nodes.chats[usize::from(chance.below(2) == 0)];
                let remove = Change::Remove { user: self.gone };
                // What the same write says next is not theirs any more either.
                let write = to(self.owner, id, vec![remove, Change::post("needle at once")]);
                let done = chat.commit(write).await?;
                self.end.store(done.first, Ordering::SeqCst);
                self.over.store(true, Ordering::SeqCst);
                // Signals are in the order of what their sender's node knows: whoever was told of the removal signals after it.
                for device in &mut devices {
                    device.connection().signal(id, BEFORE, None)?;
                    device.until_seq(id, done.first).await?;
                }
            }
            let is_over = self.over.load(Ordering::SeqCst);
            for device in &devices {
                let kind = if is_over { AFTER } else { BEFORE };
                device.connection().signal(id, kind, None)?;
                device.connection().mark(id, Some(last), Some(last))?;
            }
        }
        for device in &mut devices {
            // Now this node knows.
            device.until_seq(id, last).await?;
        }
        self.stop.store(true, Ordering::SeqCst);
        let pair = Target::Direct(self.owner, self.gone);
        let word = Write::post(self.owner, pair, last_word(round));
        self.nodes.chats[0].commit(word).await?;
        Ok(())
    }

    /// What befalls an early message, and the group, after the removal.
    fn late(&self, n: u64, message: Seq) -> Vec<Change> {
        let emoji = || "+".to_owned();
        match n % 4 {
            0 => vec![Change::Delete { message }],
            1 => vec![Change::Edit {
                message,
                revision: None,
                content: "needle, but later".into(),
            }],
            2 => vec![Change::React {
                message,
                emoji: emoji(),
                on: true,
            }],
            _ => vec![
                Change::Pin { message, on: true },
                Change::Configure {
                    title: Some(LATE.to_owned()),
                    data: None,
                    history: None,
                },
            ],
        }
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// Connects and resumes from some cursor, again and again.
    async fn resumes(&self, chat: &Chat, round: u64) -> Result<(), Violation> {
        let mut chance = Chance::new(round);
        let mut left = 2;
        // Twice more when all is over.
        while self.goes_on() || left > 0 {
            left -= i32::from(!self.goes_on());
            let mut device = Device::connect(self.fixture, chat, self.gone).await?;
            let own = LogId::User(self.gone);
            let after = chance.below(4 * MESSAGES);
            // Each ends with a word, also that of one who is no member any more.
            let logs = [own, self.id.into()];
            device.resume(vec![(logs[0], 0), (logs[1], after)])?;
            let is_through = |items: &[Item]| {
                logs.iter().all(|own| {
                    let is_word = |item: &Item| matches!(item, Item::Live { log } if log == own);
                    items.iter().any(is_word)
                })
            };
            device.until("the end of a resume", is_through).await?;
            self.hears("resumed", &device.items)?;
        }
        Ok(())
    }

    /// Reads everything that can be read, again and again.
    async fn reads(&self, chat: &Chat) -> Result<(), Violation> {
        let (id, viewer) = (self.id, Viewer::User(self.gone));
        let seqs = |page: Vec<Message>| page.into_iter().map(|message| known(&message));
        let events = |page: crate::LogPage| {
            let entries = page.entries.into_iter();
            let seqs = entries.flat_map(|(seq, event)| {
                let message = event.and_then(|event| event.message);
                [Some(seq), message.as_ref().map(known)]
            });
            seqs.flatten().chain([page.head])
        };
        let mut left = 2;
        while self.goes_on() || left > 0 {
            left -= i32::from(!self.goes_on());
            // Known before each of these is asked.
            let was_over = self.over.load(Ordering::SeqCst);
            for span in [Span::Latest, Span::After(0), Span::Before(1000)] {
                self.note("history", seqs(chat.history(viewer, id, span, 100).await?));
            }
            let page = chat.log(viewer, id.into(), 0, 100).await?;
            let end = page.head;
            self.note("log", events(page));
            self.note("log", events(chat.log(viewer, id.into(), end, 100).await?));
            let entry = chat.entry(self.gone, id).await?;
            self.note("entry", [entry.head.seq, entry.head.message]);
            self.note("entry", entry.last.iter().map(known));
            let settings = &entry.conversation;
            ensure!(
                settings.title.as_deref() != Some(LATE) && settings.pins.is_empty(),
                "a title or a pin of later was told"
            );
            let list = chat.inbox(self.gone, None, 100).await?;
            let list = list.into_iter().find(|entry| entry.conversation.id == id);
            ensure!(!was_over || list.is_none(), "it is listed all the same");
            self.note("list", list.map(|entry| entry.head.seq));
            let all = chat.memberships(self.gone).await?.conversations;
            let mine = all.into_iter().find(|(of, ..)| *of == id);
            ensure!(!was_over || mine.is_none(), "it counts as theirs");
            self.note("memberships", mine.map(|(.., seq)| seq));
            let members = chat.members(viewer, id, None, 100).await;
            ensure!(
                !was_over || members.is_err_and(|error| error.kind() == ErrorKind::NotFound),
                "members were told"
            );
            if self.nodes.world.store.search().is_some() {
                for within in [None, Some(id)] {
                    let found = chat.search(viewer, "needle", within, None, 20).await?;
                    let found = found.messages.into_iter();
                    let here = found.filter(|message| message.conversation == id);
                    self.note("search", here.map(|message| known(&message)));
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Does what members do, again and again.
    async fn writes(&self, chat: &Chat) -> Result<(), Violation> {
        let id = self.id;
        let device = Device::connect(self.fixture, chat, self.gone).await?;
        let mut left = 2;
        while self.goes_on() || left > 0 {
            left -= i32::from(!self.goes_on());
            let react = Change::React {
                message: 2,
                emoji: "+".into(),
                on: true,
            };
            for change in [
                Change::post("needle of mine"),
                react,
                Change::Hide,
                Change::Mute { until: None },
            ] {
                if change == Change::Hide && self.goes_on() {
                    // It would keep them from seeing anything here.
                    continue;
                }
                let was_over = self.over.load(Ordering::SeqCst);
                let done = chat.commit(to(self.gone, id, vec![change])).await;
                let seqs = self.allowed(was_over, done)?;
                self.note("post", seqs);
            }
            let was_over = self.over.load(Ordering::SeqCst);
            let signalled = device.connection().signal(id, BEFORE, None);
            // Another node knows a little later; until then it comes to nobody.
            let knows = was_over && !self.goes_on();
            ensure!(!knows || signalled.is_err(), "a signal was taken");
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// The seqs of a write of the removed one, unless it should have been refused.
    fn allowed(
        &self,
        was_over: bool,
        done: Result<crate::Committed, Error>,
    ) -> Result<Vec<Seq>, Violation> {
        match done {
            Ok(done) => {
                ensure!(!was_over, "a write of one who is gone was taken: {done:?}");
                let here = |event: &&Event| event.log == self.id.into();
                Ok(done.events.iter().filter(here).map(|e| e.seq).collect())
            }
            Err(error) => {
                let kind = error.kind();
                ensure!(kind == ErrorKind::NotFound, "refused as {kind:?}");
                Ok(Vec::new())
            }
        }
    }
}

/// The last event that a message tells of.
fn known(message: &Message) -> Seq {
    message.seq.max(message.changed)
}

fn last_word(round: u64) -> String {
    format!("the last word of round {round}")
}

fn is_last(items: &[Item], round: u64) -> bool {
    let last = last_word(round);
    let mut items = items.iter();
    items.any(|item| matches!(item, Item::Event(event) if event.text() == Some(last.as_str())))
}
