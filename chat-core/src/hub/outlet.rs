//! Past the queue: while the owner of a connection has nothing to send and sleeps, the fan-out itself sends.
//!
//! The right to send is in one hand at any time: the owner lends it to the hub when it has sent all it had, and takes it back
//! when it runs. So the order of frames needs no lock but the device's own, and what the hub sent in part goes on first.

use std::sync::Arc;

use bytes::Bytes;

use super::delivery::Frames;
use super::{Delivery, Device, Format};

/// Consecutive events of one log, on their way to all who may see all of them.
#[derive(Debug)]
pub struct Run<'a> {
    deliveries: &'a [Arc<Delivery>],
    joined: Frames,
}

impl<'a> Run<'a> {
    pub(super) fn new(deliveries: &'a [Arc<Delivery>]) -> Self {
        Self {
            deliveries,
            joined: Frames::default(),
        }
    }

    /// The frames of all these events in a format, one behind the other: joined for the first outlet that asks, all others
    /// share the bytes. `encode` gives the frame of one event; `None` for those that are not told in this format.
    pub fn joined(&self, format: Format, encode: impl Fn(&Delivery) -> Option<Bytes>) -> Bytes {
        self.joined.get(format, || match self.deliveries {
            [one] => encode(one).unwrap_or_default(),
            all => {
                let frames: Vec<Bytes> = all.iter().filter_map(|one| encode(one)).collect();
                frames.concat().into()
            }
        })
    }
}

/// Where a connection's events may go at once, past its queue: a transport that its owner lends ([`Loan::lend`]).
pub trait Outlet: Send + Sync {
    /// Sends the frames of these events as far as they can be sent without waiting. Called by the fan-out, whose other
    /// readers wait meanwhile: it never blocks, and takes no lock that somebody else holds for long.
    fn offer(&self, run: &Run<'_>) -> Sent;
}

/// What became of an offer.
#[derive(Debug)]
pub enum Sent {
    /// Nothing was sent: the events go to the connection's queue.
    Nothing,
    /// All is on its way.
    All,
    /// A part: the connection's owner is woken to send the rest.
    Part(Rest),
}

/// What an outlet sent in part only. Goes on before anything else.
#[derive(Debug)]
pub struct Rest {
    /// Whole frames, …
    pub bytes: Bytes,
    /// … of which so many bytes are sent; less than all.
    pub sent: usize,
}

impl Rest {
    pub(super) fn size(&self) -> usize {
        self.bytes.len().saturating_sub(self.sent)
    }
}

/// The owner's side of lending its transport to the hub; see [`crate::Connection::loan`]. Dropping it takes the transport
/// back for good.
pub struct Loan(Arc<Device>);

impl Loan {
    pub(super) const fn new(device: Arc<Device>) -> Self {
        Self(device)
    }

    /// From now on the fan-out may send through this outlet, until the owner takes it back. Only for an owner that has
    /// sent all it had and was told `Pending` by the connection; does nothing when something is queued meanwhile.
    pub fn lend(&self, outlet: &Arc<dyn Outlet>) {
        self.0.lend(outlet);
    }

    /// From now on only the owner sends, beginning with what this gives back. Nothing the fan-out does is under way any
    /// more when this returns. To be called before the connection is drained, and before anything is sent.
    #[must_use]
    pub fn take_back(&self) -> Option<Rest> {
        self.0.take_back()
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let _ = self.take_back();
    }
}

#[cfg(test)]
mod tests;
