//! A connected device that keeps all it got.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::world::World;
use super::{Fixture, PATIENCE, Violation, ensure, ensure_eq};
use crate::{
    Actor, Chat, Closed, Connection, Error, Event, EventKind, Identity, Item, LogId, Seq,
    Timestamp, UserId, Viewer, Write,
};

/// A connected device that keeps all it got.
pub(crate) struct Device<'a> {
    fixture: &'a dyn Fixture,
    connection: Connection,
    /// What it got, in order.
    pub(crate) items: Vec<Item>,
}

/// An entry of a log as a device or a page tells it; nothing but the seq where it is hidden. Without the message, which
/// is told as it stood at different times.
pub(crate) type Told = (Seq, Option<(Timestamp, Actor, EventKind)>);

fn told(event: &Event) -> Told {
    (event.seq, Some((event.at, event.actor, event.kind.clone())))
}

/// What a page of a log tells.
pub(crate) fn told_by(entries: &[(Seq, Option<Event>)]) -> Vec<Told> {
    entries
        .iter()
        .map(|(seq, event)| event.as_ref().map_or((*seq, None), told))
        .collect()
}

impl<'a> Device<'a> {
    pub(crate) async fn connect(
        fixture: &'a dyn Fixture,
        chat: &Chat,
        user: UserId,
    ) -> Result<Self, Error> {
        Self::connect_as(fixture, chat, Identity::of(user)).await
    }

    pub(crate) async fn connect_as(
        fixture: &'a dyn Fixture,
        chat: &Chat,
        identity: Identity,
    ) -> Result<Self, Error> {
        Ok(Self {
            fixture,
            connection: fixture.connect(chat, identity).await?,
            items: Vec::new(),
        })
    }

    pub(crate) fn submit(&self, reference: u64, write: Write) -> Result<(), Error> {
        self.connection.submit(reference, write)
    }

    pub(crate) fn resume(&mut self, cursors: Vec<(LogId, Seq)>) -> Result<(), Error> {
        self.connection.resume(cursors)
    }

    /// The connection itself.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Takes what comes in some time.
    pub(crate) async fn wait(&mut self, time: Duration) {
        let _ = tokio::time::timeout(time, async {
            loop {
                self.fixture
                    .drain(&mut self.connection, &mut self.items)
                    .await;
            }
        })
        .await;
    }

    /// Takes what is there, all with one wake-up; how many items.
    pub(crate) async fn take(&mut self) -> usize {
        let before = self.items.len();
        self.fixture
            .drain(&mut self.connection, &mut self.items)
            .await;
        self.items.len() - before
    }

    /// The signals it got: who, and of what kind.
    pub(crate) fn signals(&self) -> Vec<(UserId, String)> {
        let signals = self.items.iter().filter_map(|item| match item {
            Item::Signal(signal) => Some((signal.user, signal.kind.clone())),
            _ => None,
        });
        signals.collect()
    }

    /// The receipts it got: who, read and delivered up to where.
    pub(crate) fn receipts(&self) -> Vec<(UserId, Seq, Seq)> {
        let receipts = self.items.iter().filter_map(|item| match item {
            Item::Receipt(receipt) => Some((receipt.user, receipt.read, receipt.delivered)),
            _ => None,
        });
        receipts.collect()
    }

    /// What it was told of a user's presence.
    pub(crate) fn presence(&self, user: UserId) -> Vec<bool> {
        let told = self.items.iter().filter_map(|item| match item {
            Item::Presence(presence) if presence.user == user => Some(presence.online),
            _ => None,
        });
        told.collect()
    }

    /// The user whose device it is.
    pub(crate) fn user(&self) -> UserId {
        self.connection.identity().user
    }

