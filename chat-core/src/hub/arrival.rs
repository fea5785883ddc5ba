//! Devices come, catch up with their logs, and go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::subscribe::Subscribe;
use super::users::OnlineUser;
use super::{Closed, Command, Device, Hub, Standing, lock};
use crate::rules::{Row, RowKey};
use crate::{Error, Identity, LogId, LoginId, Ranges, Seq, UserId};

impl Hub {
    /// Connects a device: when this returns, it is live on the user's log and conversations.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        identity: Identity,
    ) -> Result<Arc<Device>, Error> {
        let device = Device::new(identity);
        let (user, is_first, oldest) = self.users.add(&device, self.limits.connections);
        if is_first {
            self.moved(user.id, true);
        }
        if self.connections.fetch_add(1, Ordering::Relaxed) == 0 {
            self.arrived.notify_one();
            self.changed.notify_one();
        }
        if let Some(oldest) = oldest {
            oldest.close(Closed::TooMany);
        }
        let subscribed = user
            .subscribed
            .get_or_try_init(|| self.subscribe(&user))
            .await;
        if let Err(error) = subscribed {
            self.disconnect(&device);
            return Err(error);
        }
        self.expiries.add(&device);
        Ok(device)
    }

    /// Makes a user live on all of their logs. The user is known to the shards already, so whatever joins them from now on is
    /// not missed; what was committed while the memberships were read is found by comparing the heads afterwards.
    async fn subscribe(self: &Arc<Self>, user: &Arc<OnlineUser>) -> Result<(), Error> {
        let memberships = self.store.memberships(user.id).await?;
        let count = memberships.conversations.len() + 1;
        let mut logs = Vec::with_capacity(count);
        // No more than that: they stay as long as the user does.
        lock(&user.logs).reserve_exact(count);
        let mut subscribe = |log: LogId, ranges: Ranges, head: Seq| {
            logs.push(log);
            let (user, read_at, after) = (Arc::clone(user), head, head);
            let subscribe = Subscribe {
                log,
                user,
                ranges,
                read_at,
                after,
            };
            self.send(log, Command::Subscribe(subscribe));
        };
        for (conversation, ranges, head) in memberships.conversations {
            subscribe(LogId::Conversation(conversation), ranges, head);
        }
        // The user's own log comes last: what it says of conversations then finds them subscribed.
        subscribe(LogId::User(user.id), Ranges::all(), memberships.head);
        for logs in logs.chunks(500) {
            for (log, count) in self.look(logs).await {
                // Whoever loads from now on has all marks up to this.
                self.send(log, Command::Opened { log, count });
            }
        }
        self.flush().await;
        Ok(())
    }

    /// Takes a device away.
    pub(crate) fn disconnect(&self, device: &Arc<Device>) {
        self.watch_none(device);
        if let Some(user) = self.users.remove(device) {
            self.moved(user.id, false);
            let logs: Vec<LogId> = lock(&user.logs).iter().map(|(log, _)| *log).collect();
            for log in logs {
                self.send(
                    log,
                    Command::Unsubscribe {
                        log,
                        user: Arc::clone(&user),
                    },
                );
            }
        }
        if self.connections.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.gone.notify_waiters();
        }
    }

    /// Closes the devices of a user, or of one login.
    pub(crate) fn close(&self, user: UserId, login: Option<LoginId>, why: Closed) {
        if let Some(user) = self.users.get(user) {
            for device in lock(&user.devices).iter() {
                if login.is_none() || device.identity().login == login {
                    device.close(why);
                }
            }
        }
    }

    /// Logins ended: one, or all below an id.
    pub(super) fn revoked(&self, user: UserId, login: Option<LoginId>, before: u64) {
        if let Some(user) = self.users.get(user) {
            for device in lock(&user.devices).iter() {
                if device
                    .identity()
                    .login
                    .is_some_and(|id| Some(id) == login || id.get() < before)
                {
                    device.close(Closed::LoggedOut);
                }
            }
        }
    }

    /// Closes every device and waits until all are gone.
    pub(crate) async fn close_all(&self) {
        for device in self.users.devices() {
            device.close(Closed::Drain);
        }
        loop {
            let gone = self.gone.notified();
            if self.connections.load(Ordering::Relaxed) == 0 {
                return;
            }
            gone.await;
        }
    }

    /// Whether a log concerns a user from here on.
    pub(super) async fn is_member(&self, user: UserId, log: LogId) -> Result<bool, Error> {
        let LogId::Conversation(id) = log else {
            return Ok(true);
        };
        let rows = self.store.rows(vec![RowKey::Member(id, user)]).await?;
        let is_member = |row| matches!(row, Some(Row::Member(member)) if member.role.is_some());
        Ok(rows.into_iter().any(is_member))
    }

    /// How a device stands to a log it caught up with; live if nothing lies between.
    pub(super) async fn go_live(&self, log: LogId, device: &Arc<Device>, ends: bool) -> Standing {
        let standing = self.ask_live(log, device, ends).await;
        standing.unwrap_or(Standing::Live)
    }

    fn ask_live(
        &self,
        log: LogId,
        device: &Arc<Device>,
        ends: bool,
    ) -> oneshot::Receiver<Standing> {
        let (reply, answer) = oneshot::channel();
        self.send(
            log,
            Command::GoLive {
                log,
                device: Arc::clone(device),
                ends,
                reply,
            },
        );
        answer
    }

    /// Of logs that a device resumes, at most 1,000, those that end at the cursor: it is live on them when this returns.
    pub(super) async fn unchanged(
        &self,
        cursors: Vec<(LogId, Seq)>,
        device: &Arc<Device>,
    ) -> Result<Vec<LogId>, Error> {
        let heads = cursors.iter().map(|(log, _)| RowKey::Head(*log)).collect();
        let rows = self.store.rows(heads).await?;
        let mut asked = Vec::new();
        for ((log, cursor), row) in cursors.into_iter().zip(rows) {
            if matches!(row, Some(Row::Head(head)) if head.seq == cursor) {
                asked.push((log, self.ask_live(log, device, false)));
            }
        }
        let mut unchanged = Vec::with_capacity(asked.len());
        for (log, answer) in asked {
            if answer.await == Ok(Standing::Live) {
                unchanged.push(log);
            }
        }
        Ok(unchanged)
    }
}
