//! The gate of a log: passes what is next, drops what was, keeps what comes too early and has the hole read from the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::shard::{Answer, Command, Shard};
use super::{Delivery, Hub, Receipt};
use crate::{Error, Event, EventKind, LogId, Seq, UserId, Viewer};

/// Events that may wait for a hole to be filled, for each log; what is above is fetched again.
const WAITING: usize = 1024;
/// Events that go to each device at once, at most: with one wake-up, for one write of its socket.
const RUN: usize = 64;
/// How long a hole may fill by itself (hints overtake each other) before it is fetched.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);

/// Whether an event changes who is subscribed, what they may see, or more than a queue: it is passed alone.
const fn steers(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Created { .. }
            | EventKind::Joined { .. }
            | EventKind::Left { .. }
            | EventKind::Added { .. }
            | EventKind::Removed { .. }
            | EventKind::Hid { .. }
            | EventKind::Blocked { .. }
            | EventKind::LoginsRevoked { .. }
    )
}

/// What waits until missing events are there.
#[derive(Default)]
pub(super) struct Hole {
    events: BTreeMap<Seq, Arc<Delivery>>,
    pub(super) answers: Vec<(Seq, Answer)>,
    receipts: Vec<(Seq, Arc<Receipt>)>,
    /// The log is known to reach this far.
    pub(super) target: Seq,
    fetching: bool,
}

impl Hole {
    /// Keeps a receipt until the log has come so far; one of each member.
    pub(super) fn wait(&mut self, receipt: Arc<Receipt>, seen: Seq) {
        self.receipts.retain(|(_, old)| old.user != receipt.user);
        self.receipts.push((seen, receipt));
        self.target = self.target.max(seen);
    }

    fn is_done(&self, last: Seq) -> bool {
        self.events.is_empty()
            && self.answers.is_empty()
            && self.receipts.is_empty()
            && self.target <= last
            && !self.fetching
    }
}

impl Shard {
    /// The gate: passes what is next, drops what was, keeps what comes too early. Each answer goes behind its seq.
    pub(super) async fn publish(
        &mut self,
        log: LogId,
        events: &[Arc<Delivery>],
        answers: Vec<(Seq, Answer)>,
    ) {
        let mut rest = events;
        while !rest.is_empty() {
            let (run, more) = rest.split_at(self.run_of(rest));
            self.arrive(log, run).await;
            rest = more;
        }
        for (seq, answer) in answers {
            match self.hole(log) {
                Some((last, hole)) if last < seq => hole.answers.push((seq, answer)),
                _ => answer.device.answer(answer.item),
            }
        }
    }

    /// How many of these events go to each device at once: consecutive ones, as long as none changes who is subscribed or
    /// what they may see, and no more than fits a queue several times.
    fn run_of(&self, events: &[Arc<Delivery>]) -> usize {
        let limits = &self.hub.limits;
        let (items, bytes) = (RUN.min(limits.queue_items / 4), limits.queue_bytes / 4);
        let (mut count, mut size) = (0, 0);
        let mut next = events.first().map_or(0, |first| first.event.seq);
        for delivery in events {
            size += delivery.size();
            let is_next = delivery.event.seq == next;
            if !is_next || count >= items || size > bytes || steers(&delivery.event.kind) {
                break;
            }
            (count, next) = (count + 1, next + 1);
        }
        count.max(1)
    }

    async fn arrive(&mut self, log: LogId, run: &[Arc<Delivery>]) {
        let Some(first) = run.first() else { return };
        if !self.logs.contains_key(&log) {
            // A log nobody here was live on opens with the event by which somebody here joins it.
            self.join(log, first);
        }
        let Some(open) = self.logs.get_mut(&log) else {
            return;
        };
        // What came before is told already.
        let old = run.partition_point(|delivery| delivery.event.seq <= open.last);
        let run = &run[old..];
        let Some(first) = run.first() else { return };
        if first.event.seq == open.last + 1 {
            self.pass(log, run).await;
            self.fill(log).await;
        } else {
            let hole = open.hole.get_or_insert_default();
            for delivery in run {
                let seq = delivery.event.seq;
                hole.target = hole.target.max(seq);
                if hole.events.len() < WAITING {
                    hole.events.insert(seq, Arc::clone(delivery));
                }
            }
            self.fetch(log, PATIENCE);
        }
    }

