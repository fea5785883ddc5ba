//! Who is live on a log: changed in the log's own order.

use std::sync::Arc;

use smallvec::SmallVec;

use super::shard::{Command, OpenLog, Shard};
use super::users::OnlineUser;
use super::{Closed, Delivery};
use crate::rules::{Row, RowKey};
use crate::{ConversationId, EventKind, LogId, Ranges, Seq, UserId};

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

pub(super) struct Subscriber {
    pub(super) user: Arc<OnlineUser>,
    pub(super) ranges: Visible,
    /// Live after this seq: what came before they joined may still have to pass.
    pub(super) after: Seq,
}

impl Subscriber {
    /// Whether an event, or the message it is about, lies outside of what they may see.
    pub(super) fn hides(&self, delivery: &Delivery) -> bool {
        let hides = |seq| !self.ranges.contains(seq);
        let message = delivery.event.message.as_ref();
        hides(delivery.event.seq)
            || delivery.event.kind.target().is_some_and(hides)
            || message.is_some_and(|message| !message.stood_at(self.ranges.end()))
    }
}

/// [`Ranges`], small in the usual case.
pub(super) enum Visible {
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

    pub(super) fn contains(&self, seq: Seq) -> bool {
        match self {
            Self::From(first) => *first <= seq,
            Self::Ranges(ranges) => ranges.contains(seq),
        }
    }

    /// The last seq they know of; beyond every log's end while they stay.
    fn end(&self) -> Seq {
        match self {
            Self::From(_) => Seq::MAX,
            Self::Ranges(ranges) => ranges.end(Seq::MAX),
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

impl Shard {
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

    /// A user who is connected here joined a conversation, maybe through another node: makes sure they are live on it from
    /// that event on.
    pub(super) fn added(&self, user: UserId, conversation: ConversationId, seq: Seq) {
        let log = LogId::Conversation(conversation);
        if let Some(user) = self.hub.users.get(user)
            && user.place(log).is_none()
        {
            self.look_up(user, conversation, seq.saturating_sub(1));
        }
    }

    /// Reads a membership, then subscribes by it.
    pub(super) fn look_up(&self, user: Arc<OnlineUser>, conversation: ConversationId, after: Seq) {
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

    pub(super) fn subscribe(&mut self, subscribe: Subscribe) {
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
        // They may have come and gone since the membership was read, or since they were told of it.
        let left = user.left(log);
        let after = after.max(left);
        if let LogId::Conversation(conversation) = log
            && read_at < left
        {
            return self.look_up(user, conversation, after);
        }
        let hub = &self.hub;
        let open = self.logs.entry(log).or_insert_with(|| {
            hub.watch(log, true);
            Box::new(OpenLog {
                last: after,
                settled: after,
                subscribers: SmallVec::new(),
                hole: None,
                marks: None,
                told: None,
            })
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

    pub(super) fn unsubscribe(&mut self, log: LogId, user: &Arc<OnlineUser>) {
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

    /// A user leaves, as an event says that is still to come here.
    pub(super) fn end(&mut self, log: LogId, user: UserId, end: Seq) {
        let user = self.hub.users.get(user);
        if let Some(subscriber) = user.and_then(|user| self.subscriber(log, &user))
            && subscriber.after < end
        {
            subscriber.ranges.change(|ranges| ranges.close(end));
        }
    }

    pub(super) fn clear(&mut self, log: LogId, user: UserId, through: Seq) {
        let user = self.hub.users.get(user);
        if let Some(subscriber) = user.and_then(|user| self.subscriber(log, &user)) {
            subscriber
                .ranges
                .change(|ranges| ranges.drop_through(through));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::MemoryStore;
    use crate::{Actor, Change, Chat, History, Identity, Item, Role, Target, Write};

    /// Laws 7 and 8: a membership that was read before its user left, and arrives after, opens nothing that is past.
    #[tokio::test]
    async fn a_stay_is_told_once() {
        let chat = Chat::builder(MemoryStore::new()).build();
        let owner = chat.enroll("test", "owner", "Owner").await.unwrap();
        let guest = chat.enroll("test", "guest", "Guest").await.unwrap();
        let create = Change::Create {
            title: None,
            data: None,
            managed: false,
            history: History::Joined,
            members: vec![(guest, Role::Member)],
        };
        let write = |target, change| Write::new(Actor::User(owner), target, vec![change]);
        let made = chat.commit(write(Target::Group, create)).await.unwrap();
        let conversation = made.conversation.unwrap();
        let log = LogId::Conversation(conversation);
        let mut device = chat.connect(Identity::of(guest)).await.unwrap();
        let inside = Change::post("inside");
        let remove = Change::Remove { user: guest };
        let to = Target::Conversation(conversation);
        chat.commit(write(to.clone(), inside)).await.unwrap();
        chat.commit(write(to, remove)).await.unwrap();
        let hub = &chat.node.hub;
        hub.flush().await;
        let stale = Subscribe {
            log,
            user: hub.users.get(guest).unwrap(),
            ranges: Ranges::from_seq(1),
            read_at: made.last(),
            after: 0,
        };
        hub.send(log, Command::Subscribe(stale));
        hub.send(
            log,
            Command::Hint {
                log,
                seq: made.last(),
            },
        );
        hub.flush().await;
        let pair = Target::Direct(owner, guest);
        let over = chat
            .commit(write(pair, Change::post("over")))
            .await
            .unwrap();
        let (mut all, mut items) = (Vec::new(), Vec::new());
        let end = |item: &Item| matches!(item, Item::Event(event) if Some(event.event.log) == over.conversation.map(LogId::from));
        while !all.iter().any(end) {
            device.drain(&mut items).await;
            all.append(&mut items);
        }
        let told = all
            .iter()
            .filter(|item| matches!(item, Item::Event(event) if event.event.log == log));
        assert_eq!(told.count(), 2, "the message and the removal");
        assert!(hub.users.get(guest).unwrap().place(log).is_none());
    }
}
