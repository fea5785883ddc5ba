//! The shared half of a connection: its bounded queue.

mod catching;
mod watching;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use smallvec::SmallVec;
use tokio::time::Instant;

use self::catching::Catching;
pub(crate) use self::catching::Standing;
use self::watching::Watching;
use super::outlet::{Outlet, Rest, Run, Sent};
use super::signal::LIFE;
use super::soon::Wait;
use super::{Closed, Delivery, Item, Presence, Receipt, Signal};
use crate::{Error, Identity, Limits, LogId, UserId, Viewer, Write};

/// Signals that wait for a device, and their bytes: what does not fit is dropped.
const SIGNALS: usize = 32;
const SIGNAL_BYTES: usize = 64 << 10;

/// Locks; a panic elsewhere while it was held cannot have left these plain values half changed in a way that matters.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connected device as the hub sees it. What each fan-out and each reading look at are its first two cache lines.
#[repr(C, align(64))]
pub(crate) struct Device {
    state: Mutex<State>,
    pub(crate) user: UserId,
}

/// In this order: what each fan-out looks at stands together, then what reading adds, as it mostly has to be fetched from far.
#[repr(C)]
struct State {
    /// Where live events may go at once. Only ever there while nothing goes before them ([`State::is_clear`]), so that a
    /// fan-out need not look any further.
    lent: Option<Arc<dyn Outlet>>,
    closed: bool,
    /// The owner waits to be woken.
    sleeps: bool,
    /// Among those that are woken soon.
    soon: Option<Wait>,
    /// A task works off what was submitted.
    running: bool,
    in_flight: u32,
    /// Mostly one: it needs no room of its own.
    items: SmallVec<[Item; 1]>,
    bytes: usize,
    /// Of the owner, kept while it is awake: mostly it sleeps with the same one.
    waker: Option<Waker>,
    /// What went to the outlet in part.
    rest: Option<Box<Rest>>,
    /// Each with the time it was sent; one of each kind of a user in a conversation.
    signals: Vec<(Instant, Arc<Signal>)>,
    catching: BTreeMap<LogId, Catching>,
    identity: Identity,
    /// When it is closed, by the clock of this node.
    deadline: Option<Instant>,
    /// Submitted writes that wait for policy, in order.
    submitted: VecDeque<(u64, Write)>,
    /// There once it was said whose presence it is told.
    watching: Option<Box<Watching>>,
}

impl Device {
    pub(crate) fn new(identity: Identity) -> Arc<Self> {
        Arc::new(Self {
            user: identity.user,
            state: Mutex::new(State {
                lent: None,
                closed: false,
                sleeps: false,
                soon: None,
                running: false,
                in_flight: 0,
                rest: None,
                items: SmallVec::new(),
                bytes: 0,
                waker: None,
                signals: Vec::new(),
                catching: BTreeMap::new(),
                identity,
                deadline: None,
                submitted: VecDeque::new(),
                watching: None,
            }),
        })
    }

    pub(crate) fn identity(&self) -> Identity {
        lock(&self.state).identity
    }

    pub(crate) fn viewer(&self) -> Viewer {
        self.identity().viewer()
    }

    /// From now on it is this login's. Gives back when it ended before.
    pub(crate) fn renew(
        &self,
        identity: Identity,
        deadline: Option<Instant>,
    ) -> Result<Option<Instant>, Error> {
        let mut state = lock(&self.state);
        if (identity.user, identity.reach) != (state.identity.user, state.identity.reach) {
            return Err(Error::forbidden(
                "a connection goes on for the same user and reach only",
            ));
        }
        state.identity = identity;
        Ok(std::mem::replace(&mut state.deadline, deadline))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        lock(&self.state).deadline
    }

    /// Lends an outlet, unless something goes before live events: its owner is woken for that, or waits for an outcome.
    pub(super) fn lend(&self, outlet: &Arc<dyn Outlet>) {
        let mut state = lock(&self.state);
        if state.is_clear() {
            state.lent = Some(Arc::clone(outlet));
        }
    }

    pub(super) fn take_back(&self) -> Option<Rest> {
        let mut state = lock(&self.state);
        state.lent = None;
        let rest = *state.rest.take()?;
        state.bytes = state.bytes.saturating_sub(rest.size());
        Some(rest)
    }

