//! Users who are connected to this node, with their devices and the logs they are live on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use smallvec::SmallVec;
use tokio::sync::OnceCell;

use super::device::{Device, lock};
use crate::limits::fixed;
use crate::{LogId, Seq, UserId};

/// A user with at least one device here.
pub(crate) struct OnlineUser {
    pub(crate) id: UserId,
    /// Mostly one: it is found without a further step.
    pub(crate) devices: Mutex<SmallVec<[Arc<Device>; 1]>>,
    /// The logs this user is live on, ascending, each with the user's place among the log's subscribers. A place is written
    /// by the log's shard only.
    pub(crate) logs: Mutex<Vec<(LogId, u32)>>,
    /// The logs they left while they were here, each with the seq by which: all up to there was told.
    left: Mutex<Vec<(LogId, Seq)>>,
    /// Whom they blocked while they were here.
    pub(crate) blocks: Mutex<Vec<UserId>>,
    /// Set once the memberships are subscribed to.
    pub(crate) subscribed: OnceCell<()>,
}

impl OnlineUser {
    pub(crate) fn place(&self, log: LogId) -> Option<u32> {
        let logs = lock(&self.logs);
        logs.binary_search_by_key(&log, |(log, _)| *log)
            .ok()
            .map(|at| logs[at].1)
    }

    pub(crate) fn set_place(&self, log: LogId, place: u32) {
        let mut logs = lock(&self.logs);
        match logs.binary_search_by_key(&log, |(log, _)| *log) {
            Ok(at) => logs[at].1 = place,
            Err(at) => logs.insert(at, (log, place)),
        }
    }

    /// They left a log that they were live on, by the event with this seq.
    pub(crate) fn leave(&self, log: LogId, seq: Seq) {
        let mut left = lock(&self.left);
        left.retain(|(other, _)| *other != log);
        if left.len() as u64 >= fixed::CONVERSATIONS {
            left.remove(0);
        }
        left.push((log, seq));
    }

    /// The seq by which they left a log last; 0 unless they did while they were here.
    pub(crate) fn left(&self, log: LogId) -> Seq {
        let left = lock(&self.left);
        let found = left.iter().find(|(other, _)| *other == log);
        found.map_or(0, |(_, seq)| *seq)
    }

    /// Whether they blocked somebody while they were here.
    pub(crate) fn blocks(&self, user: UserId) -> bool {
        lock(&self.blocks).contains(&user)
    }

    pub(crate) fn set_block(&self, user: UserId, on: bool) {
        let mut blocks = lock(&self.blocks);
        blocks.retain(|other| *other != user);
        if on {
            blocks.push(user);
        }
    }

    pub(crate) fn forget(&self, log: LogId) {
        let mut logs = lock(&self.logs);
        if let Ok(at) = logs.binary_search_by_key(&log, |(log, _)| *log) {
            logs.remove(at);
        }
    }
}

/// All users who are connected here.
#[derive(Default)]
pub(crate) struct Users([Mutex<HashMap<UserId, Arc<OnlineUser>>>; 16]);

impl Users {
    fn part(&self, id: UserId) -> &Mutex<HashMap<UserId, Arc<OnlineUser>>> {
        &self.0[(id.get() % 16) as usize]
    }

    pub(crate) fn get(&self, id: UserId) -> Option<Arc<OnlineUser>> {
        lock(self.part(id)).get(&id).cloned()
    }

    /// Adds a device; gives back the user, whether it is their first, and, when there are too many, the oldest.
    pub(crate) fn add(
        &self,
        device: &Arc<Device>,
        limit: usize,
    ) -> (Arc<OnlineUser>, bool, Option<Arc<Device>>) {
        let id = device.user;
        let mut users = lock(self.part(id));
        let user = users.entry(id).or_insert_with(|| {
            Arc::new(OnlineUser {
                id,
                devices: Mutex::default(),
                logs: Mutex::default(),
                left: Mutex::default(),
                blocks: Mutex::default(),
                subscribed: OnceCell::new(),
            })
        });
        let mut devices = lock(&user.devices);
        let is_first = devices.is_empty();
        let oldest = if devices.len() >= limit.max(1) {
            Some(devices.remove(0))
        } else {
            None
        };
        devices.reserve_exact(1);
        devices.push(Arc::clone(device));
        drop(devices);
        (Arc::clone(user), is_first, oldest)
    }

    /// Takes a device away; gives back the user when it was the last one.
    pub(crate) fn remove(&self, device: &Arc<Device>) -> Option<Arc<OnlineUser>> {
        let id = device.user;
        let mut users = lock(self.part(id));
        let user = users.get(&id)?;
        let mut devices = lock(&user.devices);
        devices.retain(|other| !Arc::ptr_eq(other, device));
        let gone = devices.is_empty();
        drop(devices);
        if gone { users.remove(&id) } else { None }
    }

    /// Every device here.
    pub(crate) fn devices(&self) -> Vec<Arc<Device>> {
        let mut all = Vec::new();
        for part in &self.0 {
            for user in lock(part).values() {
                all.extend(lock(&user.devices).iter().cloned());
            }
        }
        all
    }
}
