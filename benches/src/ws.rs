//! Just enough WebSocket (RFC 6455) for the loader and the floor: whole frames, no fragments, no extensions.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::{Outcome, machine};

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// What clients mask with. The protocol wants a random one, against proxies that are not there; this one lets a prepared frame
/// be changed where it stands, and costs the server the same.
const MASK: [u8; 4] = [0; 4];
/// Sockets of one source address: the system has some 28,000 ports for each.
const PORTS: usize = 20_000;
/// Handshakes under way at once.
const AT_ONCE: usize = 50;
/// How long a handshake or a single frame may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a handshake's answer, and of a frame, that are read.
const LONGEST: usize = 64 << 10;

/// A frame as it came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) op: u8,
    /// As it stands there: masked, if it came from a client.
    pub(crate) payload: &'a [u8],
    pub(crate) mask: Option<[u8; 4]>,
}

/// The first whole frame in `bytes`, and how long it is.
pub(crate) fn first_frame(bytes: &[u8]) -> Outcome<Option<(Frame<'_>, usize)>> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    let (length, mut head) = match (second & 0x7f, rest) {
        (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10)
        }
        (126 | 127, _) => return Ok(None),
        (length, _) => (u64::from(length), 2),
    };
    let mut mask = None;
    if second & 0x80 != 0 {
        let Some(found) = bytes
            .get(head..head + 4)
            .and_then(|four| four.try_into().ok())
        else {
            return Ok(None);
        };
        mask = Some(found);
        head += 4;
    }
    if first & 0x80 == 0 || length > LONGEST as u64 {
        return Err("a frame is in pieces or too long for this tool".into());
    }
    let end = head + length as usize;
    Ok(bytes.get(head..end).map(|payload| {
        let op = first & 0x0f;
        (Frame { op, payload, mask }, end)
    }))
}

/// A whole frame; `mask` as clients must.
pub(crate) fn frame(op: u8, payload: &[u8], mask: bool) -> Vec<u8> {
    let bit = if mask { 0x80 } else { 0 };
    let mut frame = vec![0x80 | op];
    match payload.len() {
        length @ 0..=125 => frame.push(bit | length as u8),
        length @ 126..=0xffff => {
            frame.push(bit | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(bit | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    if mask {
        frame.extend(MASK);
        frame.extend(
            payload
                .iter()
                .zip(MASK.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
    } else {
        frame.extend(payload);
    }
    frame
}

/// Finds whole frames in what arrives.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// The beginning of a frame that has not come whole. Empty, and without memory of its own, most of the time.
    partial: Vec<u8>,
}

impl Scanner {
    /// Hands what is there to `first`, again and again: it takes the first whole thing and tells its length, or `None` as long
    /// as there is none.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        mut first: impl FnMut(&[u8]) -> Outcome<Option<usize>>,
    ) -> Outcome<()> {
        let joined;
        let mut rest = if self.partial.is_empty() {
            bytes
        } else {
            self.partial.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.partial);
            &joined
        };
        while let Some(length) = first(rest)? {
            rest = &rest[length..];
        }
        if !rest.is_empty() {
            self.partial = rest.to_vec();
        }
        Ok(())
    }
}

/// A server's address, and what is asked for there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    /// The native protocol, and not the basic profile.
    pub(crate) native: bool,
}

impl Door {
    /// Connects the socket of that number and sends its handshake. It is blocking, with a timeout.
    pub(crate) fn knock(&self, number: usize, path: &str) -> Outcome<TcpStream> {
        let address = self.address;
        let mut stream = machine::connect(number / PORTS, address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let protocol = if self.native {
            "sec-websocket-protocol: chat.v1\r\n"
        } else {
            ""
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n{protocol}\
             sec-websocket-version: 13\r\nsec-websocket-key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    }

    /// Opens a socket for each path, in order; the first one has that number.
    pub(crate) fn open(&self, first: usize, paths: &[String]) -> Outcome<Vec<TcpStream>> {
        let mut open = Vec::with_capacity(paths.len());
        for paths in paths.chunks(AT_ONCE) {
            let began = open.len();
            for path in paths {
                open.push(self.knock(first + open.len(), path)?);
            }
            for stream in &mut open[began..] {
                is_open(&head(stream)?)?;
            }
        }
        Ok(open)
    }
}

/// Whether this answers a handshake as it should be.
pub(crate) fn is_open(head: &[u8]) -> Outcome<()> {
    if head.starts_with(b"HTTP/1.1 101") {
        return Ok(());
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    Err(format!("a socket was not opened: {line}").into())
}

/// Reads up to the empty line and nothing beyond: there the frames begin.
pub(crate) fn head(stream: &mut TcpStream) -> Outcome<Vec<u8>> {
    let (mut head, mut space) = (Vec::new(), [0; 2048]);
    loop {
        let seen = stream.peek(&mut space)?;
        if seen == 0 || head.len() > LONGEST {
            return Err("the other side hung up in the handshake".into());
        }
        let before = head.len();
        head.extend_from_slice(&space[..seen]);
        let end = head.windows(4).position(|four| four == b"\r\n\r\n");
        let wanted = end.map_or(seen, |end| end + 4 - before);
        stream.read_exact(&mut space[..wanted])?;
        if end.is_some() {
            head.truncate(before + wanted);
            return Ok(head);
        }
    }
}

/// What a Close frame says.
pub(crate) fn closed(payload: &[u8]) -> String {
    match payload {
        [a, b, reason @ ..] => {
            let code = u16::from_be_bytes([*a, *b]);
            let reason = String::from_utf8_lossy(reason);
            format!("the server closed a socket: {code} {reason}")
        }
        _ => "the server closed a socket".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_they_arrive() {
        let sent: Vec<Vec<u8>> = [0, 1, 125, 126, 300, 65_000]
            .map(|length| vec![b'x'; length])
            .into();
        let stream: Vec<u8> = sent
            .iter()
            .flat_map(|payload| frame(TEXT, payload, false))
            .collect();
        for width in [1, 2, 3, 7, 130, 4096, stream.len()] {
            let (mut scanner, mut found) = (Scanner::default(), Vec::new());
            for bytes in stream.chunks(width) {
                let first = |bytes: &[u8]| {
                    let frame = first_frame(bytes)?;
                    Ok(frame.map(|(frame, length)| {
                        found.push(frame.payload.to_vec());
                        length
                    }))
                };
                scanner.feed(bytes, first).unwrap();
            }
            assert_eq!(found, sent, "in pieces of {width}");
        }
    }

    #[test]
    fn what_this_tool_cannot_read_is_said() {
        assert!(first_frame(&[0x01, 0x00]).is_err(), "a fragment");
        assert!(
            first_frame(&[0x81, 127, 1, 0, 0, 0, 0, 0, 0, 0]).is_err(),
            "too long"
        );
        assert_eq!(first_frame(&[0x81]).unwrap(), None);
    }
}
