//! A shard owns a part of the logs that are open here: for each its gate (order) and its subscribers (fan-out).
//!
//! A log has one owner, so ordering, membership and fan-out of one log are one sequence without locks between them.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::device::{Device, lock};
use super::gate::Hole;
use super::receipts::Told;
use super::signal::Signalled;
use super::subscribe::{Subscribe, Subscriber};
use super::users::OnlineUser;
use super::{Delivery, Hub, Item, Receipt, Run, Standing};
use crate::{EventKind, LogId, Seq, UserId};

/// After so many devices a fan-out lets other tasks run.
const BATCH: usize = 512;
/// What sending costs, counted in devices that are only told that something is there.
const SENDING: usize = 8;
/// Devices that a fan-out sends to by itself, divided by the threads of the runtime: the rest are woken, so that a large
/// room is served by all threads, and its shard is soon free for other logs.
const SENT: usize = 8192;

/// Commands that are looked at together: what follows one another in a log goes out together.
const COMMANDS: usize = 64;

/// What a shard is asked to do.
pub(crate) enum Command {
    /// Consecutive events of a log, and who is to be answered behind them.
    Publish {
        log: LogId,
        events: Vec<Arc<Delivery>>,
        answer: Option<Answer>,
        room: Option<OwnedSemaphorePermit>,
    },
    /// Somebody does something that is not stored.
    Signal { log: LogId, signalled: Signalled },
    /// A mark, and where the log stood when it was read.
    Receipt {
        log: LogId,
        receipt: Arc<Receipt>,
        seen: Seq,
    },
    /// Members had moved their marks so often when a conversation was opened here …
    Opened { log: LogId, count: u64 },
    /// … and all of so many were told by now.
    Marked { log: LogId, count: u64 },
    /// A log has at least this seq.
    Hint { log: LogId, seq: Seq },
    /// A hole had its time to fill by itself.
    Fetch { log: LogId },
    /// A user becomes live on a log.
    Subscribe(Subscribe),
    /// A user is gone from this node.
    Unsubscribe { log: LogId, user: Arc<OnlineUser> },
    /// A user cleared a conversation.
    Clear {
        log: LogId,
        user: UserId,
        through: Seq,
    },
    /// A device has caught up: may it go live?
    GoLive {
        log: LogId,
        device: Arc<Device>,
        /// It has all there is, should it be away.
        ends: bool,
        reply: oneshot::Sender<Standing>,
    },
    /// A hole was read from the store, or could not be.
    Fetched {
        log: LogId,
        events: Option<Vec<Arc<Delivery>>>,
        /// Who leaves, where.
        ends: Vec<(UserId, Seq)>,
    },
    /// Compare the open logs with the store.
    Sweep,
    /// Everything asked before has been done.
    Flush(oneshot::Sender<()>),
    /// The chat is gone.
    Stop,
}

/// The outcome of a write, for the device that submitted it.
pub(crate) struct Answer {
    pub(crate) device: Arc<Device>,
    pub(crate) item: Item,
}

/// A log that is open here.
pub(super) struct OpenLog {
    /// Delivered up to here.
    pub(super) last: Seq,
    /// Memberships read at this seq or later still hold: nobody left since.
    pub(super) settled: Seq,
    pub(super) subscribers: Vec<Subscriber>,
    pub(super) hole: Option<Box<Hole>>,
    /// How often members had moved their marks when all that was told.
    pub(super) marks: Option<u64>,
    /// Of members who moved theirs since it is open here.
    pub(super) told: Vec<Told>,
}

impl OpenLog {
    /// Whether more is known to be in the store than has come here, somebody's leaving perhaps.
    pub(super) fn is_behind(&self) -> bool {
        let hole = self.hole.as_ref();
        hole.is_some_and(|hole| hole.target > self.last)
    }
}

pub(crate) struct Shard {
    pub(super) hub: Arc<Hub>,
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) logs: HashMap<LogId, OpenLog>,
}