    /// Passes what waited, as far as it is next.
    pub(super) async fn fill(&mut self, log: LogId) {
        loop {
            let Some(open) = self.logs.get_mut(&log) else {
                return;
            };
            let last = open.last;
            let Some(hole) = &mut open.hole else { return };
            while hole
                .events
                .first_key_value()
                .is_some_and(|(seq, _)| *seq <= last)
            {
                hole.events.pop_first();
            }
            for (_, answer) in hole.answers.extract_if(.., |(seq, _)| *seq <= last) {
                answer.device.answer(answer.item);
            }
            let receipts = hole.receipts.extract_if(.., |(seen, _)| *seen <= last);
            let receipts: Vec<_> = receipts.collect();
            let next = hole.events.remove(&(last + 1));
            if next.is_none() && hole.is_done(last) {
                open.hole = None;
            }
            let is_over = next.is_none();
            for (seen, receipt) in receipts {
                self.receipt(log, receipt, seen).await;
            }
            if let Some(next) = next {
                self.pass(log, &[next]).await;
            }
            if is_over {
                return;
            }
        }
    }

    pub(super) fn hint(&mut self, log: LogId, seq: Seq) {
        if let Some(open) = self.logs.get_mut(&log)
            && seq > open.last
        {
            let hole = open.hole.get_or_insert_default();
            hole.target = hole.target.max(seq);
            // What was committed just now may be on its way here.
            self.fetch(log, PATIENCE);
        }
    }

    /// The hole of a log, and up to where it was delivered.
    fn hole(&mut self, log: LogId) -> Option<(Seq, &mut Hole)> {
        let open = self.logs.get_mut(&log)?;
        Some((open.last, open.hole.as_deref_mut()?))
    }

    /// Has a hole read from the store after a while, unless that is under way.
    pub(super) fn fetch(&mut self, log: LogId, patience: Duration) {
        let Some((_, hole)) = self.hole(log) else {
            return;
        };
        if std::mem::replace(&mut hole.fetching, true) {
            return;
        }
        if patience.is_zero() {
            return self.read(log);
        }
        let commands = self.commands.clone();
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            let _ = commands.send(Command::Fetch { log });
        });
    }

    /// Reads what is still missing from the store.
    pub(super) fn read(&mut self, log: LogId) {
        let Some((last, hole)) = self.hole(log) else {
            return;
        };
        if hole.target <= last {
            hole.fetching = false;
            return;
        }
        let (hub, commands) = (Arc::clone(&self.hub), self.commands.clone());
        tokio::spawn(async move {
            let (events, ends) = match missing(&hub, log, last).await {
                Ok((events, ends)) => {
                    let events = events.into_iter().map(|event| hub.recent.delivery(event));
                    (Some(events.collect()), ends)
                }
                Err(error) => {
                    tracing::warn!(%error, "a hole could not be read; the next sweep tries again");
                    (None, Vec::new())
                }
            };
            let _ = commands.send(Command::Fetched { log, events, ends });
        });
    }

    pub(super) async fn fetched(
        &mut self,
        log: LogId,
        events: Option<Vec<Arc<Delivery>>>,
        ends: Vec<(UserId, Seq)>,
    ) {
        for (user, end) in ends {
            self.end(log, user, end);
        }
        let Some((last, hole)) = self.hole(log) else {
            return;
        };
        hole.fetching = false;
        let Some(events) = events else { return };
        let next = last + 1;
        if events.first().is_none_or(|first| first.event.seq > next) {
            // The hint promised what the store does not have.
            hole.target = last;
            hole.receipts.clear();
        }
        let mut rest = &events[..];
        while !rest.is_empty() {
            let (run, more) = rest.split_at(self.run_of(rest));
            let open = self.logs.get(&log).map_or(0, |open| open.last);
            let old = run.partition_point(|delivery| delivery.event.seq <= open);
            if run.get(old).is_some_and(|next| next.event.seq == open + 1) {
                self.pass(log, &run[old..]).await;
            }
            rest = more;
        }
        self.fill(log).await;
        if self.logs.get(&log).is_some_and(|open| open.is_behind()) {
            self.fetch(log, Duration::ZERO);
        }
    }
}

