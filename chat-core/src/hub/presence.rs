//! Presence: which of the users that devices here watch are connected, on whichever node.
//!
//! Nothing is kept of users whom nobody here watches. A node says when a user's first device comes and the last one goes, and
//! answers who asks. Whoever watches asks with each sweep, and again until all have answered: so a lost hint is found, and a
//! dead node (see [`super::asks`]).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::asks::{Asks, Question};
use super::device::{Device, lock};
use super::{Hub, Presence};
use crate::rules::{Row, RowKey};
use crate::{Error, Hint, UserId, Viewer};

/// How long the first answer of other nodes is waited for.
const ANSWER: Duration = Duration::from_secs(1);

/// The users who are watched here.
#[derive(Default)]
pub(super) struct Presences(Mutex<State>);

#[derive(Default)]
struct State {
    watched: HashMap<UserId, Watched>,
    asks: Asks,
    /// When it has to be decided that somebody is offline.
    due: BTreeSet<(Instant, UserId)>,
}

#[derive(Default)]
struct Watched {
    watchers: Vec<Watcher>,
    /// Other nodes where they have devices, each with the time when it said so last.
    nodes: Vec<(u64, Instant)>,
    /// What the watchers know; `None`: not found out yet.
    online: Option<bool>,
    /// Then they are offline, unless they come back.
    due: Option<Instant>,
}

struct Watcher {
    device: Arc<Device>,
    sight: Sight,
}

/// What a watcher is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// Nothing yet: it is being found out whether they are blocked.
    Asked,
    /// All.
    Free,
    /// That they are offline: the one they watch blocked them.
    Blocked,
}

impl Watched {
    fn tell(&mut self, user: UserId, online: bool) {
        if self.online.replace(online) == Some(online) {
            return;
        }
        for watcher in &self.watchers {
            if watcher.sight == Sight::Free {
                watcher.device.presence(Presence { user, online });
            }
        }
    }
}

impl State {
    /// Finds out anew whether somebody is online. Coming is told at once; going after `patience`.
    fn look(&mut self, hub: &Hub, user: UserId, patience: Duration) {
        let Some(watched) = self.watched.get_mut(&user) else {
            return;
        };
        if hub.users.get(user).is_some() || !watched.nodes.is_empty() {
            if let Some(due) = watched.due.take() {
                self.due.remove(&(due, user));
            }
            watched.tell(user, true);
        } else if watched.online != Some(false) && watched.due.is_none() {
            let due = Instant::now() + patience;
            watched.due = Some(due);
            self.due.insert((due, user));
        }
    }

    fn take_away(&mut self, device: &Arc<Device>, user: UserId) {
        let Some(watched) = self.watched.get_mut(&user) else {
            return;
        };
        watched
            .watchers
            .retain(|watcher| !Arc::ptr_eq(&watcher.device, device));
        if watched.watchers.is_empty() {
            if let Some(due) = watched.due {
                self.due.remove(&(due, user));
            }
            self.watched.remove(&user);
        }
    }

    /// Sets what a watcher is told; `only`: if it was this so far.
    fn set(
        &mut self,
        user: UserId,
        sight: Sight,
        only: Option<Sight>,
        is_meant: impl Fn(&Arc<Device>) -> bool,
    ) {
        let Some(watched) = self.watched.get_mut(&user) else {
            return;
        };
        for watcher in &mut watched.watchers {
            if !is_meant(&watcher.device)
                || watcher.sight == sight
                || only.is_some_and(|only| watcher.sight != only)
            {
                continue;
            }
            watcher.sight = sight;
            let online = match sight {
                Sight::Asked => continue,
                Sight::Blocked => Some(false),
                Sight::Free => watched.online,
            };
            if let Some(online) = online {
                watcher.device.presence(Presence { user, online });
            }
        }
    }
}

impl Hub {
    /// A user's first device here came, or the last one went.
    pub(super) fn moved(&self, user: UserId, online: bool) {
        self.tell(|| Hint::Presence {
            node: self.node,
            online,
            users: vec![user],
        });
        lock(&self.presences.0).look(self, user, self.limits.presence_grace);
    }

    /// Another node says who has devices there, or has none any more.
    pub(super) fn moved_elsewhere(&self, node: u64, online: bool, users: Vec<UserId>) {
        if node == self.node {
            return;
        }
        let mut state = lock(&self.presences.0);
        state.asks.hear(node);
        for user in users {
            if let Some(watched) = state.watched.get_mut(&user) {
                watched.nodes.retain(|(other, _)| *other != node);
                if online {
                    watched.nodes.push((node, Instant::now()));
                }
                state.look(self, user, self.limits.presence_grace);
            }
        }
    }

    /// Another node wants to know about users.
    pub(super) fn answer_presence(&self, node: u64, ask: u64, mut users: Vec<UserId>) {
        if node == self.node {
            return;
        }
        users.retain(|user| self.users.get(*user).is_some());
        self.tell(|| Hint::Present {
            node: self.node,
            to: node,
            ask,
            users,
        });
    }

