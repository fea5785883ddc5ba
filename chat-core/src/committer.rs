//! Turns a stream of writes into groups: while one group is being synced, the next one gathers. Only marks
//! that nothing came along for wait by the clock.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{mpsc, oneshot};

use crate::hub::{Device, Hub, answer};
use crate::{Committed, ConversationId, Error, ErrorKind, Prepared, Store, UserId};

/// After a group is answered, its writers get so many turns to hand in their next write before a group is taken: with 64
/// writers in a closed loop this doubles the group, and it costs an idle chat nothing.
const TURNS: usize = 8;

/// What the committer is given.
pub(crate) enum Job {
    /// A write on its way to the store.
    Write { prepared: Prepared, reply: Reply },
    /// Wants to know when all before it is done.
    Idle(oneshot::Sender<()>),
}

/// Who waits for the outcome.
pub(crate) enum Reply {
    /// A caller of [`crate::Chat::commit`].
    Caller(oneshot::Sender<Result<Committed, Error>>),
    /// A connection, behind the events.
    Device(Arc<Device>, u64),
    /// Nobody: a gathered mark of this user.
    Marks(UserId, ConversationId),
}

/// The queue in front of the store.
pub(crate) struct Committer {
    queue: mpsc::Sender<Job>,
}

impl Committer {
    pub(crate) fn start(hub: Arc<Hub>) -> Self {
        let (queue, jobs) = mpsc::channel(hub.limits.commit_queue.max(1));
        tokio::spawn(run(hub, jobs));
        Self { queue }
    }

