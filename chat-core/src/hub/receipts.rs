//! Read and delivered marks: gathered on their way to the store, told to the others once they are there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::delivery::Frames;
use super::device::lock;
use super::gate::PATIENCE;
use super::shard::{Command, Shard};
use super::soon::Wait;
use super::{Format, Hub};
use crate::rules::{Row, RowKey};
use crate::{
    Actor, Change, ConversationId, Error, Hint, LogId, Marked, Member, Prepared, Seq, Target,
    UserId, Viewer, Write,
};

/// A mark is written at most once in this time for each user and conversation, and waits no longer for a group to ride with.
const PACE: Duration = Duration::from_secs(1);
/// All that is marked in this time is written together: so members whose rows lie side by side, and what each device is told
/// of them, cost about as much as one of them does.
const TOGETHER: Duration = Duration::from_millis(100);
/// Marks a node keeps, and a user of them.
const MARKS: usize = 1 << 16;
const MARKS_OF_A_USER: usize = 1000;
/// Members that are read at once.
const PAGE: usize = 500;

/// How far another member has read and received. Encoded once for each wire format, then shared. Highest wins: a lower seq
/// than one told before says nothing new. Who posts has read up to there, which is told by the message alone.
#[derive(Debug)]
pub struct Receipt {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// Read up to this seq.
    pub read: Seq,
    /// Delivered to at least one device up to this seq.
    pub delivered: Seq,
    frames: Frames,
}

impl Receipt {
    /// See [`crate::Delivery::frame`].
    pub fn frame(&self, format: Format, encode: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.frames.get(format, || encode(self))
    }
}

type Place = (UserId, ConversationId);

/// How far a user has read and received, as their devices say.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    read: Seq,
    delivered: Seq,
    /// It says more than what was written.
    is_new: bool,
}

/// Marks on their way to the store.
#[derive(Default)]
pub(crate) struct Marks {
    gathered: Mutex<Gathered>,
    news: Notify,
}

#[derive(Default)]
struct Gathered {
    marks: HashMap<Place, Mark>,
    of_user: HashMap<UserId, usize>,
    /// May be written at once; from then on they must be. In the order of that time, as below.
    ready: VecDeque<(Instant, Place)>,
    /// Written lately: not again before that time.
    resting: VecDeque<(Instant, Place)>,
    /// None are written before that time; `None`: none ever were.
    closed_until: Option<Instant>,
}

impl Marks {
    /// Takes a mark in: the highest counts.
    pub(crate) fn add(
        &self,
        (user, conversation): (UserId, ConversationId),
        read: Seq,
        delivered: Seq,
    ) -> Result<(), Error> {
        let mut gathered = lock(&self.gathered);
        let Gathered {
            marks,
            of_user,
            ready,
            ..
        } = &mut *gathered;
        let (place, count) = ((user, conversation), marks.len());
        let mark = match marks.get_mut(&place) {
            Some(mark) => mark,
            None => {
                let own = of_user.entry(user).or_default();
                if count >= MARKS || *own >= MARKS_OF_A_USER {
                    return Err(Error::busy("too many marks wait to be written: try again"));
                }
                *own += 1;
                ready.push_back((Instant::now() + PACE, place));
                self.news.notify_one();
                marks.entry(place).or_default()
            }
        };
        let highest = (mark.read.max(read), mark.delivered.max(delivered));
        mark.is_new |= highest != (mark.read, mark.delivered);
        (mark.read, mark.delivered) = highest;
        Ok(())
    }

    /// Waits until marks have waited long enough.
    pub(crate) async fn due(&self) {
        loop {
            let next = {
                let gathered = lock(&self.gathered);
                let first = |queue: &VecDeque<(Instant, Place)>| queue.front().map(|(at, _)| *at);
                let times = [first(&gathered.ready), first(&gathered.resting)];
                let next = times.into_iter().flatten().min();
                next.map(|next| gathered.closed_until.map_or(next, |until| until.max(next)))
            };
            match next {
                Some(at) => {
                    if at <= Instant::now() {
                        return;
                    }
                    tokio::time::sleep_until(at).await;
                    return;
                }
                None => self.news.notified().await,
            }
        }
    }

