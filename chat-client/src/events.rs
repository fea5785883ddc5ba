//! What a client is told.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chat_core::protocol::{Event, Hello, Presence, Receipt, Signal};
use chat_core::{LogId, Seq};
use futures_util::Stream;
use tokio::sync::Notify;

use crate::Error;
use crate::options::Room;
use crate::shared::Handle;

/// Something that a client is told.
///
/// [`Incoming::Event`] and [`Incoming::Resync`] are loss-free: each log's events come in order, each once. All others may be
/// left out while nobody takes them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Incoming {
    /// A connection stands. Events that were missed follow.
    Connected(Box<Hello>),
    /// All that was missed has been told: what follows happens now. Once for each connection.
    CaughtUp,
    /// Something happened in a log. Of a conversation that is new to one, the `added` event of one's own log comes first.
    Event(Box<Event>),
    /// What was known of a log does not hold any more: load it afresh. What follows `seq` is told; 0: nothing follows.
    Resync {
        /// Which.
        log: LogId,
        /// The last seq that is not told.
        seq: Seq,
    },
    /// Another member types, or the like.
    Signal(Signal),
    /// How far a member has read and received.
    Receipt(Receipt),
    /// A watched user came or went.
    Presence(Presence),
    /// The connection, or a try to get one, failed. The next try comes by itself.
    Disconnected {
        /// What went wrong.
        why: Error,
        /// How long until the next try.
        retry_in: Duration,
    },
    /// It is over; the last of all.
    Stopped(Error),
}

struct Queued {
    incoming: Option<Incoming>,
    moves: Option<(LogId, Option<Seq>)>,
    bytes: usize,
}

#[derive(Default)]
struct State {
    queued: VecDeque<Queued>,
    bytes: usize,
    waker: Option<Waker>,
    /// Nobody listens any more.
    deaf: bool,
    ended: bool,
    was_full: bool,
}

/// What waits to be taken.
pub(crate) struct Queue {
    room: Room,
    state: Mutex<State>,
    emptied: Notify,
}

impl Queue {
    pub(crate) fn new(room: Room) -> Arc<Self> {
        Arc::new(Self {
            room,
            state: Mutex::default(),
            emptied: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues something; false when there is no room for more.
    pub(crate) fn push(
        &self,
        incoming: Option<Incoming>,
        moves: Option<(LogId, Option<Seq>)>,
        bytes: usize,
    ) -> bool {
        let mut state = self.lock();
        if state.deaf {
            return true;
        }
        let full = state.queued.len() >= self.room.items || state.bytes >= self.room.bytes;
        let last = matches!(incoming, Some(Incoming::Stopped(_)));
        if full && moves.is_none() && !last {
            return false;
        }
        state.ended |= last;
        state.bytes += bytes;
        state.queued.push_back(Queued {
            incoming,
            moves,
            bytes,
        });
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        let full = state.queued.len() >= self.room.items || state.bytes >= self.room.bytes;
        state.was_full |= full;
        !full
    }

    /// Waits until there is room again after there was none.
    pub(crate) async fn emptied(&self) {
        self.emptied.notified().await;
    }

    fn take(&self, cx: &mut Context<'_>) -> Poll<Option<Queued>> {
        let mut state = self.lock();
        let Some(next) = state.queued.pop_front() else {
            if state.ended {
                return Poll::Ready(None);
            }
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.bytes -= next.bytes;
        let room = state.queued.len() <= self.room.items / 2 && state.bytes <= self.room.bytes / 2;
        if room && std::mem::take(&mut state.was_full) {
            self.emptied.notify_one();
        }
        Poll::Ready(Some(next))
    }
}

/// What happens, as a stream. It ends after [`Incoming::Stopped`].
///
/// Take it steadily: when its room is used up, nothing more is received until half of it is taken, and then asked for again,
/// so nothing is lost. Dropping it ends nothing; what happens is then not told.
///
/// ```no_run
/// use chat_client::{Client, Incoming, Options};
/// use futures_util::StreamExt;
///
/// # async fn example() -> Result<(), chat_client::Error> {
/// let options = Options::new("http://127.0.0.1:8000").password("ada", "correct horse battery");
/// let (_client, mut events) = Client::connect(options).await?;
/// while let Some(incoming) = events.next().await {
///     if let Incoming::Event(event) = incoming {
///         println!("{:?} {}", event.log, event.seq);
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Events {
    queue: Arc<Queue>,
    cursors: HashMap<LogId, Seq>,
    /// Keeps the client going while somebody listens.
    _handle: Arc<Handle>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    pub(crate) fn new(
        queue: Arc<Queue>,
        cursors: impl IntoIterator<Item = (LogId, Seq)>,
        handle: Arc<Handle>,
    ) -> Self {
        Self {
            queue,
            cursors: cursors.into_iter().collect(),
            _handle: handle,
        }
    }

    /// How far each log was taken from this stream. Kept, and given to [`Options::cursors`](crate::Options::cursors) by the
    /// next run, they let it go on where this one stopped.
    ///
    /// ```no_run
    /// # use chat_client::{Client, Options};
    /// # async fn example(options: Options) -> Result<(), chat_client::Error> {
    /// let (client, events) = Client::connect(options.clone()).await?;
    /// let cursors = events.cursors();
    /// client.close();
    /// let (client, events) = Client::connect(options.cursors(cursors)).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn cursors(&self) -> Vec<(LogId, Seq)> {
        self.cursors.iter().map(|(log, seq)| (*log, *seq)).collect()
    }
}

impl Stream for Events {
    type Item = Incoming;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        loop {
            let Poll::Ready(next) = self.queue.take(cx) else {
                return Poll::Pending;
            };
            let Some(next) = next else {
                return Poll::Ready(None);
            };
            match next.moves {
                Some((log, Some(seq))) => drop(self.cursors.insert(log, seq)),
                Some((log, None)) => drop(self.cursors.remove(&log)),
                None => {}
            }
            if let Some(incoming) = next.incoming {
                return Poll::Ready(Some(incoming));
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.deaf = true;
        state.queued = VecDeque::new();
        state.bytes = 0;
        state.was_full = false;
        drop(state);
        self.queue.emptied.notify_one();
    }
}
