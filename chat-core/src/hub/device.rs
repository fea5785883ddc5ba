//! The shared half of a connection: its bounded queue, and what it still has to catch up with.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{Closed, Delivery, Item};
use crate::{Identity, Limits, LogId, Seq, Write};

/// Locks; a panic elsewhere while it was held cannot have left these plain values half changed in a way that matters.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connected device as the hub sees it.
pub(crate) struct Device {
    pub(crate) identity: Identity,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    waker: Option<Waker>,
    closed: bool,
    in_flight: usize,
    catching: Vec<Catching>,
    /// Submitted writes that wait for policy, in order; `running`: a task works them off.
    submitted: VecDeque<(u64, Write)>,
    running: bool,
}

/// A log that this device resumes.
#[derive(Clone, Copy, Debug)]
struct Catching {
    log: LogId,
    /// Delivered up to here.
    cursor: Seq,
    /// Live events after the cursor are delivered.
    live: bool,
}

impl Device {
    pub(crate) fn new(identity: Identity) -> Arc<Self> {
        Arc::new(Self {
            identity,
            state: Mutex::default(),
        })
    }

    /// A live event. The shard of its log calls this in the log's order.
    pub(crate) fn deliver(&self, delivery: &Arc<Delivery>, hidden: bool, limits: &Limits) {
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        if !state.catching.is_empty() {
            let (log, seq) = (delivery.event.log, delivery.event.seq);
            if let Some(place) = state
                .catching
                .iter()
                .position(|catching| catching.log == log)
            {
                if !state.catching[place].live || seq <= state.catching[place].cursor {
                    return;
                }
                state.catching.swap_remove(place);
            }
        }
        state.bytes += delivery.size();
        if state.items.len() >= limits.queue_items || state.bytes > limits.queue_bytes {
            // All it missed is in the store: it may resume.
            state.items.clear();
            state.finish(Closed::Slow);
            return;
        }
        state.push(if hidden {
            Item::Hidden(delivery.hidden())
        } else {
            Item::Event(Arc::clone(delivery))
        });
    }

    /// The outcome of a submitted write. Not bounded by the queue but by what may be in flight.
    pub(crate) fn answer(&self, item: Item) {
        let mut state = lock(&self.state);
        state.in_flight = state.in_flight.saturating_sub(1);
        if !state.closed {
            state.push(item);
        }
    }

    /// Ends the connection behind what is queued already.
    pub(crate) fn close(&self, why: Closed) {
        lock(&self.state).finish(why);
    }

    /// Takes a place among the writes in flight.
    pub(crate) fn begin(&self, limit: usize) -> bool {
        let mut state = lock(&self.state);
        let free = state.in_flight < limit;
        state.in_flight += usize::from(free);
        free
    }

    /// Whether a write may overtake nothing: none before it waits for a policy.
    pub(crate) fn is_straight(&self) -> bool {
        !lock(&self.state).running
    }

    /// Queues a write behind those that wait; true when the caller has to start the task that works them off.
    pub(crate) fn queue(&self, reference: u64, write: Write) -> bool {
        let mut state = lock(&self.state);
        state.submitted.push_back((reference, write));
        !std::mem::replace(&mut state.running, true)
    }

    /// The next write that waits; `None` ends the task.
    pub(crate) fn next_queued(&self) -> Option<(u64, Write)> {
        let mut state = lock(&self.state);
        let next = state.submitted.pop_front();
        state.running = next.is_some();
        if next.is_none() {
            state.submitted = VecDeque::new();
        }
        next
    }

    /// From now on this log comes by resuming. Live events of it that are queued already are taken back.
    pub(crate) fn catch_up(&self, log: LogId, cursor: Seq) {
        let mut state = lock(&self.state);
        state.items.retain(|item| match item {
            Item::Event(delivery) => delivery.event.log != log,
            Item::Hidden(hidden) => hidden.log != log,
            _ => true,
        });
        state.catching.retain(|catching| catching.log != log);
        state.catching.push(Catching {
            log,
            cursor,
            live: false,
        });
    }

    /// Delivered up to here by resuming.
    pub(crate) fn caught(&self, log: LogId, cursor: Seq) {
        if let Some(catching) = lock(&self.state)
            .catching
            .iter_mut()
            .find(|catching| catching.log == log)
        {
            catching.cursor = cursor;
        }
    }

    /// The log's gate stands at `last` (`None`: this user is not live on it): goes live if nothing lies between. The shard calls this between two deliveries.
    pub(crate) fn go_live(&self, log: LogId, last: Option<Seq>) -> bool {
        let mut state = lock(&self.state);
        let place = state
            .catching
            .iter()
            .position(|catching| catching.log == log);
        let Some(place) = place else { return true };
        let cursor = state.catching[place].cursor;
        match last {
            Some(last) if last > cursor => return false,
            // The store was read ahead of the gate: what comes twice is left out.
            Some(last) if last < cursor => state.catching[place].live = true,
            _ => drop(state.catching.swap_remove(place)),
        }
        true
    }

    /// Moves all that is queued to `items`; pending, with the waker kept, when there is nothing.
    pub(crate) fn poll(&self, cx: &mut Context<'_>, items: &mut Vec<Item>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.items.is_empty() {
            match &mut state.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        items.extend(state.items.drain(..));
        state.bytes = 0;
        if state.items.capacity() > 8 {
            // An idle connection holds no buffer.
            state.items = VecDeque::new();
        }
        Poll::Ready(())
    }
}

impl State {
    fn push(&mut self, item: Item) {
        self.items.push_back(item);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn finish(&mut self, why: Closed) {
        if !std::mem::replace(&mut self.closed, true) {
            self.push(Item::Closed(why));
        }
    }
}
