//! A TCP stream that a socket's task lends to the fan-out.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use chat_core::protocol::Settings;
use chat_core::{Delivery, Format, Outlet, Rest, Run, Sent};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

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

/// The stream, shared by the socket's task and the fan-out: at any time one of them has the right to send.
pub(super) struct Line {
    stream: TcpStream,
    speaks: Speaks,
}

impl Outlet for Line {
    fn offer(&self, run: &Run<'_>) -> Sent {
        let bytes = self.speaks.run(run);
        if bytes.is_empty() {
            return Sent::All;
        }
        // The runtime is not asked first whether the socket takes something: mostly it does, and what the runtime knows of it
        // stands elsewhere in memory.
        match (&*SockRef::from(&self.stream)).write(&bytes) {
            Ok(sent) if sent == bytes.len() => Sent::All,
            // Whether the peer is slow or gone, the task finds out.
            Ok(0) | Err(_) => Sent::Nothing,
            Ok(sent) => Sent::Part(Rest { bytes, sent }),
        }
    }
}

/// The task's own side.
pub(super) struct Tcp(Arc<Line>);

impl Tcp {
    pub(super) fn new(stream: TcpStream, speaks: Speaks) -> Self {
        Self(Arc::new(Line { stream, speaks }))
    }

    pub(super) fn outlet(&self) -> Arc<dyn Outlet> {
        Arc::clone(&self.0) as Arc<dyn Outlet>
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = &self.0.stream;
        loop {
            ready!(stream.poll_read_ready(cx))?;
            let (space, mut read) = (buffer.initialize_unfilled(), None);
            let result = stream.try_io(Interest::READABLE, || {
                let count = (&*SockRef::from(stream)).read(space)?;
                read = Some(count);
                // Less than there was room for: nothing is left, so there is no need to ask the system once more.
                if (1..space.len()).contains(&count) {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(())
            });
            match (read, result) {
                (Some(count), _) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                (None, result) => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = &self.0.stream;
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
        let stream = SockRef::from(&self.0.stream);
        Poll::Ready(stream.shutdown(std::net::Shutdown::Write))
    }
}
