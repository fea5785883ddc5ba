//! A shard owns a part of the logs that are open here: for each its gate (order) and its subscribers (fan-out).
//!
//! A log has one owner, so ordering, membership and fan-out of one log are one sequence without locks between them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use smallvec::SmallVec;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::device::Device;
use super::gate::Hole;
use super::receipts::Told;
use super::signal::Signalled;
use super::subscribe::{Subscribe, Subscriber};
use super::users::OnlineUser;
use super::{Delivery, Hub, Item, Receipt, Standing};
use crate::{LogId, Seq, UserId};

/// After so many devices a fan-out lets other tasks run, and has done what smaller logs were asked. Few without
/// optimisations, so that the tests' conversations are large.
const BATCH: usize = if cfg!(debug_assertions) { 2 } else { 512 };
/// Commands that are received together: what follows one another in a log goes out together.
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

impl Command {
    /// The log that is asked for something; none: it concerns all of them, and all that was asked before.
    fn log(&self) -> Option<LogId> {
        match self {
            Self::Publish { log, .. }
            | Self::Signal { log, .. }
            | Self::Receipt { log, .. }
            | Self::Opened { log, .. }
            | Self::Marked { log, .. }
            | Self::Hint { log, .. }
            | Self::Fetch { log }
            | Self::Subscribe(Subscribe { log, .. })
            | Self::Unsubscribe { log, .. }
            | Self::Clear { log, .. }
            | Self::GoLive { log, .. }
            | Self::Fetched { log, .. } => Some(*log),
            Self::Sweep | Self::Flush(_) | Self::Stop => None,
        }
    }
}

/// The outcome of a write, for the device that submitted it.
pub(crate) struct Answer {
    pub(crate) device: Arc<Device>,
    pub(crate) item: Item,
}

/// A log that is open here. There are several for each user, so what few of them need lies elsewhere.
pub(super) struct OpenLog {
    /// Delivered up to here.
    pub(super) last: Seq,
    /// Memberships read at this seq or later still hold: nobody left since.
    pub(super) settled: Seq,
    /// Mostly one or two.
    pub(super) subscribers: SmallVec<[Subscriber; 2]>,
    pub(super) hole: Option<Box<Hole>>,
    /// How often members had moved their marks when all that was told.
    pub(super) marks: Option<u64>,
    pub(super) told: Option<Box<Told>>,
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
    receive: mpsc::UnboundedReceiver<Command>,
    /// What was received and is to be done, in this order.
    queue: VecDeque<Command>,
    /// Boxed, as a table has room for up to twice as many as there are.
    pub(super) logs: HashMap<LogId, Box<OpenLog>>,
    /// What may be done while a log is visited is being done: a log visited by that is visited to its end.
    is_visiting: bool,
}

impl Shard {
    pub(crate) async fn run(
        hub: Arc<Hub>,
        commands: mpsc::UnboundedSender<Command>,
        receive: mpsc::UnboundedReceiver<Command>,
    ) {
        let mut shard = Self {
            hub,
            commands,
            receive,
            queue: VecDeque::new(),
            logs: HashMap::new(),
            is_visiting: false,
        };
        let mut received = Vec::with_capacity(COMMANDS);
        while shard.receive.recv_many(&mut received, COMMANDS).await > 0 {
            shard.queue.extend(received.drain(..));
            while let Some(command) = shard.queue.pop_front() {
                if matches!(command, Command::Stop) {
                    return;
                }
                shard.obey(command).await;
            }
        }
    }

    /// Consecutive events of a log are published together with what follows them in the queue.
    async fn publish_all(
        &mut self,
        log: LogId,
        mut events: Vec<Arc<Delivery>>,
        answer: Option<Answer>,
        mut room: Option<OwnedSemaphorePermit>,
    ) {
        let last =
            |events: &[Arc<Delivery>]| events.last().map_or(0, |delivery| delivery.event.seq);
        let mut answers = Vec::with_capacity(1);
        answers.extend(answer.map(|answer| (last(&events), answer)));
        while let Some(Command::Publish {
            events: more,
            answer,
            room: other,
            ..
        }) = self.queue.pop_front_if(
            |next| matches!(next, Command::Publish { log: other, .. } if *other == log),
        ) {
            answers.extend(answer.map(|answer| (last(&more), answer)));
            events.extend(more);
            match (&mut room, other) {
                (Some(room), Some(other)) => room.merge(other),
                (room, other) => *room = room.take().or(other),
            }
        }
        self.publish(log, &events, answers).await;
    }

    /// Visits all subscribers of a log; each visit says what it cost, in devices that were told something. Every now and then
    /// other tasks run, and what is asked of other logs is done: so a large conversation delays no small one.
    pub(super) async fn visit(&mut self, log: LogId, mut visit: impl FnMut(&Subscriber) -> usize) {
        let mut next = 0;
        loop {
            let Some(open) = self.logs.get(&log) else {
                return;
            };
            let mut count = 0;
            while let Some(subscriber) = open.subscribers.get(next)
                && count < BATCH
            {
                next += 1;
                count += visit(subscriber);
            }
            if next >= open.subscribers.len() {
                return;
            }
            tokio::task::yield_now().await;
            let is_asked = !self.queue.is_empty() || !self.receive.is_empty();
            if is_asked && !std::mem::replace(&mut self.is_visiting, true) {
                Box::pin(self.meanwhile(log)).await;
                self.is_visiting = false;
            }
        }
    }

    /// Does what can be done while a log is being visited: whatever is asked of other logs that are not large themselves,
    /// each in its order.
    async fn meanwhile(&mut self, visited: LogId) {
        while let Ok(command) = self.receive.try_recv() {
            self.queue.push_back(command);
        }
        let mut later = VecDeque::new();
        let mut waiting = HashSet::from([visited]);
        while let Some(command) = self.queue.pop_front() {
            let open = |log: &LogId| self.logs.get(log);
            let is_large =
                |log: &LogId| open(log).is_some_and(|open| open.subscribers.len() > BATCH);
            match command
                .log()
                .filter(|log| !waiting.contains(log) && !is_large(log))
            {
                Some(_) => self.obey(command).await,
                None => {
                    waiting.extend(command.log());
                    later.push_back(command);
                }
            }
        }
        self.queue = later;
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
            Command::Publish {
                log,
                events,
                answer,
                room,
            } => self.publish_all(log, events, answer, room).await,
            Command::Stop => {}
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
