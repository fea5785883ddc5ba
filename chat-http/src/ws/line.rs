//! A TCP stream that a socket's task lends to the fan-out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use chat_core::protocol::Settings;
use chat_core::{Delivery, Format, Outlet, Rest, Run, Sent};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::basic;

/// What events look like at the other end.
pub(super) enum Speaks {
    Basic(Format),
    Native(Arc<Settings>),
}

impl Speaks {
    fn run(&self, run: &Run<'_>) -> Bytes {
        match self {
            Self::Basic(format) => run.joined(*format, |delivery| basic::event(delivery, *format)),
            Self::Native(settings) => {
                let encode = |delivery: &Delivery| Some(settings.event(delivery));
                run.joined(settings.format, encode)
            }
        }
    }
}

/// The sending side, shared by the socket's task and the fan-out: at any time one of them has the right to use it.
pub(super) struct Line {
    stream: OwnedWriteHalf,
    speaks: Speaks,
}

impl Outlet for Line {
    fn offer(&self, run: &Run<'_>) -> Sent {
        let bytes = self.speaks.run(run);
        if bytes.is_empty() {
            return Sent::All;
        }
        match self.stream.try_write(&bytes) {
            Ok(sent) if sent == bytes.len() => Sent::All,
            // Whether the peer is slow or gone, the task finds out.
            Ok(0) | Err(_) => Sent::Nothing,
            Ok(sent) => Sent::Part(Rest { bytes, sent }),
        }
    }
}

/// The task's own side.
pub(super) struct Tcp {
    read: OwnedReadHalf,
    line: Arc<Line>,
}

impl Tcp {
    pub(super) fn new(stream: TcpStream, speaks: Speaks) -> Self {
        let (read, stream) = stream.into_split();
        let line = Arc::new(Line { stream, speaks });
        Self { read, line }
    }

    pub(super) fn outlet(&self) -> Arc<dyn Outlet> {
        Arc::clone(&self.line) as Arc<dyn Outlet>
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = self.line.stream.as_ref();
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = SockRef::from(self.line.stream.as_ref());
        Poll::Ready(stream.shutdown(std::net::Shutdown::Write))
    }
}
