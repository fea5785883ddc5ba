//! This node's connections: who is live on which log, and how events reach them.
//!
//! Three parts: **shards** own the open logs (order and fan-out), **devices** own a bounded queue each, **users** tie the
//! devices of a user together. Everything arrives the same way, whether committed here, told by the bus or found by the sweep.

mod arrival;
mod asks;
mod connection;
mod delivery;
mod device;
mod gate;
mod outlet;
mod pass;
mod presence;
mod receipts;
mod recent;
mod shard;
mod signal;
mod soon;
mod subscribe;
mod upkeep;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

pub use connection::Connection;
pub use delivery::{Closed, Delivery, Format, Hidden, Item, Presence};
pub(crate) use device::{Device, Standing, lock};
pub use outlet::{Loan, Outlet, Rest, Run, Sent};
pub use receipts::Receipt;
pub(crate) use shard::{Answer, Command};
pub use signal::Signal;

use tokio::time::Instant;

use crate::rate::Rates;
use crate::rules::{Row, RowKey};
use crate::{Bus, Committed, Error, Event, EventKind, Hint, Limits, LogId, Seq, Store};
use shard::Shard;
use users::Users;

/// Events that may be on their way through the shards before committing waits for the fan-out.
const ROOM: usize = 4096;
/// A larger event is told to other nodes by its seq alone.
const HINT_BYTES: usize = 4 << 10;

/// The hub of one node.
pub(crate) struct Hub {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) bus: Option<Arc<dyn Bus>>,
    /// Tells this node's hints from others'.
    node: u64,
    /// What this node's hints count time from.
    started: Instant,
    users: Users,
    pub(crate) marks: receipts::Marks,
    presences: presence::Presences,
    soon: Arc<soon::Soon>,
    signal_rates: Rates,
    signal_room: Arc<Semaphore>,
    believed: signal::Believed,
    clocks: signal::Clocks,
    pub(crate) recent: recent::Recent,
    shards: Vec<mpsc::UnboundedSender<Command>>,
    room: Arc<Semaphore>,
    formats: AtomicUsize,
    pub(crate) connections: AtomicUsize,
    /// Something was committed, here or elsewhere, or may have been.
    pub(crate) changed: Arc<Notify>,
    arrived: Notify,
    gone: Notify,
    expiries: upkeep::Expiries,
}