    /// The writes that may go now, at most so many. `all`: also those that would have to rest.
    pub(crate) fn take(&self, limit: usize, all: bool) -> Vec<(Place, Prepared)> {
        let now = Instant::now();
        let mut gathered = lock(&self.gathered);
        let gathered = &mut *gathered;
        if !all && gathered.closed_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        while let Some((_, place)) = gathered.resting.pop_front_if(|(at, _)| all || *at <= now) {
            match gathered.marks.get(&place) {
                Some(mark) if mark.is_new => gathered.ready.push_front((now, place)),
                _ => gathered.forget(place),
            }
        }
        let mut writes = Vec::with_capacity(limit.min(gathered.ready.len()));
        while writes.len() < limit
            && let Some((_, place)) = gathered.ready.pop_front()
        {
            let Some(mark) = gathered.marks.get_mut(&place) else {
                continue;
            };
            if !std::mem::take(&mut mark.is_new) {
                gathered.forget(place);
                continue;
            }
            let (mut changes, (user, conversation)) = (Vec::with_capacity(2), place);
            if mark.read > 0 {
                changes.push(Change::Read { seq: mark.read });
            }
            if mark.delivered > mark.read {
                changes.push(Change::Deliver {
                    seq: mark.delivered,
                });
            }
            gathered.resting.push_back((now + PACE, place));
            let prepared = Prepared {
                write: Write {
                    actor: Actor::User(user),
                    target: Target::Conversation(conversation),
                    // The highest mark wins, however often it is written.
                    key: None,
                    changes,
                },
                digest: [0; 16],
            };
            writes.push((place, prepared));
        }
        if gathered.ready.is_empty() && !writes.is_empty() {
            gathered.closed_until = Some(now + TOGETHER);
        }
        writes
    }

    /// A mark that could not be written is tried again.
    pub(crate) fn again(&self, place: Place) {
        if let Some(mark) = lock(&self.gathered).marks.get_mut(&place) {
            mark.is_new = true;
        }
    }
}

impl Gathered {
    fn forget(&mut self, place: Place) {
        self.marks.remove(&place);
        if let Some(own) = self.of_user.get_mut(&place.0) {
            *own -= 1;
            if *own == 0 {
                self.of_user.remove(&place.0);
            }
        }
    }
}

impl Hub {
    /// A write was about its author's marks: the other members are told, if they are few.
    pub(crate) fn marked(&self, marked: &Marked) {
        if marked.members as usize > self.limits.receipts_to {
            return;
        }
        let receipt = Receipt {
            conversation: marked.conversation,
            user: marked.user,
            read: marked.read,
            delivered: marked.delivered,
            frames: Frames::default(),
        };
        self.tell_nodes(&receipt, marked.head);
        self.post_receipt(receipt, marked.head);
    }

    /// Tells again what all members of a conversation marked, if they are few: not all of it came here.
    pub(super) async fn tell_marks(&self, id: ConversationId, count: u64) -> Result<(), Error> {
        let few = self.limits.receipts_to;
        let mut members = Vec::new();
        loop {
            let after = members.last().map(|member: &Member| member.user);
            let page = self.store.members(Viewer::All, id, after, PAGE).await?;
            let is_last = page.len() < PAGE;
            members.extend(page.into_iter().filter(|member| member.role.is_some()));
            if is_last || members.len() > few {
                break;
            }
        }
        // Read behind the marks: whoever was removed before gets them no more.
        let log = LogId::Conversation(id);
        let head = match self.store.rows(vec![RowKey::Head(log)]).await?.pop() {
            Some(Some(Row::Head(head))) => head.seq,
            _ => 0,
        };
        if members.len() > few {
            members.clear();
        }
        for member in members {
            let receipt = Receipt {
                conversation: id,
                user: member.user,
                read: member.read,
                delivered: member.delivered,
                frames: Frames::default(),
            };
            self.post_receipt(receipt, head);
        }
        self.send(log, Command::Marked { log, count });
        Ok(())
    }

