//! Nodes over one store, and a bus between them that cannot be relied on.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::world::World;
use super::{Fixture, Violation};
use crate::{Bus, BusEvent, Chat, Hint, Limits, LogId};

/// Numbers that look random and are the same for the same seed (SplitMix64, by Steele, Lea and Flood).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Below a bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

/// What all handles of a faulty bus share.
pub(crate) struct Faults {
    chance: Mutex<Chance>,
    /// Of 100 hints so many are dropped, so many doubled, so many held back until the next one has passed.
    percent: u64,
    /// From now on nothing passes.
    cut: AtomicBool,
}

impl Faults {
    pub(crate) fn new(seed: u64, percent: u64) -> Arc<Self> {
        Arc::new(Self {
            chance: Mutex::new(Chance::new(seed)),
            percent,
            cut: AtomicBool::new(false),
        })
    }

    /// From now on nothing passes, or everything again.
    pub(crate) fn cut(&self, on: bool) {
        self.cut.store(on, Ordering::SeqCst);
    }
}

/// One node's handle.
pub(crate) struct FaultyBus {
    bus: Box<dyn Bus>,
    faults: Arc<Faults>,
    held: Mutex<VecDeque<Hint>>,
    lost: Arc<Notify>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Bus for FaultyBus {
    fn publish(&self, hint: &Hint) {
        if self.faults.cut.load(Ordering::SeqCst) {
            return;
        }
        let percent = self.faults.percent;
        let roll = lock(&self.faults.chance).below(100);
        let mut held = lock(&self.held);
        if roll < percent {
            // Dropped.
        } else if roll < 2 * percent {
            self.bus.publish(hint);
            self.bus.publish(hint);
        } else if roll < 3 * percent {
            held.push_back(hint.clone());
            return;
        } else {
            self.bus.publish(hint);
        }
        while let Some(late) = held.pop_front() {
            self.bus.publish(&late);
        }
    }

    fn watch(&self, log: LogId, on: bool) {
        self.bus.watch(log, on);
    }

    async fn next(&self) -> BusEvent {
        tokio::select! {
            event = self.bus.next() => event,
            () = self.lost.notified() => BusEvent::Lost,
        }
    }
}

/// Nodes over one store.
pub(crate) struct Nodes {
    pub(crate) world: World,
    pub(crate) chats: Vec<Chat>,
    lost: Vec<Arc<Notify>>,
}

impl Nodes {
    /// So many nodes; `None`: without any bus.
    pub(crate) async fn open(
        fixture: &dyn Fixture,
        nodes: usize,
        limits: &Limits,
        faults: Option<Arc<Faults>>,
    ) -> Result<Self, Violation> {
        let world = World::open(fixture).await?;
        let mut buses = match &faults {
            Some(_) => fixture.buses(nodes).await?.into_iter(),
            None => Vec::new().into_iter(),
        };
        let mut chats = Vec::with_capacity(nodes);
        let mut lost = Vec::with_capacity(nodes);
        for _ in 0..nodes {
            let mut builder = Chat::builder(world.store.clone()).limits(limits.clone());
            let notify = Arc::new(Notify::new());
            if let (Some(bus), Some(faults)) = (buses.next(), &faults) {
                builder = builder.bus(FaultyBus {
                    bus,
                    faults: faults.clone(),
                    held: Mutex::default(),
                    lost: notify.clone(),
                });
            }
            chats.push(fixture.build(builder));
            lost.push(notify);
        }
        Ok(Self { world, chats, lost })
    }

    /// Tells every node that hints may have been lost.
    pub(crate) fn say_lost(&self) {
        for notify in &self.lost {
            notify.notify_one();
        }
    }
}

/// Limits under which nobody is kept from writing, and nobody's queue is full.
pub(crate) fn free() -> Limits {
    Limits {
        message_rate: 0.0,
        queue_items: 1 << 16,
        queue_bytes: 1 << 26,
        connections: 1 << 10,
        in_flight: 1 << 10,
        ..Limits::default()
    }
}