    /// Live events, consecutive ones of a log. The log's shard calls this in the log's order. `all`: the same, if they may be
    /// sent through the outlet that is lent. True: they were. Who waits for the outcome of a write gets its event by the
    /// queue, in one write with it.
    pub(super) fn deliver(
        &self,
        all: Option<&Run<'_>>,
        run: &[Arc<Delivery>],
        is_hidden: impl Fn(&Delivery) -> bool,
        limits: &Limits,
    ) -> bool {
        let mut state = lock(&self.state);
        if all.is_some_and(|all| state.offer(all)) {
            return true;
        }
        state.change(|state| state.deliver(run, is_hidden, limits));
        false
    }

    /// The same for events that can wait. True: to be woken soon.
    #[must_use]
    pub(super) fn deliver_soon(
        &self,
        run: &[Arc<Delivery>],
        is_hidden: impl Fn(&Delivery) -> bool,
        limits: &Limits,
    ) -> bool {
        self.change_soon(Wait::Mark, |state| state.deliver(run, is_hidden, limits))
    }

    /// A signal: dropped where there is no room, or a newer one takes its place. True: to be woken soon.
    #[must_use]
    pub(super) fn signal(&self, signal: &Arc<Signal>, sent: Instant) -> bool {
        self.change_soon(Wait::Signal, |state| {
            state
                .signals
                .retain(|(sent, old)| !signal.replaces(old) && sent.elapsed() < LIFE);
            let bytes: usize = state.signals.iter().map(|(_, signal)| signal.size()).sum();
            if state.signals.len() < SIGNALS && bytes + signal.size() <= SIGNAL_BYTES {
                state.signals.push((sent, Arc::clone(signal)));
            }
        })
    }

    /// A receipt; a newer one of the same member takes its place. True: to be woken soon.
    #[must_use]
    pub(super) fn receipt(&self, receipt: &Arc<Receipt>, limits: &Limits) -> bool {
        self.change_soon(Wait::Mark, |state| {
            let place = (receipt.conversation, receipt.user);
            for item in &mut state.items {
                if let Item::Receipt(old) = item
                    && (old.conversation, old.user) == place
                {
                    *old = Arc::clone(receipt);
                    return;
                }
            }
            state.bytes += size_of::<Receipt>();
            state.push_within(Item::Receipt(Arc::clone(receipt)), limits);
        })
    }

    /// Somebody came or went. Bounded by how many are watched: a newer word takes the older one's place.
    pub(crate) fn presence(&self, presence: Presence) {
        lock(&self.state).change(|state| {
            for item in &mut state.items {
                if let Item::Presence(old) = item
                    && old.user == presence.user
                {
                    *old = presence;
                    return;
                }
            }
            state.items.push(Item::Presence(presence));
        });
    }

    /// Changes what is queued, unless it is closed. True: the owner sleeps, and is to be woken when this had its time to find
    /// company.
    fn change_soon(&self, wait: Wait, change: impl FnOnce(&mut State)) -> bool {
        let mut state = lock(&self.state);
        if state.closed {
            return false;
        }
        change(&mut state);
        state.recall();
        let sleeps = state.sleeps && state.has_queued();
        let is_first = sleeps && state.soon.is_none_or(|other| wait < other);
        if is_first {
            state.soon = Some(wait);
        }
        is_first
    }

    /// The time to find company is over.
    pub(super) fn wake(&self) {
        let mut state = lock(&self.state);
        state.soon = None;
        state.wake();
    }

    /// The outcome of a submitted write. Not bounded by the queue but by what may be in flight.
    pub(crate) fn answer(&self, item: Item) {
        let mut state = lock(&self.state);
        state.in_flight = state.in_flight.saturating_sub(1);
        if !state.closed {
            state.items.push(item);
            state.recall();
            state.wake();
        }
    }

    /// Ends the connection behind what is queued already.
    pub(crate) fn close(&self, why: Closed) {
        let mut state = lock(&self.state);
        state.finish(why);
        state.recall();
        state.wake();
    }

