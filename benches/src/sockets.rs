//! The loader's sockets: many, on one thread, without a task or a buffer for each, so that the loader is not what is measured.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::Outcome;
use crate::wire::{Said, Wire};
use crate::ws::{self, Scanner};

/// Bytes read at once.
const READ: usize = 64 << 10;
/// Sockets that are looked after in one turn.
const EVENTS: usize = 1024;
/// Pauses of the processor between two looks that find nothing, each some ten nanoseconds: two cores of a virtual machine can be
/// one in truth, and a loader that looks without a pause slows the server beside it.
const PAUSES: usize = 10;

/// What happened on a socket.
#[derive(Debug)]
pub(crate) enum Heard<'a> {
    /// The handshake was answered.
    Open,
    /// A message came.
    Message(&'a [u8]),
    /// Another frame of the native protocol.
    Other(&'a [u8]),
}

/// Open sockets to one server.
pub(crate) struct Sockets {
    pub(crate) wire: Wire,
    poll: Poll,
    events: Events,
    all: Vec<Socket>,
    space: Vec<u8>,
    /// Reads that found something so far.
    pub(crate) reads: u64,
    /// Messages found so far.
    pub(crate) messages: u64,
    /// How long it looked and found nothing so far.
    pub(crate) idle: Duration,
}

struct Socket {
    /// `None`: hung up, for now.
    stream: Option<mio::net::TcpStream>,
    scanner: Scanner,
    is_open: bool,
}

impl Sockets {
    pub(crate) fn new(wire: Wire, streams: Vec<TcpStream>) -> Outcome<Self> {
        let mut sockets = Self {
            wire,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            all: Vec::with_capacity(streams.len()),
            space: vec![0; READ],
            reads: 0,
            messages: 0,
            idle: Duration::ZERO,
        };
        for stream in streams {
            sockets.add(stream)?;
        }
        Ok(sockets)
    }

    /// Adds one that is open; it gets the next number.
    pub(crate) fn add(&mut self, stream: TcpStream) -> Outcome<()> {
        let number = self.all.len();
        let stream = Some(self.register(number, stream)?);
        self.all.push(Socket {
            stream,
            scanner: Scanner::default(),
            is_open: true,
        });
        Ok(())
    }

    /// Puts a stream in the place of another, its handshake sent and not yet answered.
    pub(crate) fn replace(&mut self, socket: usize, stream: TcpStream) -> Outcome<()> {
        let stream = Some(self.register(socket, stream)?);
        self.all[socket] = Socket {
            stream,
            scanner: Scanner::default(),
            is_open: false,
        };
        Ok(())
    }

    /// Hangs up without a word, as a network does.
    pub(crate) fn hang_up(&mut self, socket: usize) {
        self.all[socket].stream = None;
    }

    fn register(&self, number: usize, stream: TcpStream) -> Outcome<mio::net::TcpStream> {
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        self.poll
            .registry()
            .register(&mut stream, Token(number), Interest::READABLE)?;
        Ok(stream)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Sends whole frames on a socket. There is little under way at any time, so they fit into its buffer.
    pub(crate) fn send(&mut self, socket: usize, frames: &[u8]) -> Outcome<()> {
        match &mut self.all[socket].stream {
            Some(stream) => send(stream, frames),
            None => Ok(()),
        }
    }

    /// Looks until something has arrived, at most so long, and takes it in. `on` is told what happened on which socket, and gives
    /// what to send there at once.
    pub(crate) fn turn<'f>(
        &mut self,
        wait: Duration,
        mut on: impl FnMut(usize, Heard<'_>) -> Option<&'f [u8]>,
    ) -> Outcome<()> {
        let (began, mut idle) = (Instant::now(), Duration::ZERO);
        loop {
            // It never sleeps: who writes to a sleeping reader on the same machine pays for waking it, the more the slower the
            // server is. Readers of a network cost nothing like it.
            match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => other?,
            }
            if !self.events.is_empty() {
                break;
            }
            idle = began.elapsed();
            if idle >= wait {
                break;
            }
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
        }
        self.idle += idle;
        for event in &self.events {
            let Token(number) = event.token();
            let socket = &mut self.all[number];
            let Some(stream) = &mut socket.stream else {
                continue;
            };
            loop {
                let read = match stream.read(&mut self.space) {
                    Ok(0) => return Err("the server hung up on a socket".into()),
                    Ok(read) => read,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                };
                self.reads += 1;
                let (wire, messages, is_open) =
                    (self.wire, &mut self.messages, &mut socket.is_open);
                socket.scanner.feed(&self.space[..read], |bytes| {
                    if !*is_open {
                        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
                        let Some(end) = end else { return Ok(None) };
                        ws::is_open(&bytes[..end])?;
                        *is_open = true;
                        answer(stream, on(number, Heard::Open))?;
                        return Ok(Some(end + 4));
                    }
                    let Some((said, length)) = wire.first(bytes)? else {
                        return Ok(None);
                    };
                    match said {
                        Said::Message(message) => {
                            *messages += 1;
                            answer(stream, on(number, Heard::Message(message)))?;
                        }
                        Said::Other(frame) => answer(stream, on(number, Heard::Other(frame)))?,
                        Said::Ping(pong) => send(stream, &pong)?,
                        Said::Nothing => {}
                    }
                    Ok(Some(length))
                })?;
                // Less than there was room for: there is no more, and what comes later is told anew.
                if read < READ {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn answer(stream: &mut mio::net::TcpStream, frames: Option<&[u8]>) -> Outcome<()> {
    frames.map_or(Ok(()), |frames| send(stream, frames))
}

fn send(stream: &mut mio::net::TcpStream, frames: &[u8]) -> Outcome<()> {
    match stream.write(frames) {
        Ok(sent) if sent == frames.len() => Ok(()),
        Ok(_) => Err("the server does not read what is sent".into()),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Err("the server does not read what is sent".into())
        }
        Err(error) => Err(error.into()),
    }
}
