//! The gate of a log: passes what is next, drops what was, keeps what comes too early and has the hole read from the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Delivery;
use super::shard::{Answer, Command, OpenLog, Shard};
use crate::{LogId, Seq, Viewer};

/// Events that may wait for a hole to be filled, for each log; what is above is fetched again.
const WAITING: usize = 1024;
/// How long a hole may fill by itself (hints overtake each other) before it is fetched.
const PATIENCE: Duration = Duration::from_millis(20);

/// What waits until missing events are there.
#[derive(Default)]
pub(super) struct Hole {
    events: BTreeMap<Seq, Arc<Delivery>>,
    pub(super) answers: Vec<(Seq, Answer)>,
    /// The log is known to reach this far.
    target: Seq,
    fetching: bool,
}

impl Shard {
    /// The gate: passes what is next, drops what was, keeps what comes too early.
    pub(super) async fn publish(
        &mut self,
        log: LogId,
        events: Vec<Arc<Delivery>>,
        answer: Option<Answer>,
    ) {
        let last = events.last().map_or(0, |delivery| delivery.event.seq);
        for delivery in events {
            self.arrive(log, delivery).await;
        }
        if let Some(answer) = answer {
            match self.logs.get_mut(&log) {
                Some(OpenLog {
                    last: passed,
                    hole: Some(hole),
                    ..
                }) if *passed < last => {
                    hole.answers.push((last, answer));
                }
                _ => answer.device.answer(answer.item),
            }
        }
    }

    pub(super) async fn arrive(&mut self, log: LogId, delivery: Arc<Delivery>) {
        let seq = delivery.event.seq;
        if !self.logs.contains_key(&log) {
            // A log nobody here was live on opens with the event by which somebody here joins it.
            self.join(log, &delivery);
        }
        let Some(open) = self.logs.get_mut(&log) else {
            return;
        };
        if seq == open.last + 1 {
            self.pass(log, delivery).await;
            self.fill(log).await;
        } else if seq > open.last {
            let hole = open.hole.get_or_insert_default();
            hole.target = hole.target.max(seq);
            if hole.events.len() < WAITING {
                hole.events.insert(seq, delivery);
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
            match hole.events.remove(&(last + 1)) {
                Some(next) => self.pass(log, next).await,
                None => {
                    if hole.events.is_empty()
                        && hole.answers.is_empty()
                        && hole.target <= last
                        && !hole.fetching
                    {
                        open.hole = None;
                    }
                    return;
                }
            }
        }
    }

    pub(super) fn hint(&mut self, log: LogId, seq: Seq) {
        if let Some(open) = self.logs.get_mut(&log)
            && seq > open.last
        {
            let hole = open.hole.get_or_insert_default();
            hole.target = hole.target.max(seq);
            self.fetch(log, Duration::ZERO);
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
        }
        for delivery in events {
            let seq = delivery.event.seq;
            if self.logs.get(&log).is_some_and(|open| seq == open.last + 1) {
                self.pass(log, delivery).await;
            }
        }
        self.fill(log).await;
        if self.logs.get(&log).is_some_and(|open| {
            open.hole
                .as_ref()
                .is_some_and(|hole| hole.target > open.last)
        }) {
            self.fetch(log, Duration::ZERO);
        }
    }
}
