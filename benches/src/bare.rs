//! The floor: the least a server can do. It reads a frame and sends one of the same length as the chat's, prepared once, to
//! whom it is for; whatever waits for a socket goes out in one write. No users, no JSON, no store, no order between rooms.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};

use mio::{Events, Interest, Poll, Token};

use crate::Outcome;
use crate::options::{Bare, To};
use crate::ws::{self, Scanner};

/// What is read at once.
const READ: usize = 64 << 10;
/// Bytes that may wait for one socket.
const BACKLOG: usize = 1 << 20;

const LISTENER: Token = Token(usize::MAX);
const PARENT: Token = Token(usize::MAX - 1);

struct Peer {
    stream: mio::net::TcpStream,
    scanner: Scanner,
    /// What could not be written yet.
    waiting: Vec<u8>,
}

/// Serves until the parent ends or closes this process's input. Its first line of output is the port.
pub(crate) fn serve(options: &Bare) -> Outcome<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    let mut poll = Poll::new()?;
    let waker = mio::Waker::new(poll.registry(), PARENT)?;
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = waker.wake();
    });
    listener.set_nonblocking(true)?;
    let mut listener = mio::net::TcpListener::from_std(listener);
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let answer = ws::frame(ws::TEXT, &vec![b'x'; options.payload], false);
    let mut events = Events::with_capacity(1024);
    let mut peers: Vec<Peer> = Vec::new();
    let mut space = vec![0; READ];
    // For `All`: what everybody gets in this turn.
    let mut batch = Vec::new();
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            match event.token() {
                PARENT => return Ok(()),
                LISTENER => accept(&poll, &listener, &mut peers)?,
                Token(number) => {
                    let sent = peers[number].take(&mut space)?;
                    let both = [number, number ^ 1];
                    for _ in 0..sent {
                        match options.to {
                            To::All => batch.extend_from_slice(&answer),
                            To::Pair => both.iter().for_each(|peer| {
                                if let Some(peer) = peers.get_mut(*peer) {
                                    peer.waiting.extend_from_slice(&answer);
                                }
                            }),
                        }
                    }
                    for peer in both {
                        if let Some(peer) = peers.get_mut(peer) {
                            peer.flush()?;
                        }
                    }
                }
            }
        }
        if !batch.is_empty() {
            for peer in &mut peers {
                peer.give(&batch)?;
            }
            batch.clear();
        }
    }
}

/// Takes all who wait, with their handshake: this blocks, which is fine before anything is measured.
fn accept(poll: &Poll, listener: &mio::net::TcpListener, peers: &mut Vec<Peer>) -> Outcome<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => std::net::TcpStream::from(stream),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let mut stream = stream;
        ws::head(&mut stream)?;
        // Nobody checks what the key was made into.
        let accept =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        stream.write_all(accept.as_bytes())?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry()
            .register(&mut stream, Token(peers.len()), both)?;
        peers.push(Peer {
            stream,
            scanner: Scanner::default(),
            waiting: Vec::new(),
        });
    }
}

impl Peer {
    /// Reads what is there; how many messages that was.
    fn take(&mut self, space: &mut [u8]) -> Outcome<u64> {
        let mut found = 0;
        loop {
            let read = match self.stream.read(space) {
                // Those who went away are no longer measured.
                Ok(0) => return Ok(0),
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(found),
                Err(_) => return Ok(0),
            };
            self.scanner.feed(&space[..read], |frame| {
                found += u64::from(frame.op == ws::TEXT);
                Ok(())
            })?;
            if read < space.len() {
                return Ok(found);
            }
        }
    }

    /// Writes at once what can be, and keeps the rest.
    fn give(&mut self, bytes: &[u8]) -> Outcome<()> {
        let written = if self.waiting.is_empty() {
            self.write(bytes)
        } else {
            0
        };
        self.waiting.extend_from_slice(&bytes[written..]);
        if self.waiting.len() > BACKLOG {
            return Err("the loader does not read what is sent".into());
        }
        Ok(())
    }

    fn flush(&mut self) -> Outcome<()> {
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            self.give(&waiting)?;
            if self.waiting.is_empty() {
                // Its memory serves again.
                self.waiting = waiting;
                self.waiting.clear();
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        // Who went away is no longer measured.
        self.stream.write(bytes).unwrap_or_default()
    }
}
