//! What a device still has to catch up with: logs that it resumes, and from when on their live events are its own.

use super::{Device, State, lock};
use crate::hub::{Delivery, Item};
use crate::{LogId, Seq};

/// A log that this device resumes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Catching {
    /// Delivered up to here.
    cursor: Seq,
    /// Live events after the cursor are delivered.
    live: bool,
}

/// How a device stands to a log it resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It gets what follows.
    Live,
    /// More has passed meanwhile.
    Behind,
    /// The user is not live on it.
    Away,
    /// Nor a member: the device was told that this is all.
    Over,
}

impl Device {
    /// From now on these logs come by resuming. Live events of them that are queued already are taken back.
    pub(crate) fn catch_up(&self, logs: &[(LogId, Seq)]) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        for (log, cursor) in logs {
            let (cursor, live) = (*cursor, false);
            state.catching.insert(*log, Catching { cursor, live });
        }
        state.recall();
        let catching = &state.catching;
        let is_caught_up = |log: &LogId| catching.get(log).is_some_and(|catching| !catching.live);
        state.items.retain(|item| match item {
            Item::Event(delivery) => !is_caught_up(&delivery.event.log),
            Item::Hidden(hidden) => !is_caught_up(&hidden.log),
            _ => true,
        });
    }

    /// Delivered up to here by resuming.
    pub(crate) fn caught(&self, log: LogId, cursor: Seq) {
        if let Some(catching) = lock(&self.state).catching.get_mut(&log) {
            catching.cursor = cursor;
        }
    }

    /// Whether one of these logs is being resumed.
    pub(crate) fn resumes_any(&self, logs: &[(LogId, Seq)]) -> bool {
        let state = lock(&self.state);
        let is_resumed = |catching: &Catching| !catching.live;
        logs.iter()
            .any(|(log, _)| state.catching.get(log).is_some_and(is_resumed))
    }

    /// The log's gate stands at `last` (`None`: this user is not live on it): goes live if nothing lies between. The shard
    /// calls this between two deliveries. With `ends`, one who is not live on it was told all there is: what comes when they
    /// are back comes behind that word.
    pub(crate) fn go_live(&self, log: LogId, last: Option<Seq>, ends: bool) -> Standing {
        let mut state = lock(&self.state);
        let Some(last) = last else {
            if !ends {
                return Standing::Away;
            }
            if !state.closed && state.catching.remove(&log).is_some() {
                state.items.push(Item::Live { log });
                state.recall();
                state.wake();
            }
            return Standing::Over;
        };
        match state.catching.get_mut(&log) {
            Some(catching) if last > catching.cursor => return Standing::Behind,
            // The store was read ahead of the gate: what comes twice is left out.
            Some(catching) if last < catching.cursor => catching.live = true,
            Some(_) => drop(state.catching.remove(&log)),
            None => {}
        }
        Standing::Live
    }

    /// A log is resumed no longer: what comes live is delivered.
    pub(crate) fn let_be(&self, log: LogId) {
        lock(&self.state).catching.remove(&log);
    }
}

impl State {
    /// Whether a live event is to be delivered: not if its log is being resumed.
    pub(super) fn is_due(&mut self, delivery: &Delivery) -> bool {
        if self.catching.is_empty() {
            return true;
        }
        let (log, seq) = (delivery.event.log, delivery.event.seq);
        match self.catching.get(&log) {
            Some(catching) if !catching.live || seq <= catching.cursor => false,
            Some(_) => {
                self.catching.remove(&log);
                true
            }
            None => true,
        }
    }
}
