//! Passing to all subscribers of a log what is next there.

use std::sync::Arc;

use super::device::{Device, lock};
use super::shard::{Command, Shard};
use super::soon::Wait;
use super::users::OnlineUser;
use super::{Delivery, Run};
use crate::{EventKind, LogId};

/// What sending costs, counted in devices that are only told that something is there.
const SENDING: usize = 8;
/// Devices that a fan-out sends to by itself, divided by the threads of the runtime: the rest are woken, so that a large
/// room is served by all threads, and its shard is soon free for other large ones.
const SENT: usize = 8192;

impl Shard {
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
        let can_wait =
            |delivery: &Arc<Delivery>| matches!(delivery.event.kind, EventKind::Read { .. });
        let can_wait = run.iter().all(can_wait);
        let hub = Arc::clone(&self.hub);
        self.visit(log, |subscriber| {
            let old = run.partition_point(|delivery| delivery.event.seq <= subscriber.after);
            let run = &run[old..];
            if run.is_empty() {
                return 0;
            }
            let is_all = old == 0 && !run.iter().any(|delivery| subscriber.hides(delivery));
            let mut cost = 0;
            let devices = lock(&subscriber.user.devices);
            for device in devices.iter() {
                let is_hidden = |delivery: &Delivery| !is_all && subscriber.hides(delivery);
                if can_wait {
                    if device.deliver_soon(run, is_hidden, &hub.limits) {
                        hub.soon.add(device, Wait::Mark);
                    }
                    cost += 1;
                    continue;
                }
                let all = (is_all && may_send > 0).then_some(&all);
                if device.deliver(all, run, is_hidden, &hub.limits) {
                    may_send -= 1;
                    cost += SENDING;
                } else {
                    cost += 1;
                }
            }
            cost
        })
        .await;
        match (&delivery.event.kind, log) {
            (EventKind::Left { user }, _) => {
                if let Some(open) = self.logs.get_mut(&log) {
                    open.settled = open.settled.max(open.last);
                    if let Some(told) = &mut open.told {
                        told.forget(*user);
                    }
                }
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
    pub(super) async fn each_present(
        &mut self,
        log: LogId,
        tell: impl Fn(&OnlineUser, &Arc<Device>),
    ) {
        let Some(end) = self.logs.get(&log).map(|open| open.last) else {
            return;
        };
        self.visit(log, |subscriber| {
            if end < subscriber.after || !subscriber.ranges.contains(end + 1) {
                return 0;
            }
            let devices = lock(&subscriber.user.devices);
            for device in devices.iter() {
                tell(&subscriber.user, device);
            }
            devices.len()
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use crate::kv::MemoryStore;
    use crate::{Actor, Change, Chat, Connection, History, Identity, Item, Role, Target, Write};

    /// Whether a message has come to a connection.
    fn has_message(connection: &mut Connection) -> bool {
        let mut items = Vec::new();
        let polled =
            pin!(connection.drain(&mut items)).poll(&mut Context::from_waker(Waker::noop()));
        let is_message =
            |item: &Item| matches!(item, Item::Event(delivery) if delivery.event.message.is_some());
        polled.is_ready() && items.iter().any(is_message)
    }

    #[tokio::test]
    async fn a_large_conversation_delays_no_small_one() {
        let store = Arc::new(MemoryStore::new());
        let chat = Chat::builder(Arc::clone(&store)).build();
        let mut users = Vec::new();
        for number in 0..40 {
            let name = format!("user {number}");
            users.push(chat.enroll("test", &name, &name).await.unwrap());
        }
        let create = Change::Create {
            title: None,
            data: None,
            managed: true,
            history: History::All,
            members: users[2..]
                .iter()
                .map(|user| (*user, Role::Member))
                .collect(),
        };
        let create = Write::new(Actor::Host, Target::Group, vec![create]);
        let group = chat.commit(create).await.unwrap().conversation.unwrap();
        let to = Target::Direct(users[0], users[1]);
        chat.commit(Write::post(users[0], to.clone(), "before"))
            .await
            .unwrap();
        let mut connections = Vec::new();
        for user in &users[1..] {
            connections.push(chat.connect(Identity::of(*user)).await.unwrap());
        }
        chat.node.hub.flush().await;
        for connection in &mut connections {
            assert!(!has_message(connection));
        }
        // Committed where nobody listens, so that both are told here at once, the large one first.
        let elsewhere = Chat::builder(store).build();
        let commit = async |to, user| {
            elsewhere
                .commit(Write::post(user, to, "hello"))
                .await
                .unwrap()
        };
        let large = commit(Target::Conversation(group), users[2]).await;
        let small = commit(to, users[0]).await;
        chat.announce(&large);
        chat.announce(&small);
        let (pair, members) = connections.split_first_mut().unwrap();
        while !has_message(pair) {
            tokio::task::yield_now().await;
        }
        let count = |members: &mut [Connection]| {
            members
                .iter_mut()
                .map(has_message)
                .filter(|has| *has)
                .count()
        };
        let told = count(members);
        assert!(
            told < members.len() / 2,
            "{told} of {} were told first",
            members.len()
        );
        chat.node.hub.flush().await;
        let rest = count(members);
        assert_eq!(told + rest, members.len());
    }
}
