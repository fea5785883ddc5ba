//! Who is woken soon: what can wait a moment goes out with whatever comes meanwhile, in one write.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use super::Hub;
use super::device::{Device, lock};

/// After so many devices other tasks run.
const BATCH: usize = 16;

/// What can wait for company: the sooner it is wanted, the less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wait {
    /// A signal.
    Signal,
    /// A mark, one's own or another member's.
    Mark,
}

impl Wait {
    const ALL: [Self; 2] = [Self::Signal, Self::Mark];

    /// A moment to people, many events to a busy device. Who typed may be gone soon, who has read stays so.
    const fn time(self) -> Duration {
        match self {
            Self::Signal => Duration::from_millis(50),
            Self::Mark => Duration::from_millis(250),
        }
    }
}

/// Devices that have something which can wait.
#[derive(Default)]
pub(super) struct Soon([Waiting; Wait::ALL.len()]);

#[derive(Default)]
struct Waiting {
    devices: Mutex<Vec<Arc<Device>>>,
    news: Notify,
}

impl Soon {
    /// Wakes a device when the time is over, or a little sooner, with those that waited before it.
    pub(super) fn add(&self, device: &Arc<Device>, wait: Wait) {
        let Waiting { devices, news } = &self.0[wait as usize];
        let mut devices = lock(devices);
        if devices.is_empty() {
            news.notify_one();
        }
        devices.push(Arc::clone(device));
    }
}

/// Wakes them when the time is over; ends with the hub.
pub(super) fn start(hub: &Arc<Hub>) {
    for wait in Wait::ALL {
        let (soon, stop) = (Arc::clone(&hub.soon), hub.stopped());
        tokio::spawn(async move {
            let Waiting { devices, news } = &soon.0[wait as usize];
            let mut stop = pin!(stop);
            loop {
                tokio::select! {
                    () = news.notified() => {}
                    () = &mut stop => return,
                }
                tokio::time::sleep(wait.time()).await;
                let devices = std::mem::take(&mut *lock(devices));
                for devices in devices.chunks(BATCH) {
                    devices.iter().for_each(|device| device.wake());
                    tokio::task::yield_now().await;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, timeout};

    use super::Wait;
    use crate::kv::MemoryStore;
    use crate::{Chat, Connection, Identity, Item, Target, Write};

    /// What comes next to one who sleeps until it comes.
    async fn next(connection: &mut Connection) -> Vec<Item> {
        let mut items = Vec::new();
        let woken = timeout(Duration::from_secs(20), connection.drain(&mut items)).await;
        woken.unwrap();
        items
    }

    #[tokio::test(start_paused = true)]
    async fn who_sleeps_is_woken_for_what_can_wait() {
        let chat = Chat::builder(MemoryStore::new()).build();
        let ann = chat.enroll("test", "ann", "Ann").await.unwrap();
        let bob = chat.enroll("test", "bob", "Bob").await.unwrap();
        let post = Write::post(ann, Target::Direct(ann, bob), "hello");
        let id = chat.commit(post).await.unwrap().conversation.unwrap();
        let mut phone = chat.connect(Identity::of(ann)).await.unwrap();
        let desk = chat.connect(Identity::of(bob)).await.unwrap();
        let mut tablet = chat.connect(Identity::of(bob)).await.unwrap();
        for _ in 0..3 {
            let began = Instant::now();
            desk.signal(id, "typing", None).unwrap();
            let items = next(&mut phone).await;
            assert!(matches!(items[..], [Item::Signal(_)]), "{items:?}");
            assert!(began.elapsed() < Duration::from_secs(1));
        }
        desk.mark(id, Some(2), None).unwrap();
        let items = next(&mut phone).await;
        assert!(matches!(items[..], [Item::Receipt(_)]), "{items:?}");
        let items = next(&mut tablet).await;
        assert!(matches!(items[..], [Item::Event(_)]), "{items:?}");
        // A signal waits no longer for a mark that waits already.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let post = Write::post(ann, Target::Conversation(id), "hello");
        chat.commit(post).await.unwrap();
        let items = next(&mut phone).await;
        assert!(matches!(items[..], [Item::Event(_)]), "{items:?}");
        let sleeper = tokio::spawn(async move { (next(&mut phone).await, phone) });
        tokio::task::yield_now().await;
        desk.mark(id, Some(3), None).unwrap();
        chat.enroll("test", "cy", "Cy").await.unwrap();
        chat.node.hub.flush().await;
        let began = Instant::now();
        desk.signal(id, "typing", None).unwrap();
        let (items, mut phone) = sleeper.await.unwrap();
        assert!(
            matches!(items[..], [Item::Signal(_), Item::Receipt(_)]),
            "{items:?}"
        );
        // By the paused clock: 50 ms, and what a timer rounds up.
        assert!(began.elapsed() < Wait::Mark.time() / 2);
        // What finds company goes with it, at once.
        let began = Instant::now();
        let sleeper = tokio::spawn(async move { next(&mut phone).await });
        tokio::task::yield_now().await;
        desk.signal(id, "typing", None).unwrap();
        chat.node.hub.flush().await;
        let post = Write::post(bob, Target::Conversation(id), "hello");
        chat.commit(post).await.unwrap();
        let items = sleeper.await.unwrap();
        assert!(
            matches!(items[..], [Item::Signal(_), Item::Event(_)]),
            "{items:?}"
        );
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