    /// Takes what comes until something is so.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        is_so: impl Fn(&[Item]) -> bool,
    ) -> Result<(), Violation> {
        let reached = tokio::time::timeout(PATIENCE, async {
            while !is_so(&self.items) {
                self.fixture
                    .drain(&mut self.connection, &mut self.items)
                    .await;
                if self.closed().is_some() {
                    break;
                }
            }
        });
        let in_time = reached.await.is_ok();
        ensure!(
            in_time && is_so(&self.items),
            "{}'s device never got {what}; it ended with {:?}",
            self.user(),
            self.items.iter().rev().take(3).collect::<Vec<_>>()
        );
        Ok(())
    }

    /// Takes what comes until a log got that far.
    pub(crate) async fn until_seq(
        &mut self,
        log: impl Into<LogId>,
        seq: Seq,
    ) -> Result<(), Violation> {
        let log = log.into();
        let is_so = move |items: &[Item]| items.iter().any(|item| place(item) == Some((log, seq)));
        self.until(&format!("seq {seq} of {log:?}"), is_so).await
    }

    /// Takes what comes until so many submitted writes have their outcome.
    pub(crate) async fn until_done(&mut self, count: usize) -> Result<(), Violation> {
        let is_outcome = |item: &&Item| matches!(item, Item::Done { .. } | Item::Refused { .. });
        self.until(&format!("{count} outcomes"), |items| {
            items.iter().filter(is_outcome).count() >= count
        })
        .await
    }

    /// Takes what comes until the connection is over; why.
    pub(crate) async fn until_closed(&mut self) -> Result<Closed, Violation> {
        self.until("an end", |items| {
            matches!(items.last(), Some(Item::Closed(_)))
        })
        .await?;
        self.closed()
            .ok_or_else(|| Violation::new("a connection ended without a reason"))
    }

    /// Why the connection ended, if it did.
    pub(crate) fn closed(&self) -> Option<Closed> {
        self.items.iter().find_map(|item| match item {
            Item::Closed(why) => Some(*why),
            _ => None,
        })
    }

    /// What it got of a log.
    pub(crate) fn log(&self, log: impl Into<LogId>) -> Vec<Told> {
        let log = log.into();
        self.items
            .iter()
            .filter_map(|item| match item {
                Item::Event(delivery) if delivery.event.log == log => Some(told(&delivery.event)),
                Item::Hidden(hidden) if hidden.log == log => Some((hidden.seq, None)),
                _ => None,
            })
            .collect()
    }

    /// The seqs it got of a log, hidden ones too.
    pub(crate) fn seqs(&self, log: impl Into<LogId>) -> Vec<Seq> {
        self.log(log).into_iter().map(|(seq, _)| seq).collect()
    }

    /// Fails unless it got of a log what a page says, after a seq, no more and no less, in that order.
    pub(crate) async fn agrees(
        &self,
        world: &World,
        log: impl Into<LogId>,
        after: Seq,
    ) -> Result<(), Violation> {
        let log = log.into();
        let mut entries = world.log(Viewer::User(self.user()), log).await?;
        entries.retain(|(seq, _)| *seq > after);
        ensure_eq!(
            self.log(log),
            told_by(&entries),
            "{log:?} on the device of {}",
            self.user()
        );
        Ok(())
    }
}

/// Where an item stands, if in a log.
pub(crate) fn place(item: &Item) -> Option<(LogId, Seq)> {
    match item {
        Item::Event(delivery) => Some((delivery.event.log, delivery.event.seq)),
        Item::Hidden(hidden) => Some((hidden.log, hidden.seq)),
        _ => None,
    }
}

/// A future of somebody's, pinned.
pub(crate) type Boxed<'a> = Pin<Box<dyn Future<Output = Result<(), Violation>> + Send + 'a>>;

/// Runs all of them side by side in this task.
pub(crate) async fn together(mut futures: Vec<Boxed<'_>>) -> Result<(), Violation> {
    std::future::poll_fn(move |cx| {
        let mut failed = None;
        futures.retain_mut(|future| match future.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(result) => {
                failed = result.err().or_else(|| failed.take());
                false
            }
        });
        match failed {
            Some(violation) => Poll::Ready(Err(violation)),
            None if futures.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    })
    .await
}

/// Lets all devices get that far in a log.
pub(crate) async fn all_until_seq(
    devices: &mut [Device<'_>],
    log: impl Into<LogId>,
    seq: Seq,
) -> Result<(), Violation> {
    let log = log.into();
    let waits = devices
        .iter_mut()
        .map(|device| -> Boxed<'_> { Box::pin(device.until_seq(log, seq)) });
    together(waits.collect()).await
}
