//! What comes in on one socket.
//!
//! tungstenite parses it and borrows the stream for the time of a call. What it writes by itself (Pong, Close) joins the one
//! queue of frames, so that nothing overtakes or splits a frame that was encoded elsewhere.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use chat_core::protocol::Close;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::frame::Track;
use super::out::Out;

pub(super) struct Reader {
    parser: WebSocketContext,
    track: Track,
    fragments: u32,
    /// When anything was last read.
    heard: Instant,
    /// When the frame that is coming in began.
    begun: Option<Instant>,
}

/// What a [`Reader`] read.
pub(super) enum Inbound {
    /// A message.
    Message(Message),
    /// The peer's Close is in, and ours is in the queue.
    Closed,
    /// Against the protocol: nothing after it can be read.
    Broken(Close),
    /// The peer went away without a word.
    Gone,
}

impl Reader {
    /// Goes on after `read`, which came with the handshake.
    pub(super) fn new(read: Vec<u8>, config: WebSocketConfig, fragments: u32) -> Self {
        let mut track = Track::default();
        track.feed(&read);
        let parser = if read.is_empty() {
            WebSocketContext::new(Role::Server, Some(config))
        } else {
            WebSocketContext::from_partially_read(read, Role::Server, Some(config))
        };
        Self {
            parser,
            track,
            fragments,
            heard: Instant::now(),
            begun: None,
        }
    }

    /// Reads one message; what has to be answered at once goes to `out`. Pending: nothing is there.
    pub(super) fn poll_next<I: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut I,
        out: &mut Out,
    ) -> Poll<Inbound> {
        let mut replies = Vec::new();
        let result = self.parser.read(&mut Borrowed {
            io,
            cx,
            track: &mut self.track,
            fragments: self.fragments,
            heard: &mut self.heard,
            replies: &mut replies,
        });
        out.push(replies.into());
        Poll::Ready(match result {
            Ok(message) => Inbound::Message(message),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                self.rest();
                return Poll::Pending;
            }
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::QuotaExceeded => {
                Inbound::Broken(Close::FLOOD)
            }
            Err(Error::ConnectionClosed) => Inbound::Closed,
            Err(Error::Io(_) | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                Inbound::Gone
            }
            Err(Error::Capacity(_)) => Inbound::Broken(Close::TOO_LARGE),
            Err(Error::Utf8(_)) => Inbound::Broken(Close::UTF8),
            Err(_) => Inbound::Broken(Close::PROTOCOL),
        })
    }

    /// All that was there is read: what is left of a frame, and what the parser keeps.
    fn rest(&mut self) {
        if self.track.is_inside() {
            self.begun.get_or_insert_with(Instant::now);
            return;
        }
        self.begun = None;
        if self.track.take_grown() && self.parser.can_write() {
            // The parser's buffer never shrinks by itself.
            self.parser = WebSocketContext::new(Role::Server, Some(*self.parser.get_config()));
        }
    }

    /// Reads and forgets. Pending: nothing is there; else the peer has ended.
    pub(super) fn poll_discard<I: AsyncRead + Unpin>(cx: &mut Context<'_>, io: &mut I) -> Poll<()> {
        let mut space = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut *io).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
    }

    /// Our Close goes to `out`, and the peer's is taken for its answer from now on.
    pub(super) fn close(&mut self, why: Close, out: &mut Out) {
        let frame = CloseFrame {
            code: CloseCode::from(why.code),
            reason: why.reason.into(),
        };
        // Into memory: it cannot fail.
        let mut bytes = io::Cursor::new(Vec::new());
        let _ = self.parser.close(&mut bytes, Some(frame));
        out.push(bytes.into_inner().into());
    }

    pub(super) const fn heard(&self) -> Instant {
        self.heard
    }

    pub(super) const fn begun(&self) -> Option<Instant> {
        self.begun
    }
}

/// What tungstenite sees for the time of one call.
struct Borrowed<'a, 'b, I> {
    io: &'a mut I,
    cx: &'a mut Context<'b>,
    track: &'a mut Track,
    fragments: u32,
    heard: &'a mut Instant,
    replies: &'a mut Vec<u8>,
}

impl<I: AsyncRead + Unpin> Read for Borrowed<'_, '_, I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.io).poll_read(self.cx, &mut buffer) {
            Poll::Ready(result) => {
                result?;
                *self.heard = Instant::now();
                self.track.feed(buffer.filled());
                if self.track.fragments() > self.fragments {
                    return Err(io::ErrorKind::QuotaExceeded.into());
                }
                Ok(buffer.filled().len())
            }
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<I> Write for Borrowed<'_, '_, I> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.replies.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
