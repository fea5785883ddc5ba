//! What a hub does by the clock: sweeps, logins that end, hints from other nodes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::device::{Device, lock};
use super::{Closed, Command, Hub};
use crate::rules::{Row, RowKey};
use crate::{BusEvent, Error, Hint, Identity, LoginId, Timestamp};

/// How precisely an expired login loses its connections.
const TICK: Duration = Duration::from_millis(250);

/// When connections end, earliest first.
#[derive(Default)]
pub(super) struct Expiries(Mutex<BinaryHeap<Expiry>>);

struct Expiry(Reverse<Instant>, Weak<Device>);

impl PartialEq for Expiry {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl Eq for Expiry {}
impl PartialOrd for Expiry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Expiry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl Expiries {
    /// The connection ends with its login's time.
    pub(super) fn add(&self, device: &Arc<Device>) {
        // Its own identity again: nothing else can have set it yet.
        let _ = self.renew(device, device.identity());
    }

    /// From now on a connection is this login's and ends with it. The token's end is wall-clock time; the wait for it is
    /// monotonic.
    pub(super) fn renew(&self, device: &Arc<Device>, identity: Identity) -> Result<(), Error> {
        let deadline = identity.expires.map(|expires| {
            let millis = expires.millis().saturating_sub(Timestamp::now().millis());
            Instant::now()
                + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
                    .min(Duration::from_secs(10 * 365 * 86400))
        });
        let before = device.renew(identity, deadline)?;
        // What stands for an earlier end is put back when its time comes.
        if let Some(deadline) = deadline
            && before.is_none_or(|before| deadline < before)
        {
            self.push(deadline, Arc::downgrade(device));
        }
        Ok(())
    }

    fn push(&self, at: Instant, device: Weak<Device>) {
        let mut heap = lock(&self.0);
        heap.push(Expiry(Reverse(at), device));
        // Devices that went before their time are swept out when they are the most.
        if heap.len().is_power_of_two() && heap.len() > 1024 {
            heap.retain(|expiry| expiry.1.strong_count() > 0);
        }
    }

