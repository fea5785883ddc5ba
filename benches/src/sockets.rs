//! The loader's sockets: many, on one thread, without a task or a buffer for each, so that the loader is not what is measured.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use crate::Outcome;
use crate::ws::{self, Scanner};

/// Bytes read at once.
const READ: usize = 64 << 10;
/// Sockets that are looked after in one turn.
const EVENTS: usize = 1024;
/// How an error frame begins.
const ERROR: &[u8] = br#"{"type":"error""#;

/// Open sockets to one server.
pub(crate) struct Sockets {
    poll: Poll,
    events: Events,
    all: Vec<Socket>,
    space: Vec<u8>,
    /// Reads that found something so far.
    pub(crate) reads: u64,
    /// Messages found so far.
    pub(crate) messages: u64,
}

struct Socket {
    stream: mio::net::TcpStream,
    scanner: Scanner,
}

impl Sockets {
    pub(crate) fn new(streams: Vec<TcpStream>) -> Outcome<Self> {
        let mut sockets = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            all: Vec::with_capacity(streams.len()),
            space: vec![0; READ],
            reads: 0,
            messages: 0,
        };
        for stream in streams {
            sockets.add(stream)?;
        }
        Ok(sockets)
    }

    /// Adds one; it gets the next number.
    pub(crate) fn add(&mut self, stream: TcpStream) -> Outcome<()> {
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        let token = Token(self.all.len());
        self.poll
            .registry()
            .register(&mut stream, token, Interest::READABLE)?;
        let scanner = Scanner::default();
        self.all.push(Socket { stream, scanner });
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Sends whole frames on a socket. There is little under way at any time, so they fit into its buffer.
    pub(crate) fn send(&mut self, socket: usize, frames: &[u8]) -> Outcome<()> {
        send(&mut self.all[socket].stream, frames)
    }

    /// Waits until something arrives, at most so long, and takes it in. `on` is told which socket got how many messages, and
    /// gives what to send there at once.
    pub(crate) fn turn<'f>(
        &mut self,
        wait: Duration,
        mut on: impl FnMut(usize, u64) -> Option<&'f [u8]>,
    ) -> Outcome<()> {
        if let Err(error) = self.poll.poll(&mut self.events, Some(wait)) {
            if error.kind() == std::io::ErrorKind::Interrupted {
                return Ok(());
            }
            return Err(error.into());
        }
        for event in &self.events {
            let Token(number) = event.token();
            let socket = &mut self.all[number];
            let mut got = 0;
            loop {
                let read = match socket.stream.read(&mut self.space) {
                    Ok(0) => return Err("the server hung up on a socket".into()),
                    Ok(read) => read,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                };
                self.reads += 1;
                let stream = &mut socket.stream;
                socket.scanner.feed(&self.space[..read], |frame| {
                    match frame.op {
                        ws::TEXT if frame.payload.starts_with(ERROR) => {
                            let text = String::from_utf8_lossy(frame.payload);
                            return Err(format!("the server refused a message: {text}").into());
                        }
                        ws::TEXT => got += 1,
                        ws::PING => send(stream, &ws::frame(ws::PONG, frame.payload, true))?,
                        ws::CLOSE => return Err(ws::closed(frame.payload).into()),
                        _ => {}
                    }
                    Ok(())
                })?;
                // Less than there was room for: there is no more, and what comes later is told anew.
                if read < READ {
                    break;
                }
            }
            self.messages += got;
            if got > 0
                && let Some(frames) = on(number, got)
            {
                send(&mut socket.stream, frames)?;
            }
        }
        Ok(())
    }
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