    /// Another node answers who of those asked about has devices there: all others have none.
    pub(super) fn presence_answered(&self, node: u64, ask: u64, present: &[UserId]) {
        let now = Instant::now();
        let mut state = lock(&self.presences.0);
        let Some((users, asked)) = state.asks.answered(node, ask) else {
            return;
        };
        for user in users {
            let Some(watched) = state.watched.get_mut(&user) else {
                continue;
            };
            let is_there = present.contains(&user);
            // What it said of itself after it was asked may be newer.
            let keeps =
                |(other, said): &(u64, Instant)| *other != node || !is_there && *said > asked;
            watched.nodes.retain(keeps);
            if is_there {
                watched.nodes.push((node, now));
            }
            state.look(self, user, self.limits.presence_grace);
        }
    }

    fn ask_nodes(&self, questions: Vec<Question>) {
        for (ask, users) in questions {
            self.tell(|| Hint::Watching {
                node: self.node,
                ask,
                users,
            });
        }
    }

    /// Asks the other nodes about all who are watched.
    pub(super) fn refresh_presences(&self) {
        if self.bus.is_none() {
            return;
        }
        let questions = {
            let mut state = lock(&self.presences.0);
            let users: Vec<UserId> = state.watched.keys().copied().collect();
            state.asks.ask(&users)
        };
        self.ask_nodes(questions);
    }

    /// Asks again what was not answered, and lets those go whose node says nothing any more: the time in which they may come
    /// back began when it was heard last.
    pub(super) fn repeat_asks(&self) {
        let mut state = lock(&self.presences.0);
        let (questions, gone) = state.asks.look();
        for (node, heard) in gone {
            let patience = self.limits.presence_grace.saturating_sub(heard.elapsed());
            let here = state.watched.iter_mut().filter_map(|(user, watched)| {
                let before = watched.nodes.len();
                watched.nodes.retain(|(other, _)| *other != node);
                (watched.nodes.len() < before).then_some(*user)
            });
            for user in here.collect::<Vec<_>>() {
                state.look(self, user, patience);
            }
        }
        drop(state);
        self.ask_nodes(questions);
    }

    /// Tells who is offline by now.
    pub(super) fn end_presences(&self) {
        let mut state = lock(&self.presences.0);
        let now = Instant::now();
        while let Some(&(due, user)) = state.due.first()
            && due <= now
        {
            state.due.pop_first();
            if let Some(watched) = state.watched.get_mut(&user) {
                watched.due = None;
                watched.tell(user, false);
            }
        }
    }

    /// Replaces whom a device watches. `turn`: of several calls the latest counts.
    pub(crate) async fn watch_users(
        &self,
        device: Arc<Device>,
        turn: u64,
        users: Vec<UserId>,
    ) -> Result<(), Error> {
        if users.len() > self.limits.presence {
            return Err(Error::invalid(format!(
                "at most {} users are watched",
                self.limits.presence
            )));
        }
        let users: Vec<UserId> = BTreeSet::from_iter(users).into_iter().collect();
        let without = |known: &[UserId]| -> Vec<UserId> {
            let is_new = |user: &UserId| known.binary_search(user).is_err();
            users.iter().copied().filter(is_new).collect()
        };
        let asked = without(&device.watching());
        if !self.strangers(device.viewer(), &asked).await?.is_empty() {
            return Err(Error::not_found("there is no such user"));
        }
        let (new, questions) = {
            let mut state = lock(&self.presences.0);
            let Some(before) = device.set_watching(turn, users.clone()) else {
                return Ok(());
            };
            let new = without(&before);
            for user in before {
                if users.binary_search(&user).is_err() {
                    state.take_away(&device, user);
                }
            }
            let mut unknown = Vec::new();
            for &user in &new {
                let watched = state.watched.entry(user).or_default();
                if watched.watchers.is_empty() {
                    unknown.push(user);
                }
                if !watched
                    .watchers
                    .iter()
                    .any(|w| Arc::ptr_eq(&w.device, &device))
                {
                    watched.watchers.push(Watcher {
                        device: Arc::clone(&device),
                        sight: Sight::Asked,
                    });
                }
                let patience = if self.bus.is_some() {
                    ANSWER
                } else {
                    Duration::ZERO
                };
                state.look(self, user, patience);
            }
            let mut questions = Vec::new();
            if self.bus.is_some() {
                questions = state.asks.ask(&unknown);
            }
            (new, questions)
        };
        self.end_presences();
        self.ask_nodes(questions);
        self.see(device.user, &new, Some(Sight::Asked), |other| {
            Arc::ptr_eq(other, &device)
        })
        .await
    }

