//! The floor: the least a server can do. It reads a frame for a room and gives one of the same length as the chat's to all who
//! are in it. No users, no JSON, no store.
//!
//! A socket says in its path in which rooms it is (`/3,17`), a frame at the beginning of its payload for which it is. What
//! stands behind that is told again, so that the loader knows a message when it comes.

use std::io::{Read, Write};

use mio::{Events, Interest, Poll, Token};

use crate::options::{Bare, How};
use crate::ws::{self, Scanner};
use crate::{Outcome, machine, tasks, wire};

/// What is read at once.
const READ: usize = 64 << 10;
/// Bytes that may wait for one socket.
const BACKLOG: usize = 1 << 20;
/// Bytes of a payload that are told again: room and number.
const TOLD: usize = 20;

const LISTENER: Token = Token(usize::MAX);
const PARENT: Token = Token(usize::MAX - 1);

struct Peer {
    stream: mio::net::TcpStream,
    scanner: Scanner,
    /// What could not be written yet.
    waiting: Vec<u8>,
    rooms: usize,
}

#[derive(Default)]
struct Room {
    members: Vec<usize>,
    /// Frames of this turn.
    frames: Vec<u8>,
}

/// Serves until the parent ends or closes this process's input. Its first line of output is the port.
pub(crate) fn serve(options: &Bare) -> Outcome<()> {
    let listener = machine::listen()?;
    println!("{}", listener.local_addr()?.port());
    let answer = ws::frame(ws::TEXT, &vec![b'x'; options.payload], false);
    if options.how == How::Task {
        return tasks::serve(listener, answer);
    }
    let mut poll = Poll::new()?;
    let waker = mio::Waker::new(poll.registry(), PARENT)?;
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = waker.wake();
    });
    let mut listener = mio::net::TcpListener::from_std(listener);
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let (mut peers, mut rooms): (Vec<Peer>, Vec<Room>) = (Vec::new(), Vec::new());
    let (mut space, mut spoken, mut touched) = (vec![0; READ], Vec::new(), Vec::new());
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            match event.token() {
                PARENT => return Ok(()),
                LISTENER => accept(&poll, &listener, &mut peers, &mut rooms)?,
                Token(number) => {
                    let peer = &mut peers[number];
                    if event.is_readable() {
                        peer.take(&mut space, |room, told| {
                            if let Some(known) = rooms.get_mut(room) {
                                if known.frames.is_empty() {
                                    spoken.push(room);
                                }
                                let at = known.frames.len() + answer.len() - options.payload;
                                known.frames.extend_from_slice(&answer);
                                let told = &told[..told.len().min(TOLD).min(options.payload)];
                                known.frames[at..at + told.len()].copy_from_slice(told);
                            }
                        })?;
                    }
                    peer.flush()?;
                }
            }
        }
        for room in spoken.drain(..) {
            let Room { members, frames } = &mut rooms[room];
            for frames in match options.how {
                How::Each => frames.chunks(answer.len()),
                _ => frames.chunks(frames.len()),
            } {
                for &member in &*members {
                    let peer = &mut peers[member];
                    if options.how == How::Each || peer.rooms == 1 {
                        peer.give(frames)?;
                    } else {
                        // More may come from another of its rooms.
                        peer.waiting.extend_from_slice(frames);
                        touched.push(member);
                    }
                }
            }
            frames.clear();
        }
        for member in touched.drain(..) {
            peers[member].flush()?;
        }
    }
}

/// Takes all who wait, with their handshake: this blocks, which is fine before anything is measured.
fn accept(
    poll: &Poll,
    listener: &mio::net::TcpListener,
    peers: &mut Vec<Peer>,
    rooms: &mut Vec<Room>,
) -> Outcome<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => std::net::TcpStream::from(stream),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let mut stream = stream;
        let named = rooms_of(&ws::head(&mut stream)?);
        for &room in &named {
            if rooms.len() <= room {
                rooms.resize_with(room + 1, Room::default);
            }
            rooms[room].members.push(peers.len());
        }
        stream.write_all(ACCEPT)?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry()
            .register(&mut stream, Token(peers.len()), both)?;
        peers.push(Peer {
            stream,
            scanner: Scanner::default(),
            waiting: Vec::new(),
            rooms: named.len(),
        });
    }
}

/// Nobody checks what the key was made into.
pub(crate) const ACCEPT: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

/// The rooms in a handshake's path.
pub(crate) fn rooms_of(head: &[u8]) -> Vec<usize> {
    let text = String::from_utf8_lossy(head);
    let path = text.split(' ').nth(1).unwrap_or_default();
    let rooms = path.trim_start_matches('/').split(',');
    rooms.filter_map(|room| room.parse().ok()).collect()
}

/// The room that a client's frame is for, and its payload.
pub(crate) fn room(frame: &ws::Frame<'_>) -> Option<usize> {
    // The loader's mask leaves all as it is.
    (frame.op == ws::TEXT)
        .then_some(frame.payload)
        .and_then(wire::number)
}

impl Peer {
    /// Reads what is there.
    fn take(&mut self, space: &mut [u8], mut on: impl FnMut(usize, &[u8])) -> Outcome<()> {
        loop {
            let read = match self.stream.read(space) {
                Ok(read) if read > 0 => read,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                // Those who went away are no longer measured.
                _ => return Ok(()),
            };
            self.scanner.feed(&space[..read], |bytes| {
                let Some((frame, length)) = ws::first_frame(bytes)? else {
                    return Ok(None);
                };
                if let Some(room) = room(&frame) {
                    on(room, frame.payload);
                }
                Ok(Some(length))
            })?;
            if read < space.len() {
                return Ok(());
            }
        }
    }

    /// Writes at once what can be, and keeps the rest.
    fn give(&mut self, bytes: &[u8]) -> Outcome<()> {
        let written = if self.waiting.is_empty() {
            // Who went away is no longer measured.
            self.stream.write(bytes).unwrap_or_default()
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
}
