//! A shard owns a part of the logs that are open here: for each its gate (order) and its subscribers (fan-out).
//!
//! A log has one owner, so ordering, membership and fan-out of one log are one sequence without locks between them.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::device::{Device, lock};
use super::gate::Hole;
use super::signal::Signalled;
use super::users::OnlineUser;
use super::{Closed, Delivery, Hub, Item, Receipt, Standing};
use crate::rules::{Row, RowKey};
use crate::{ConversationId, EventKind, LogId, Ranges, Seq, UserId};

/// After so many devices a fan-out lets other tasks run.
const BATCH: usize = 512;

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
        reply: oneshot::Sender<Standing>,
    },
    /// A hole was read from the store, or could not be.
    Fetched {
        log: LogId,
        events: Option<Vec<Arc<Delivery>>>,
    },
    /// Compare the open logs with the store.
    Sweep,
    /// Everything asked before has been done.
    Flush(oneshot::Sender<()>),
    /// The chat is gone.
    Stop,
}

/// A user who becomes live on a log.
pub(crate) struct Subscribe {
    pub(crate) log: LogId,
    pub(crate) user: Arc<OnlineUser>,
    pub(crate) ranges: Ranges,
    /// Where the log stood when the ranges were read.
    pub(crate) read_at: Seq,
    /// What follows this seq is delivered, as far as it has not passed here before.
    pub(crate) after: Seq,
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
    subscribers: Vec<Subscriber>,
    pub(super) hole: Option<Box<Hole>>,
}

struct Subscriber {
    user: Arc<OnlineUser>,
    ranges: Visible,
    /// Live after this seq: what came before they joined may still have to pass.
    after: Seq,
}

impl Subscriber {
    /// Whether an event, or the message it is about, lies outside of what they may see.
    fn hides(&self, delivery: &Delivery) -> bool {
        let hides = |seq| !self.ranges.contains(seq);
        hides(delivery.event.seq) || delivery.event.kind.target().is_some_and(hides)
    }
}

/// [`Ranges`], small in the usual case.
enum Visible {
    From(Seq),
    Ranges(Box<Ranges>),
}

impl Visible {
    fn new(ranges: Ranges) -> Self {
        match ranges.as_slice() {
            [(first, None)] => Self::From(*first),
            _ => Self::Ranges(Box::new(ranges)),
        }
    }