    /// Finds out which of these users blocked a watcher. `only`: for those who are told this so far.
    async fn see(
        &self,
        watcher: UserId,
        users: &[UserId],
        only: Option<Sight>,
        is_meant: impl Fn(&Arc<Device>) -> bool,
    ) -> Result<(), Error> {
        for users in users.chunks(1000) {
            let keys = users.iter().map(|user| RowKey::Block(*user, watcher));
            let rows = self.store.rows(keys.collect()).await?;
            let mut state = lock(&self.presences.0);
            for (&user, block) in users.iter().zip(rows) {
                let sight = if block.is_some() {
                    Sight::Blocked
                } else {
                    Sight::Free
                };
                state.set(user, sight, only, &is_meant);
            }
        }
        Ok(())
    }

    /// Somebody blocked a user, or no longer does: what that one is told of their presence, and what of their
    /// signals is passed on.
    pub(super) fn blocked(&self, by: UserId, user: UserId, on: bool) {
        if let Some(by) = self.users.get(by) {
            by.set_block(user, on);
        }
        self.believed.forget(user);
        let sight = if on { Sight::Blocked } else { Sight::Free };
        lock(&self.presences.0).set(by, sight, None, |device| device.user == user);
    }

    /// Looks again who is blocked by whom: a lost hint is found here.
    pub(super) async fn check_sights(&self) {
        let mut watching: HashMap<UserId, BTreeSet<UserId>> = HashMap::new();
        for (user, watched) in &lock(&self.presences.0).watched {
            for watcher in &watched.watchers {
                watching
                    .entry(watcher.device.user)
                    .or_default()
                    .insert(*user);
            }
        }
        for (watcher, users) in watching {
            let users: Vec<UserId> = users.into_iter().collect();
            let is_meant = |device: &Arc<Device>| device.user == watcher;
            if self.see(watcher, &users, None, is_meant).await.is_err() {
                // The next round's affair.
                return;
            }
        }
    }

    /// A user is no longer in a conversation: their devices watch nobody any more whom they knew by it alone.
    pub(super) fn check_watched(self: &Arc<Self>, user: UserId) {
        let Some(online) = self.users.get(user) else {
            return;
        };
        for device in lock(&online.devices).iter() {
            let users = device.watching();
            if users.is_empty() {
                continue;
            }
            let (hub, device) = (Arc::clone(self), Arc::clone(device));
            tokio::spawn(async move {
                // Who cannot be asked about is known no longer.
                let strangers = hub.strangers(device.viewer(), &users).await;
                let strangers = strangers.unwrap_or(users);
                let mut state = lock(&hub.presences.0);
                device.watch_less(&strangers);
                for user in strangers {
                    state.take_away(&device, user);
                    device.presence(Presence {
                        user,
                        online: false,
                    });
                }
            });
        }
    }

    /// A device is gone: it watches nobody.
    pub(super) fn watch_none(&self, device: &Arc<Device>) {
        if device.has_watched() {
            let mut state = lock(&self.presences.0);
            for user in device.end_watching() {
                state.take_away(device, user);
            }
        }
    }

    /// Which of these users a viewer may not know. Known are oneself, the other one of a direct conversation, and who is or
    /// was in a conversation that one is a member of now.
    pub(crate) async fn strangers(
        &self,
        viewer: Viewer,
        users: &[UserId],
    ) -> Result<Vec<UserId>, Error> {
        let mut unknown: HashSet<UserId> = HashSet::new();
        let Viewer::User(me) = viewer else {
            for users in users.chunks(1000) {
                let keys = users.iter().map(|user| RowKey::User(*user)).collect();
                let rows = self.store.rows(keys).await?;
                let missing = users.iter().zip(rows).filter(|(_, row)| row.is_none());
                unknown.extend(missing.map(|(user, _)| *user));
            }
            return Ok(unknown.into_iter().collect());
        };
        for users in users.chunks(1000) {
            let pairs = users
                .iter()
                .map(|&user| RowKey::Direct(me.min(user), me.max(user)));
            let rows = self.store.rows(pairs.collect()).await?;
            let apart = users.iter().zip(rows).filter(|(_, row)| row.is_none());
            unknown.extend(apart.map(|(user, _)| *user).filter(|user| *user != me));
        }
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        let mut mine = &self.store.memberships(me).await?.conversations[..];
        while !mine.is_empty() && !unknown.is_empty() {
            let (part, rest) = mine.split_at(mine.len().min((1000 / unknown.len()).max(1)));
            mine = rest;
            let asked: Vec<UserId> = unknown.iter().copied().take(1000).collect();
            let keys = part
                .iter()
                .flat_map(|(id, ..)| asked.iter().map(|user| RowKey::Member(*id, *user)));
            for row in self.store.rows(keys.collect()).await?.into_iter().flatten() {
                if let Row::Member(member) = row {
                    unknown.remove(&member.user);
                }
            }
        }
        Ok(unknown.into_iter().collect())
    }
}
