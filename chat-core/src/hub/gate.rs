//! The gate of a log: passes what is next, drops what was, keeps what comes too early and has the hole read from the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::shard::{Answer, Command, OpenLog, Shard};
use super::{Delivery, Receipt};
use crate::{EventKind, LogId, Seq, Viewer};

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
            match self.logs.get_mut(&log) {
                Some(OpenLog {
                    last,
                    hole: Some(hole),
                    ..
                }) if *last < seq => {
                    hole.answers.push((seq, answer));
                }
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

    /// Has a hole read from the store after a while, unless that is under way.
    pub(super) fn fetch(&mut self, log: LogId, patience: Duration) {
        let Some(OpenLog {
            hole: Some(hole), ..
        }) = self.logs.get_mut(&log)
        else {
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
        let Some(OpenLog {
            last,
            hole: Some(hole),
            ..
        }) = self.logs.get_mut(&log)
        else {
            return;
        };
        if hole.target <= *last {
            hole.fetching = false;
            return;
        }
        let (last, hub, commands) = (*last, Arc::clone(&self.hub), self.commands.clone());
        tokio::spawn(async move {
            let page = hub.store.log(Viewer::All, log, last, hub.limits.page).await;
            let events = match page {
                Ok(page) => {
                    let events = page.entries.into_iter().filter_map(|(_, event)| event);
                    Some(events.map(|event| hub.recent.delivery(event)).collect())
                }
                Err(error) => {
                    tracing::warn!(%error, "a hole could not be read; the next sweep tries again");
                    None
                }
            };
            let _ = commands.send(Command::Fetched { log, events });
        });
    }

    pub(super) async fn fetched(&mut self, log: LogId, events: Option<Vec<Arc<Delivery>>>) {
        let Some(OpenLog {
            last,
            hole: Some(hole),
            ..
        }) = self.logs.get_mut(&log)
        else {
            return;
        };
        hole.fetching = false;
        let Some(events) = events else { return };
        let next = *last + 1;
        if events.first().is_none_or(|first| first.event.seq > next) {
            // The hint promised what the store does not have.
            hole.target = *last;
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
        if self.logs.get(&log).is_some_and(OpenLog::is_behind) {
            self.fetch(log, Duration::ZERO);
        }
    }
}