impl Shard {
    pub(crate) async fn run(
        hub: Arc<Hub>,
        commands: mpsc::UnboundedSender<Command>,
        mut receive: mpsc::UnboundedReceiver<Command>,
    ) {
        let mut shard = Self {
            hub,
            commands,
            logs: HashMap::new(),
        };
        let mut received = Vec::with_capacity(COMMANDS);
        while receive.recv_many(&mut received, COMMANDS).await > 0 {
            let mut commands = received.drain(..).peekable();
            while let Some(command) = commands.next() {
                match command {
                    Command::Publish {
                        log,
                        mut events,
                        answer,
                        mut room,
                    } => {
                        let last = |events: &[Arc<Delivery>]| {
                            events.last().map_or(0, |delivery| delivery.event.seq)
                        };
                        let mut answers = Vec::with_capacity(1);
                        answers.extend(answer.map(|answer| (last(&events), answer)));
                        while let Some(Command::Publish {
                            events: more,
                            answer,
                            room: other,
                            ..
                        }) = commands.next_if(|next| {
                            matches!(next, Command::Publish { log: other, .. } if *other == log)
                        }) {
                            answers.extend(answer.map(|answer| (last(&more), answer)));
                            events.extend(more);
                            match (&mut room, other) {
                                (Some(room), Some(other)) => room.merge(other),
                                (room, other) => *room = room.take().or(other),
                            }
                        }
                        shard.publish(log, &events, answers).await;
                        drop(room);
                    }
                    Command::Stop => return,
                    command => shard.obey(command).await,
                }
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Signal { log, signalled } => self.signal(log, signalled).await,
            Command::Receipt { log, receipt, seen } => self.receipt(log, receipt, seen).await,
            Command::Opened { log, count } => {
                if let Some(open) = self.logs.get_mut(&log) {
                    open.marks.get_or_insert(count);
                }
            }
            Command::Marked { log, count } => {
                if let Some(open) = self.logs.get_mut(&log) {
                    open.marks = Some(count);
                }
            }
            Command::Hint { log, seq } => self.hint(log, seq),
            Command::Fetch { log } => self.read(log),
            Command::Subscribe(subscribe) => self.subscribe(subscribe),
            Command::Unsubscribe { log, user } => self.unsubscribe(log, &user),
            Command::Clear { log, user, through } => self.clear(log, user, through),
            Command::GoLive {
                log,
                device,
                ends,
                reply,
            } => {
                // Only somebody who is live here can be told the rest live.
                let user = device.user;
                let here = self
                    .hub
                    .users
                    .get(user)
                    .is_some_and(|user| user.place(log).is_some());
                let last = self.logs.get(&log).filter(|_| here).map(|open| open.last);
                let _ = reply.send(device.go_live(log, last, ends));
            }
            Command::Fetched { log, events, ends } => self.fetched(log, events, ends).await,
            Command::Sweep => self.sweep(),
            Command::Flush(done) => {
                let _ = done.send(());
            }
            Command::Publish { .. } | Command::Stop => {}
        }
    }

    /// Delivers what is next to all subscribers, all of it at once. Whoever joins by an event gets it as their first, whoever
    /// it removes as their last: such an event comes alone.
    pub(super) async fn pass(&mut self, log: LogId, run: &[Arc<Delivery>]) {
        let Some(delivery) = run.last() else { return };
        self.join(log, delivery);
        let seq = delivery.event.seq;
        let Some(open) = self.logs.get_mut(&log) else {
            return;
        };
        open.last = seq;
        if let (EventKind::Blocked { user, on }, LogId::User(by)) = (&delivery.event.kind, log) {
            // Before it is told: who knows of it sees it hold.
            self.hub.blocked(by, *user, *on);
        }
        let all = Run::new(run);
        let mut may_send = SENT / self.hub.shards.len();
        let mut count = 0;
        for subscriber in &open.subscribers {
            let old = run.partition_point(|delivery| delivery.event.seq <= subscriber.after);
            let run = &run[old..];
            if run.is_empty() {
                continue;
            }
            let is_all = old == 0 && !run.iter().any(|delivery| subscriber.hides(delivery));
            {
                let devices = lock(&subscriber.user.devices);
                for device in devices.iter() {
                    if is_all && may_send > 0 && device.offer(&all) {
                        may_send -= 1;
                        count += SENDING;
                        continue;
                    }
                    device.deliver(run, |delivery| subscriber.hides(delivery), &self.hub.limits);
                    count += 1;
                }
            }
            if count >= BATCH {
                count = 0;
                tokio::task::yield_now().await;
            }
        }
        match (&delivery.event.kind, log) {
            (EventKind::Left { user }, _) => {
                open.settled = open.settled.max(open.last);
                open.told.retain(|told| told.user != *user);
                if let Some(user) = self.hub.users.get(*user) {
                    if user.place(log).is_some() {
                        user.leave(log, seq);
                    }
                    self.unsubscribe(log, &user);
                    if let LogId::Conversation(id) = log
                        && !self.logs.contains_key(&log)
                    {
                        // The log closed with its last reader here, who may be back already by an event that follows.
                        self.look_up(user, id, seq);
                    }
                }
            }
            (EventKind::Added { conversation, seq }, LogId::User(user)) => {
                self.added(user, *conversation, *seq)
            }
            (
                EventKind::Hid {
                    conversation,
                    through,
                },
                LogId::User(user),
            ) => {
                let log = LogId::Conversation(*conversation);
                self.hub.send(
                    log,
                    Command::Clear {
                        log,
                        user,
                        through: *through,
                    },
                );
            }
            (EventKind::Removed { .. }, LogId::User(user)) => self.hub.check_watched(user),
            (EventKind::LoginsRevoked { login, before }, LogId::User(user)) => {
                self.hub.revoked(user, *login, *before);
            }
            _ => {}
        }
    }

    /// Does something for the devices of all who may see the end of a log now.
    pub(super) async fn each_present(&self, log: LogId, tell: impl Fn(&OnlineUser, &Device)) {
        let Some(open) = self.logs.get(&log) else {
            return;
        };
        let mut count = 0;
        for subscriber in &open.subscribers {
            if open.last < subscriber.after || !subscriber.ranges.contains(open.last + 1) {
                continue;
            }
            {
                let devices = lock(&subscriber.user.devices);
                for device in devices.iter() {
                    tell(&subscriber.user, device);
                }
                count += devices.len();
            }
            if count >= BATCH {
                count = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// Asks the store where the open logs stand, and how often marks were moved there: a lost last hint is found here.
    fn sweep(&mut self) {
        let known: HashMap<LogId, Option<u64>> = self
            .logs
            .iter()
            .map(|(log, open)| (*log, open.marks))
            .collect();
        if known.is_empty() {
            return;
        }
        let hub = Arc::clone(&self.hub);
        tokio::spawn(async move {
            let logs: Vec<LogId> = known.keys().copied().collect();
            for logs in logs.chunks(500) {
                for (log, count) in hub.look(logs).await {
                    if let LogId::Conversation(id) = log
                        && known.get(&log) != Some(&Some(count))
                        && let Err(error) = hub.tell_marks(id, count).await
                    {
                        tracing::warn!(%error, "marks could not be read; the next sweep tries again");
                    }
                }
            }
        });
    }
}