    /// Hands in a write; in the order of the calls. Full: `Busy`, nothing happened.
    pub(crate) fn hand_in(&self, prepared: Prepared, reply: Reply) -> Result<(), Error> {
        self.queue
            .try_send(Job::Write { prepared, reply })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    Error::busy("too many writes are waiting: try again")
                }
                mpsc::error::TrySendError::Closed(_) => Error::unavailable("the chat is closed"),
            })
    }

    /// Waits until every write handed in so far has its outcome.
    pub(crate) async fn idle(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Job::Idle(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

async fn run(hub: Arc<Hub>, mut jobs: mpsc::Receiver<Job>) {
    let limit = hub.limits.group.max(1);
    let mut group = Vec::new();
    let mut is_open = true;
    while is_open {
        tokio::select! {
            biased;
            count = jobs.recv_many(&mut group, limit) => is_open = count > 0,
            () = hub.marks.due() => {}
        }
        let (mut writes, mut replies, mut idle) = (Vec::new(), Vec::new(), Vec::new());
        for job in group.drain(..) {
            match job {
                Job::Write { prepared, reply } => {
                    writes.push(prepared);
                    replies.push(reply);
                }
                Job::Idle(done) => idle.push(done),
            }
        }
        // Who waits for all that was handed in, or nobody any more: marks do not rest.
        let all = !is_open || !idle.is_empty();
        loop {
            // Marks ride along; a full group leaves them some room too.
            let room = limit.saturating_sub(writes.len()).max(limit.div_ceil(4));
            for (place, prepared) in hub.marks.take(room, all) {
                replies.push(Reply::Marks(place.0, place.1));
                writes.push(prepared);
            }
            if writes.is_empty() {
                break;
            }
            let (writes, replies) = (std::mem::take(&mut writes), std::mem::take(&mut replies));
            commit(&hub, writes, replies, !all).await;
            if !all {
                break;
            }
        }
        for done in idle {
            let _ = done.send(());
        }
        for _ in 0..TURNS {
            if jobs.len() >= limit {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Commits a group and tells everybody concerned. `again`: marks that fail are tried again.
async fn commit(hub: &Hub, writes: Vec<Prepared>, replies: Vec<Reply>, again: bool) {
    let mut outcomes = outcomes(&*hub.store, writes).await.into_iter();
    for reply in replies {
        let lost = || {
            Err(Error::unavailable(
                "the store gave no outcome: retry with the same key, or look whether it is there",
            ))
        };
        let outcome = outcomes.next().unwrap_or_else(lost);
        if let (Reply::Marks(user, conversation), Err(error)) = (&reply, &outcome)
            && error.kind() == ErrorKind::Unavailable
            && again
        {
            hub.marks.again((*user, *conversation));
        }
        tell(hub, reply, outcome).await;
    }
}

/// The outcomes of a group: none at all when the store panics. Nobody else could commit anything if that ended the committer.
async fn outcomes(store: &dyn Store, writes: Vec<Prepared>) -> Vec<Result<Committed, Error>> {
    let mut outcomes = pin!(async { store.commit(writes).await });
    poll_fn(|context| {
        let poll = catch_unwind(AssertUnwindSafe(|| outcomes.as_mut().poll(context)));
        poll.unwrap_or_else(|_| {
            tracing::error!("the store panicked: what became of a group is unknown");
            Poll::Ready(Vec::new())
        })
    })
    .await
}

/// Events to the gates first, then the outcome.
async fn tell(hub: &Hub, reply: Reply, mut outcome: Result<Committed, Error>) {
    let marked = outcome.as_ref().ok().and_then(|committed| committed.marked);
    match reply {
        Reply::Caller(caller) => {
            if let Ok(committed) = &outcome {
                hub.publish(committed.events.clone(), None).await;
            }
            // Who no longer waits finds the outcome by the key.
            let _ = caller.send(outcome);
        }
        Reply::Device(device, reference) => {
            let events = outcome
                .as_mut()
                .map(|committed| std::mem::take(&mut committed.events))
                .unwrap_or_default();
            hub.publish(events, Some(answer(device, reference, &outcome)))
                .await;
        }
        // Who is no member any more has nothing to mark.
        Reply::Marks(..) => {
            if let Ok(committed) = outcome {
                hub.publish(committed.events, None).await;
            }
        }
    }
    if let Some(marked) = marked {
        hub.marked(&marked);
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::kv::{Batch, Engine, KvStore, Memory, Pairs};
    use crate::{Chat, Error, ErrorKind};

    /// An engine that panics, right on the committer's task, while it is told to.
    struct Panicking {
        map: Memory,
        get: Arc<AtomicBool>,
        apply: Arc<AtomicBool>,
    }

    impl Engine for Panicking {
        const BLOCKING: bool = false;

        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
            assert!(!self.get.load(Ordering::SeqCst), "a panic in `get`");
            self.map.get(key)
        }
        fn scan(&self, range: Range<&[u8]>, backward: bool, limit: usize) -> Result<Pairs, Error> {
            self.map.scan(range, backward, limit)
        }
        fn apply(&mut self, batch: Batch) -> Result<(), Error> {
            assert!(!self.apply.load(Ordering::SeqCst), "a panic in `apply`");
            self.map.apply(batch)
        }
    }

    /// Law 12: a store that panics is an unknown outcome for the group it was given, and nothing more.
    #[tokio::test]
    async fn outlives_a_store_that_panics() {
        let (get, apply) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let engine = Panicking {
            map: Memory::default(),
            get: Arc::clone(&get),
            apply: Arc::clone(&apply),
        };
        let chat = Chat::builder(KvStore::open(engine).unwrap()).build();
        let enrol = async |name| chat.enroll("test", name, name).await;
        let unknown = |outcome: Result<_, Error>| {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
        };
        enrol("ada").await.unwrap();
        get.store(true, Ordering::SeqCst);
        unknown(enrol("bob").await);
        get.store(false, Ordering::SeqCst);
        enrol("bob").await.unwrap();
        apply.store(true, Ordering::SeqCst);
        unknown(enrol("cy").await);
        apply.store(false, Ordering::SeqCst);
        // Perhaps half applied: that engine takes no more, but can be read.
        unknown(enrol("cy").await);
        chat.ready().await.unwrap();
    }
}