    fn contains(&self, seq: Seq) -> bool {
        match self {
            Self::From(first) => *first <= seq,
            Self::Ranges(ranges) => ranges.contains(seq),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Ranges)) {
        let mut ranges = match self {
            Self::From(first) => Ranges::from_seq(*first),
            Self::Ranges(ranges) => std::mem::take(&mut **ranges),
        };
        change(&mut ranges);
        *self = Self::new(ranges);
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
            Command::Hint { log, seq } => self.hint(log, seq),
            Command::Fetch { log } => self.read(log),
            Command::Subscribe(subscribe) => self.subscribe(subscribe),
            Command::Unsubscribe { log, user } => self.unsubscribe(log, &user),
            Command::Clear { log, user, through } => self.clear(log, user, through),
            Command::GoLive { log, device, reply } => {
                // Only somebody who is live here can be told the rest live.
                let user = device.user;
                let here = self
                    .hub
                    .users
                    .get(user)
                    .is_some_and(|user| user.place(log).is_some());
                let last = self.logs.get(&log).filter(|_| here).map(|open| open.last);
                let _ = reply.send(device.go_live(log, last));
            }
            Command::Fetched { log, events } => self.fetched(log, events).await,
            Command::Sweep => self.sweep(),
            Command::Flush(done) => {
                let _ = done.send(());
            }
            Command::Publish { .. } | Command::Stop => {}
        }
    }

    /// Subscribes those whom an event makes members, if they are connected here.
    pub(super) fn join(&mut self, log: LogId, delivery: &Delivery) {
        let seq = delivery.event.seq;
        let join = |shard: &mut Self, user: UserId, from: Seq| {
            if let Some(user) = shard.hub.users.get(user) {
                let (ranges, after) = (Ranges::from_seq(from), seq - 1);
                if let Some(known) = shard.subscriber(log, &user) {
                    // Live already by a later joining that was told first.
                    known.after = known.after.min(after);
                    return;
                }
                shard.subscribe(Subscribe {
                    log,
                    user,
                    ranges,
                    read_at: seq,
                    after,
                });
            }
        };
        match &delivery.event.kind {
            EventKind::Created { members, .. } => {
                for (user, _) in members {
                    join(self, *user, 1);
                }
            }
            EventKind::Joined { user, from, .. } => join(self, *user, *from),
            _ => {}
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
        let mut count = 0;
        for subscriber in &open.subscribers {
            let old = run.partition_point(|delivery| delivery.event.seq <= subscriber.after);
            let run = &run[old..];
            if run.is_empty() {
                continue;
            }
            {
                let devices = lock(&subscriber.user.devices);
                for device in devices.iter() {
                    device.deliver(run, |delivery| subscriber.hides(delivery), &self.hub.limits);
                }
                count += devices.len();
            }
            if count >= BATCH {
                count = 0;
                tokio::task::yield_now().await;
            }
        }
        match (&delivery.event.kind, log) {
            (EventKind::Left { user }, _) => {
                open.settled = open.settled.max(open.last);
                if let Some(user) = self.hub.users.get(*user) {
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
            (EventKind::Blocked { user, on }, LogId::User(by)) => {
                self.hub.blocked(by, *user, *on);
            }
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

    /// A user who is connected here joined a conversation, maybe through another node: makes sure they are live on it from
    /// that event on.
    fn added(&self, user: UserId, conversation: ConversationId, seq: Seq) {
        let log = LogId::Conversation(conversation);
        if let Some(user) = self.hub.users.get(user)
            && user.place(log).is_none()
        {
            self.look_up(user, conversation, seq.saturating_sub(1));
        }
    }

    /// Reads a membership, then subscribes by it.
    fn look_up(&self, user: Arc<OnlineUser>, conversation: ConversationId, after: Seq) {
        let hub = Arc::clone(&self.hub);
        let log = LogId::Conversation(conversation);
        tokio::spawn(async move {
            let keys = vec![RowKey::Member(conversation, user.id), RowKey::Head(log)];
            match hub.store.rows(keys).await.as_deref() {
                Ok([Some(Row::Member(member)), Some(Row::Head(head))]) => {
                    if member.role.is_some() {
                        let (ranges, read_at) = (member.ranges.clone(), head.seq);
                        let subscribe = Subscribe {
                            log,
                            user,
                            ranges,
                            read_at,
                            after,
                        };
                        hub.send(log, Command::Subscribe(subscribe));
                        hub.send(log, Command::Hint { log, seq: read_at });
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    // Without the store it cannot be known what this user may see: their devices have to come again.
                    tracing::warn!(%error, "a membership could not be read");
                    hub.close(user.id, None, Closed::Unavailable);
                }
            }
        });
    }

    /// Asks the store where the open logs stand: a lost last hint is found here.
    fn sweep(&mut self) {
        let logs: Vec<LogId> = self.logs.keys().copied().collect();
        if logs.is_empty() {
            return;
        }
        let hub = Arc::clone(&self.hub);
        tokio::spawn(async move {
            for logs in logs.chunks(1000) {
                hub.look(logs).await;
            }
        });
    }

    fn subscribe(&mut self, subscribe: Subscribe) {
        let Subscribe {
            log,
            user,
            ranges,
            read_at,
            after,
        } = subscribe;
        if user.place(log).is_some() {
            return;
        }
        let hub = &self.hub;
        let open = self.logs.entry(log).or_insert_with(|| {
            hub.watch(log, true);
            let (subscribers, hole) = (Vec::new(), None);
            OpenLog {
                last: after,
                settled: after,
                subscribers,
                hole,
            }
        });
        if read_at < open.settled
            && let LogId::Conversation(conversation) = log
        {
            // Somebody left since the ranges were read; it may have been this user.
            return self.look_up(user, conversation, after);
        }
        user.set_place(
            log,
            u32::try_from(open.subscribers.len()).unwrap_or(u32::MAX),
        );
        open.subscribers.push(Subscriber {
            user: Arc::clone(&user),
            ranges: Visible::new(ranges),
            after,
        });
        // Who left meanwhile was told to forget the logs known then; this one may have come too late.
        let online = self.hub.users.get(user.id);
        if !online.is_some_and(|online| Arc::ptr_eq(&online, &user)) {
            self.unsubscribe(log, &user);
        }
    }

    fn unsubscribe(&mut self, log: LogId, user: &Arc<OnlineUser>) {
        let Some(place) = user.place(log) else { return };
        user.forget(log);
        let Some(open) = self.logs.get_mut(&log) else {
            return;
        };
        let place = place as usize;
        if place < open.subscribers.len() {
            open.subscribers.swap_remove(place);
            if let Some(moved) = open.subscribers.get(place) {
                moved
                    .user
                    .set_place(log, u32::try_from(place).unwrap_or(u32::MAX));
            }
        }
        if open.subscribers.is_empty() {
            let hole = open.hole.take();
            self.logs.remove(&log);
            self.hub.watch(log, false);
            for (_, answer) in hole.into_iter().flat_map(|hole| hole.answers) {
                answer.device.answer(answer.item);
            }
        }
    }

    fn subscriber(&mut self, log: LogId, user: &OnlineUser) -> Option<&mut Subscriber> {
        let place = user.place(log)?;
        let open = self.logs.get_mut(&log)?;
        open.subscribers.get_mut(place as usize)
    }

    fn clear(&mut self, log: LogId, user: UserId, through: Seq) {
        let user = self.hub.users.get(user);
        if let Some(subscriber) = user.and_then(|user| self.subscriber(log, &user)) {
            subscriber
                .ranges
                .change(|ranges| ranges.drop_through(through));
        }
    }
}