    /// Takes a place among the writes in flight.
    pub(crate) fn begin(&self, limit: usize) -> bool {
        let mut state = lock(&self.state);
        let free = (state.in_flight as usize) < limit;
        state.in_flight = state.in_flight.saturating_add(free.into());
        state.recall();
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

    /// Moves all that is queued to `items`; pending, with the waker kept, when there is nothing. Signals come first, so
    /// that none comes behind the event that removes this user.
    pub(crate) fn poll(&self, cx: &mut Context<'_>, items: &mut Vec<Item>) -> Poll<()> {
        let mut state = lock(&self.state);
        let before = items.len();
        if !state.signals.is_empty() {
            let signals = std::mem::take(&mut state.signals).into_iter();
            let in_time = signals.filter(|(sent, _)| sent.elapsed() < LIFE);
            items.extend(in_time.map(|(_, signal)| Item::Signal(signal)));
        }
        if state.items.spilled() {
            // An idle connection holds no buffer: who brings none gets this one.
            let mut queued = std::mem::take(&mut state.items).into_vec();
            if items.capacity() == 0 {
                *items = queued;
            } else {
                items.append(&mut queued);
            }
        } else {
            // One at most.
            items.extend(state.items.pop());
        }
        state.sleeps = items.len() == before;
        if state.sleeps {
            match &mut state.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        state.bytes = 0;
        Poll::Ready(())
    }
}

impl State {
    /// Changes what is queued, unless it is closed, and wakes the owner when something is there.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        if self.closed {
            return;
        }
        change(self);
        self.recall();
        self.wake();
    }

    /// Sends live events through the outlet that is lent, if nothing stands before them; false: nothing was sent.
    fn offer(&mut self, run: &Run<'_>) -> bool {
        let Some(outlet) = &self.lent else {
            return false;
        };
        debug_assert!(self.is_clear());
        match outlet.offer(run) {
            Sent::All => return true,
            Sent::Nothing => {}
            Sent::Part(rest) => {
                self.bytes += rest.size();
                self.rest = Some(Box::new(rest));
            }
        }
        // It takes no more for now: its owner finds out when it does.
        self.lent = None;
        self.wake();
        self.rest.is_some()
    }

    fn deliver(
        &mut self,
        run: &[Arc<Delivery>],
        is_hidden: impl Fn(&Delivery) -> bool,
        limits: &Limits,
    ) {
        for delivery in run {
            if !self.is_due(delivery) {
                continue;
            }
            self.bytes += delivery.size();
            let item = if is_hidden(delivery) {
                Item::Hidden(delivery.hidden())
            } else {
                Item::Event(Arc::clone(delivery))
            };
            if !self.push_within(item, limits) {
                return;
            }
        }
    }

    /// Queues an item whose bytes are counted already; false when that was too much.
    fn push_within(&mut self, item: Item, limits: &Limits) -> bool {
        if self.items.len() >= limits.queue_items || self.bytes > limits.queue_bytes {
            // All it missed is in the store: it may resume.
            self.items.clear();
            self.finish(Closed::Slow);
            return false;
        }
        self.items.push(item);
        true
    }

    /// Whether nothing goes before live events: not the outcome of a write, nor what is resumed.
    fn is_clear(&self) -> bool {
        !self.closed && self.in_flight == 0 && !self.has_queued() && self.catching.is_empty()
    }

    /// Takes the outlet from the fan-out when something goes before live events now. The owner lends it again behind that.
    fn recall(&mut self) {
        if self.lent.is_some() && !self.is_clear() {
            self.lent = None;
        }
    }

    /// Whether something waits for the owner.
    fn has_queued(&self) -> bool {
        !self.items.is_empty() || !self.signals.is_empty() || self.rest.is_some()
    }

    fn wake(&mut self) {
        if self.sleeps
            && self.has_queued()
            && let Some(waker) = &self.waker
        {
            self.sleeps = false;
            waker.wake_by_ref();
        }
    }

    fn finish(&mut self, why: Closed) {
        if !std::mem::replace(&mut self.closed, true) {
            self.signals = Vec::new();
            self.items.push(Item::Closed(why));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    /// A test and no part of the build, as other systems have other locks.
    #[test]
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    fn what_is_looked_at_is_near_and_all_of_it_small() {
        let lock = size_of::<Mutex<State>>() - size_of::<State>();
        // Two cache lines, where nothing is resumed.
        assert!(lock + offset_of!(State, catching) <= 128);
        // There is one for each socket.
        assert!(size_of::<Device>() <= 256);
    }
}