    fn close_expired(&self) {
        let now = Instant::now();
        loop {
            let expired = pop_due(&mut lock(&self.0), now);
            let Some(device) = expired else { return };
            let Some(device) = device.upgrade() else {
                continue;
            };
            match device.deadline() {
                Some(later) if later > now => self.push(later, Arc::downgrade(&device)),
                Some(_) => device.close(Closed::LoggedOut),
                None => {}
            }
        }
    }
}

/// The next device whose time has come.
fn pop_due(heap: &mut BinaryHeap<Expiry>, now: Instant) -> Option<Weak<Device>> {
    let is_due = heap.peek().is_some_and(|expiry| expiry.0.0 <= now);
    if is_due {
        heap.pop().map(|expiry| expiry.1)
    } else {
        None
    }
}

/// Starts the tasks; they end with the hub.
pub(super) fn start(hub: &Arc<Hub>) {
    let weak = Arc::downgrade(hub);
    let stop = hub.shards[0].clone();
    tokio::spawn(async move {
        let Some((sweep, check)) = weak
            .upgrade()
            .map(|hub| (hub.limits.sweep, hub.limits.login_check))
        else {
            return;
        };
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut swept, mut checked) = (Instant::now(), Instant::now());
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.closed() => return,
            }
            let Some(hub) = weak.upgrade() else { return };
            if hub.connections.load(Ordering::Relaxed) == 0 {
                // Nobody is here: nothing to do by the clock until somebody comes.
                tokio::select! {
                    () = hub.arrived.notified() => {}
                    () = stop.closed() => return,
                }
            }
            hub.expiries.close_expired();
            if swept.elapsed() >= sweep {
                swept = Instant::now();
                hub.all(|| Command::Sweep);
                hub.refresh_presences();
            }
            hub.repeat_asks();
            hub.end_presences();
            if checked.elapsed() >= check {
                checked = Instant::now();
                hub.check_logins().await;
                hub.check_sights().await;
            }
        }
    });
    if let Some(bus) = hub.bus.clone() {
        let weak = Arc::downgrade(hub);
        let stop = hub.shards[0].clone();
        tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    event = bus.next() => event,
                    () = stop.closed() => return,
                };
                let Some(hub) = weak.upgrade() else { return };
                hub.changed.notify_one();
                match event {
                    BusEvent::Hint(Hint::Head { log, seq }) => {
                        hub.send(log, Command::Hint { log, seq })
                    }
                    BusEvent::Hint(Hint::Event(event)) => {
                        let log = event.log;
                        // Other nodes' floods wait their turn like this node's own.
                        let room = hub.room(1).await;
                        let events = vec![hub.recent.delivery(*event)];
                        hub.send(
                            log,
                            Command::Publish {
                                log,
                                events,
                                answer: None,
                                room,
                            },
                        );
                    }
                    BusEvent::Hint(Hint::Disconnect { user, login }) => {
                        hub.close(user, login, Closed::Host)
                    }
                    BusEvent::Hint(hint @ Hint::Signal { .. }) => hub.signalled(hint),
                    BusEvent::Hint(hint @ Hint::Receipt { .. }) => hub.receipted(hint),
                    BusEvent::Hint(Hint::Presence {
                        node,
                        online,
                        users,
                    }) => hub.moved_elsewhere(node, online, users),
                    BusEvent::Hint(Hint::Watching { node, ask, users }) => {
                        hub.answer_presence(node, ask, users)
                    }
                    BusEvent::Hint(Hint::Present {
                        node,
                        to,
                        ask,
                        users,
                    }) => {
                        if to == hub.node {
                            hub.presence_answered(node, ask, &users);
                        }
                    }
                    BusEvent::Hint(Hint::Blocked { by, user, on }) => hub.blocked(by, user, on),
                    BusEvent::Lost => hub.all(|| Command::Sweep),
                }
            }
        });
    }
}

impl Hub {
    /// A connection goes on with a fresh login.
    pub(crate) fn renew(
        self: &Arc<Self>,
        device: &Arc<Device>,
        identity: Identity,
    ) -> Result<(), Error> {
        self.expiries.renew(device, identity)?;
        // The login may have ended after it was looked at, and before it was known to be this device's.
        let (hub, device) = (Arc::clone(self), Arc::clone(device));
        tokio::spawn(async move { hub.check_logins_of(vec![device]).await });
        Ok(())
    }

    /// Closes the connections of logins that ended without this node hearing of it.
    async fn check_logins(&self) {
        self.check_logins_of(self.users.devices()).await;
    }

    async fn check_logins_of(&self, devices: Vec<Arc<Device>>) {
        let mut by_login: BTreeMap<LoginId, Vec<Arc<Device>>> = BTreeMap::new();
        for device in devices {
            if let Some(login) = device.identity().login {
                by_login.entry(login).or_default().push(device);
            }
        }
        let logins: Vec<_> = by_login
            .iter()
            .filter_map(|(login, all)| Some((*login, all.first()?.user)))
            .collect();
        for logins in logins.chunks(500) {
            let keys = logins
                .iter()
                .flat_map(|(login, user)| [RowKey::Login(*login), RowKey::User(*user)]);
            // A store that does not answer closes nobody: that is the next round's affair.
            let Ok(rows) = self.store.rows(keys.collect()).await else {
                return;
            };
            for (pair, (login, _)) in rows.chunks(2).zip(logins) {
                let live = matches!(pair, [Some(Row::Login(login)), Some(Row::User(user))]
                    if login.is_live(user, Timestamp::now()));
                if !live {
                    for device in by_login.get(login).into_iter().flatten() {
                        // It may have been renewed meanwhile.
                        if device.identity().login == Some(*login) {
                            device.close(Closed::LoggedOut);
                        }
                    }
                }
            }
        }
    }
}