impl Hub {
    /// Starts the shards, one for each thread of the runtime.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        limits: Arc<Limits>,
        bus: Option<Arc<dyn Bus>>,
    ) -> Arc<Self> {
        let workers = tokio::runtime::Handle::current()
            .metrics()
            .num_workers()
            .clamp(1, 16);
        let (shards, receivers): (Vec<_>, Vec<_>) =
            (0..workers).map(|_| mpsc::unbounded_channel()).unzip();
        let mut node = [0; 8];
        crate::random(&mut node);
        let hub = Arc::new(Self {
            store,
            limits,
            bus,
            node: u64::from_ne_bytes(node),
            started: Instant::now(),
            users: Users::default(),
            marks: receipts::Marks::default(),
            presences: presence::Presences::default(),
            soon: Arc::default(),
            signal_rates: Rates::default(),
            signal_room: Arc::new(Semaphore::new(signal::ROOM)),
            believed: signal::Believed::default(),
            clocks: signal::Clocks::default(),
            recent: recent::Recent::default(),
            shards,
            room: Arc::new(Semaphore::new(ROOM)),
            formats: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            changed: Arc::new(Notify::new()),
            arrived: Notify::new(),
            gone: Notify::new(),
            expiries: upkeep::Expiries::default(),
        });
        for (commands, receive) in hub.shards.iter().zip(receivers) {
            tokio::spawn(Shard::run(Arc::clone(&hub), commands.clone(), receive));
        }
        upkeep::start(&hub);
        soon::start(&hub);
        crate::search::follow::start(&hub);
        hub
    }

    /// Ends the shards; the hub's tasks hold it no longer.
    pub(crate) fn stop(&self) {
        self.all(|| Command::Stop);
    }

    /// Ends when the hub is stopped.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let shard = self.shards[0].clone();
        async move { shard.closed().await }
    }

    fn send(&self, log: LogId, command: Command) {
        let number = match log {
            LogId::Conversation(id) => id.get(),
            LogId::User(id) => id.get().rotate_left(32),
        };
        // A good spread of neighbouring ids (Fibonacci hashing).
        let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let shard = &self.shards[(spread as usize) % self.shards.len()];
        // The receiver is gone only when the chat is.
        let _ = shard.send(command);
    }

    fn all(&self, command: impl Fn() -> Command) {
        for shard in &self.shards {
            let _ = shard.send(command());
        }
    }

    fn watch(&self, log: LogId, on: bool) {
        if let Some(bus) = &self.bus {
            bus.watch(log, on);
        }
    }

    /// Waits until the fan-out has room for so many events more: whoever commits goes no faster than readers are served.
    pub(crate) async fn room(&self, events: usize) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let events = u32::try_from(events.clamp(1, ROOM)).unwrap_or(1);
        Arc::clone(&self.room).acquire_many_owned(events).await.ok()
    }

    /// What was committed goes to the gates here and to other nodes, and the outcome to who submitted it, behind the events.
    pub(crate) async fn publish(&self, events: Vec<Event>, answer: Option<Answer>) {
        let room = self.room(events.len()).await;
        self.post(events, answer, room);
    }

    /// [`Hub::publish`] without waiting for room.
    pub(crate) fn post(
        &self,
        events: Vec<Event>,
        answer: Option<Answer>,
        mut room: Option<tokio::sync::OwnedSemaphorePermit>,
    ) {
        self.changed.notify_one();
        let mut runs: Vec<(LogId, Vec<Arc<Delivery>>)> = Vec::with_capacity(1);
        for event in events {
            let log = event.log;
            if let (EventKind::Blocked { user, on }, LogId::User(by)) = (&event.kind, log) {
                // Whom it concerns may be connected where the one who blocks is not.
                self.blocked(by, *user, *on);
                self.tell(|| Hint::Blocked {
                    by,
                    user: *user,
                    on: *on,
                });
            }
            let delivery = self.recent.delivery(event);
            self.hint(&delivery);
            match runs.last_mut().filter(|(last, _)| *last == log) {
                Some((_, run)) => run.push(delivery),
                None => runs.push((log, vec![delivery])),
            }
        }
        let Some((last, events)) = runs.pop() else {
            if let Some(answer) = answer {
                answer.device.answer(answer.item);
            }
            return;
        };
        for (log, events) in runs {
            let room = room.as_mut().and_then(|room| room.split(events.len()));
            self.send(
                log,
                Command::Publish {
                    log,
                    events,
                    answer: None,
                    room,
                },
            );
        }
        self.send(
            last,
            Command::Publish {
                log: last,
                events,
                answer,
                room,
            },
        );
    }

    fn hint(&self, delivery: &Delivery) {
        if let Some(bus) = &self.bus {
            let event = &delivery.event;
            if delivery.size() <= HINT_BYTES {
                bus.publish(&Hint::Event(Box::new(event.clone())));
            } else {
                bus.publish(&Hint::Head {
                    log: event.log,
                    seq: event.seq,
                });
            }
        }
    }

    /// Tells the other nodes, if there is a bus.
    fn tell(&self, hint: impl FnOnce() -> Hint) {
        if let Some(bus) = &self.bus {
            bus.publish(&hint());
        }
    }

    /// Compares logs with the store, at most 500. Gives back how often marks were moved in each conversation.
    async fn look(&self, logs: &[LogId]) -> Vec<(LogId, u64)> {
        let marks = |log: &LogId| match log {
            LogId::Conversation(id) => Some(RowKey::Marks(*id)),
            LogId::User(_) => None,
        };
        let heads = logs.iter().map(|log| RowKey::Head(*log));
        let keys: Vec<RowKey> = heads.chain(logs.iter().filter_map(marks)).collect();
        match self.store.rows(keys).await {
            Ok(rows) => {
                let mut rows = rows.into_iter();
                for (log, row) in logs.iter().zip(rows.by_ref()) {
                    if let Some(Row::Head(head)) = row {
                        self.send(
                            *log,
                            Command::Hint {
                                log: *log,
                                seq: head.seq,
                            },
                        );
                    }
                }
                let conversations = logs.iter().filter(|log| marks(log).is_some());
                let count = |row| match row {
                    Some(Row::Marks(count)) => count,
                    _ => 0,
                };
                conversations
                    .zip(rows)
                    .map(|(log, row)| (*log, count(row)))
                    .collect()
            }
            Err(error) => {
                tracing::warn!(%error, "the heads of open logs could not be read");
                Vec::new()
            }
        }
    }

    /// Waits until the shards have done what they were asked so far.
    pub(crate) async fn flush(&self) {
        let mut waits = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let (done, wait) = oneshot::channel();
            if shard.send(Command::Flush(done)).is_ok() {
                waits.push(wait);
            }
        }
        for wait in waits {
            let _ = wait.await;
        }
    }

    pub(crate) fn format(&self) -> Result<Format, Error> {
        let slot = self.formats.fetch_add(1, Ordering::Relaxed);
        if slot < delivery::FORMATS {
            Ok(Format(slot))
        } else {
            Err(Error::internal("a chat has at most 4 wire formats"))
        }
    }
}

/// The outcome of a submitted write, as its device is told.
pub(crate) fn answer(
    device: Arc<Device>,
    reference: u64,
    outcome: &Result<Committed, Error>,
) -> Answer {
    let item = match outcome {
        Ok(committed) => {
            let committed = Box::new(Committed {
                events: Vec::new(),
                ..committed.clone()
            });
            Item::Done {
                reference,
                committed,
            }
        }
        Err(error) => Item::Refused {
            reference,
            error: Box::new(error.clone()),
        },
    };
    Answer { device, item }
}

pub(crate) fn logs_named_twice(cursors: &[(LogId, Seq)]) -> bool {
    let mut logs: Vec<LogId> = cursors.iter().map(|(log, _)| *log).collect();
    logs.sort_unstable();
    logs.windows(2).any(|pair| pair[0] == pair[1])
}