/// What follows a seq, and of whom the store knows where they leave. A message stands there as it became since, maybe after
/// one of its readers left: then it is not for them, though their leaving comes behind it.
async fn missing(
    hub: &Hub,
    log: LogId,
    last: Seq,
) -> Result<(Vec<Event>, Vec<(UserId, Seq)>), Error> {
    let mut ends = Vec::new();
    let mut read = async |after: Seq| -> Result<(Seq, Vec<Event>), Error> {
        let store = &hub.store;
        let page = store.log(Viewer::All, log, after, hub.limits.page).await?;
        let end = page.entries.last().map_or(page.head, |(seq, _)| *seq);
        let events = page.entries.into_iter().filter_map(|(_, event)| event);
        let events: Vec<Event> = events.collect();
        ends.extend(events.iter().filter_map(|event| match event.kind {
            EventKind::Left { user } => Some((user, event.seq)),
            _ => None,
        }));
        Ok((end, events))
    };
    let (mut end, events) = read(last).await?;
    let changed = events.iter().filter_map(|event| event.message.as_ref());
    let changed = changed.map(|message| message.changed).max().unwrap_or(0);
    while end < changed {
        let before = end;
        (end, _) = read(before).await?;
        if end <= before {
            break;
        }
    }
    Ok((events, ends))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::kv::MemoryStore;
    use crate::{Actor, Change, Chat, Identity, Item, Limits, LogId, Role, Target, Write};

    /// Law 7: a hole that is read late holds messages as they became after a reader had left: these are not for that one.
    #[tokio::test(start_paused = true)]
    async fn what_is_read_late_is_told_as_it_was() {
        let store = std::sync::Arc::new(MemoryStore::new());
        let limits = Limits {
            sweep: Duration::from_secs(1),
            page: 2,
            ..Limits::default()
        };
        let here = Chat::builder(std::sync::Arc::clone(&store))
            .limits(limits)
            .build();
        // Without a bus nobody hears what is written there.
        let elsewhere = Chat::builder(store).build();
        let owner = here.enroll("test", "owner", "Owner").await.unwrap();
        let guest = here.enroll("test", "guest", "Guest").await.unwrap();
        let create = Change::Create {
            title: None,
            data: None,
            managed: false,
            history: crate::History::All,
            members: vec![(guest, Role::Member)],
        };
        let write = |target, changes| Write::new(Actor::User(owner), target, changes);
        let made = here
            .commit(write(Target::Group, vec![create]))
            .await
            .unwrap();
        let log = LogId::from(made.conversation.unwrap());
        let to = Target::Conversation(made.conversation.unwrap());
        let mut devices = [
            here.connect(Identity::of(guest)).await.unwrap(),
            here.connect(Identity::of(owner)).await.unwrap(),
        ];
        let edit = |message| Change::Edit {
            message,
            revision: None,
            content: "later".into(),
        };
        let fill = || Change::post("between");
        for changes in [
            vec![
                Change::post("first"),
                Change::post("second"),
                fill(),
                fill(),
            ],
            vec![
                edit(2),
                Change::Remove { user: guest },
                fill(),
                fill(),
                edit(3),
            ],
        ] {
            elsewhere.commit(write(to.clone(), changes)).await.unwrap();
        }
        let mut told = Vec::new();
        for device in &mut devices {
            let (mut items, mut seqs) = (Vec::new(), Vec::new());
            let is_end = |item: &Item| match item {
                Item::Event(event) if event.event.log == log => event.event.seq >= 7,
                _ => false,
            };
            while !items.iter().any(is_end) {
                device.drain(&mut items).await;
            }
            for item in items {
                match item {
                    Item::Event(event) if event.event.log == log => {
                        seqs.push((event.event.seq, event.text().map(str::to_owned)));
                    }
                    Item::Hidden(hidden) if hidden.log == log => seqs.push((hidden.seq, None)),
                    _ => {}
                }
            }
            told.push(seqs);
        }
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            told[0],
            [
                (2, text("later")),
                (3, None),
                (4, text("between")),
                (5, text("between")),
                (6, text("later")),
                (7, None),
            ],
            "who left at 7"
        );
        assert_eq!(told[1][1], (3, text("later")), "who stays");
    }
}