    fn post_receipt(&self, receipt: Receipt, seen: Seq) {
        let log = LogId::Conversation(receipt.conversation);
        let receipt = Arc::new(receipt);
        self.send(log, Command::Receipt { log, receipt, seen });
    }

    fn tell_nodes(&self, receipt: &Receipt, seen: Seq) {
        let Some(bus) = &self.bus else { return };
        let hint = Hint::Receipt {
            node: self.node,
            conversation: receipt.conversation,
            user: receipt.user,
            read: receipt.read,
            delivered: receipt.delivered,
            seen,
        };
        bus.publish(&hint);
    }

    /// Another node's receipt.
    pub(super) fn receipted(&self, hint: Hint) {
        if let Hint::Receipt {
            node,
            conversation,
            user,
            read,
            delivered,
            seen,
        } = hint
            && node != self.node
        {
            let receipt = Receipt {
                conversation,
                user,
                read,
                delivered,
                frames: Frames::default(),
            };
            self.post_receipt(receipt, seen.max(read).max(delivered));
        }
    }
}

/// What the devices here were told of a log's members who moved their marks since it is open here: read and delivered.
#[derive(Default)]
pub(super) struct Told(Vec<(UserId, Seq, Seq)>);

impl Told {
    fn covers(&self, receipt: &Receipt) -> bool {
        self.0.iter().any(|(user, read, delivered)| {
            *user == receipt.user && *read >= receipt.read && *delivered >= receipt.delivered
        })
    }

    fn set(&mut self, receipt: &Receipt) {
        self.forget(receipt.user);
        self.0.push((receipt.user, receipt.read, receipt.delivered));
    }

    pub(super) fn forget(&mut self, user: UserId) {
        self.0.retain(|(other, ..)| *other != user);
    }
}

impl Shard {
    /// Passes a receipt to all others who may see the end of the log, once the log has come as far here as it stood when the
    /// receipt was read: whoever was removed before gets it no more.
    pub(super) async fn receipt(&mut self, log: LogId, receipt: Arc<Receipt>, seen: Seq) {
        let Some(open) = self.logs.get_mut(&log) else {
            return;
        };
        if open.told.as_ref().is_some_and(|told| told.covers(&receipt)) {
            return;
        }
        if seen > open.last {
            let hole = open.hole.get_or_insert_default();
            hole.wait(receipt, seen);
            return self.fetch(log, PATIENCE);
        }
        let user = receipt.user;
        open.told.get_or_insert_default().set(&receipt);
        let hub = Arc::clone(&self.hub);
        self.each_present(log, |other, device| {
            if other.id != user && device.receipt(&receipt, &hub.limits) {
                hub.soon.add(device, Wait::Mark);
            }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 2;

    fn written(marks: &Marks, all: bool) -> Vec<u64> {
        let taken = marks.take(LIMIT, all).into_iter();
        taken.map(|((user, _), _)| user.get()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn marks_made_within_a_moment_are_written_together() {
        let marks = Marks::default();
        let mark = |user| {
            let (user, conversation) = (UserId::new(user), ConversationId::new(1));
            let place = (user.unwrap(), conversation.unwrap());
            marks.add(place, 7, 7).unwrap();
        };
        mark(1);
        assert_eq!(written(&marks, false), [1]);
        (2..=4).for_each(mark);
        assert!(written(&marks, false).is_empty());
        tokio::time::advance(TOGETHER).await;
        // More than a group has room for: the rest rides with the next one.
        assert_eq!(written(&marks, false), [2, 3]);
        assert_eq!(written(&marks, false), [4]);
        // With nothing to ride with, each is due in its time, and no sooner than may be.
        mark(5);
        let began = Instant::now();
        marks.due().await;
        assert!((TOGETHER..=PACE).contains(&began.elapsed()));
        mark(6);
        assert_eq!(written(&marks, false), [5, 6]);
        // Who waits for all that was handed in waits for no clock.
        mark(7);
        assert_eq!(written(&marks, true), [7]);
    }
}
