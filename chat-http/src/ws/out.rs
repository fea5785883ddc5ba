//! What waits to be written to one socket: whole frames, in order, control frames among them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use chat_core::Rest;
use tokio::io::AsyncWrite;

/// How much goes into one write.
const WRITE: usize = 64 << 10;

thread_local! {
    /// Several frames are joined here for one write: one for all sockets of a thread, as no write outlives its poll.
    static JOINED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug, Default)]
pub(super) struct Out {
    frames: VecDeque<Bytes>,
    /// How much of the first is written.
    written: usize,
    /// How much waits in all.
    bytes: usize,
}

impl Out {
    pub(super) fn push(&mut self, frame: Bytes) {
        if !frame.is_empty() {
            self.bytes += frame.len();
            self.frames.push_back(frame);
        }
    }

    /// Goes on with what the fan-out has begun. Nothing else waits then, as it begins nothing while something does.
    pub(super) fn go_on(&mut self, rest: Rest) {
        let Rest { bytes, sent } = rest;
        self.bytes += bytes.len().saturating_sub(sent);
        self.frames.push_front(bytes);
        self.written = sent;
    }

    /// How many bytes wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Forgets what has not begun to be written; of several frames that the fan-out had sent in part, none.
    pub(super) fn forget(&mut self) {
        self.frames.truncate(usize::from(self.written > 0));
        self.bytes = self
            .frames
            .front()
            .map_or(0, |frame| frame.len() - self.written);
    }

    /// Writes all of it, as much as possible at once. `progress` is set when anything was written.
    pub(super) fn poll_write<I: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
        progress: &mut bool,
    ) -> Poll<io::Result<()>> {
        while let Some(first) = self.frames.front() {
            let mut io = Pin::new(&mut *io);
            let written = if self.frames.len() == 1 {
                ready!(io.poll_write(cx, &first[self.written..]))?
            } else {
                ready!(JOINED.with_borrow_mut(|joined| {
                    joined.clear();
                    joined.extend_from_slice(&first[self.written..]);
                    for frame in self.frames.iter().skip(1) {
                        if joined.len() + frame.len() > WRITE {
                            break;
                        }
                        joined.extend_from_slice(frame);
                    }
                    io.as_mut().poll_write(cx, joined)
                }))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *progress = true;
            self.advance(written);
        }
        // An idle socket holds no buffer.
        self.frames = VecDeque::new();
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        self.written += written;
        while let Some(first) = self.frames.front()
            && self.written >= first.len()
        {
            self.written -= first.len();
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::task::Waker;

    /// Takes so many bytes a write, then would block once.
    struct Narrow(usize, bool, Vec<u8>);

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.1 = !self.1;
            if self.1 {
                return Poll::Pending;
            }
            let taken = self.0.min(bytes.len());
            self.2.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    proptest! {
        #[test]
        fn frames_leave_whole_and_in_order(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..30),
            width in 1usize..100,
            forget_at in prop::option::of(0usize..20),
        ) {
            let mut out = Out::default();
            let mut narrow = Narrow(width, false, Vec::new());
            let mut cx = Context::from_waker(Waker::noop());
            for frame in &frames {
                out.push(Bytes::from(frame.clone()));
            }
            let all = frames.concat();
            prop_assert_eq!(out.bytes(), all.len());
            let mut polls = 0;
            let mut kept = all.len();
            while out.poll_write(&mut cx, &mut narrow, &mut false).is_pending() {
                polls += 1;
                prop_assert_eq!(out.bytes(), kept - narrow.2.len());
                if Some(polls) == forget_at {
                    out.forget();
                    kept = narrow.2.len() + out.bytes();
                    // Only the rest of a frame that was begun is kept.
                    let ends: Vec<_> = frames.iter().scan(0, |end, f| { *end += f.len(); Some(*end) }).collect();
                    prop_assert!(kept == narrow.2.len() || ends.contains(&kept));
                }
            }
            prop_assert_eq!(&narrow.2[..], &all[..kept]);
            prop_assert!(out.is_empty() && out.bytes() == 0);
        }
    }
}
