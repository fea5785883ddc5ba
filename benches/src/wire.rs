//! What a server speaks: the chat's two protocols, the floor, and the peers.

use std::io::Read;
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{Outcome, ws};

/// How an error frame begins.
const ERROR: &[u8] = br#"{"type":"error""#;
/// How an event in a conversation's log begins.
const EVENT: &[u8] = br#"{"type":"event","body":{"log":{"conversation":"#;
/// Bytes of a peer's line.
const LINE: usize = 4 << 10;

/// A way to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// The documented API's frames.
    Basic,
    /// `chat.v1`.
    Native,
    /// Frames for a room, to be given to all who are in it: the floor, and Node.
    Rooms,
    /// NATS's protocol.
    Nats,
    /// Redis's third protocol.
    Redis,
}

/// The first whole thing that was said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// A message for this socket.
    Message(&'a [u8]),
    /// Another frame of the native protocol.
    Other(&'a [u8]),
    /// To be answered with this.
    Ping(Vec<u8>),
    /// Nothing of interest.
    Nothing,
}

impl Wire {
    /// The first whole thing, and how long it is.
    pub(crate) fn first<'a>(self, bytes: &'a [u8]) -> Outcome<Option<(Said<'a>, usize)>> {
        match self {
            Self::Nats => nats(bytes),
            Self::Redis => redis(bytes),
            Self::Basic | Self::Native | Self::Rooms => {
                let Some((frame, length)) = ws::first_frame(bytes)? else {
                    return Ok(None);
                };
                let said = match frame.op {
                    ws::TEXT if frame.payload.starts_with(ERROR) => {
                        let text = String::from_utf8_lossy(frame.payload);
                        return Err(format!("the server refused a frame: {text}").into());
                    }
                    ws::TEXT if self != Self::Native || frame.payload.starts_with(EVENT) => {
                        Said::Message(frame.payload)
                    }
                    ws::TEXT => Said::Other(frame.payload),
                    ws::PING => Said::Ping(ws::frame(ws::PONG, frame.payload, true)),
                    ws::CLOSE => return Err(ws::closed(frame.payload).into()),
                    _ => Said::Nothing,
                };
                Ok(Some((said, length)))
            }
        }
    }

    /// Waits for the next message on a blocking socket.
    pub(crate) fn wait_for_message(self, stream: &mut TcpStream) -> Outcome<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            match self.first(&bytes)? {
                Some((Said::Message(message), _)) => return Ok(message.to_vec()),
                Some((_, length)) => drop(bytes.drain(..length)),
                None => {
                    // Byte by byte: what is behind the message belongs to whoever reads next.
                    let mut one = [0];
                    if stream.read(&mut one)? == 0 {
                        return Err("the server hung up".into());
                    }
                    bytes.push(one[0]);
                }
            }
        }
    }
}

/// The line at the beginning, without its end, and how long it is.
fn line(bytes: &[u8]) -> Outcome<Option<(&str, usize)>> {
    let Some(end) = bytes.windows(2).take(LINE).position(|two| two == b"\r\n") else {
        let too_long = bytes.len() > LINE;
        return if too_long {
            Err("a line is too long".into())
        } else {
            Ok(None)
        };
    };
    Ok(Some((std::str::from_utf8(&bytes[..end])?, end + 2)))
}

/// What stands behind a line, of so many bytes and a line's end.
fn behind(bytes: &[u8], head: usize, length: usize) -> Option<(&[u8], usize)> {
    let whole = head.checked_add(length)?.checked_add(2)?;
    (bytes.len() >= whole).then(|| (&bytes[head..head + length], whole))
}

fn nats(bytes: &[u8]) -> Outcome<Option<(Said<'_>, usize)>> {
    let Some((text, head)) = line(bytes)? else {
        return Ok(None);
    };
    if text.starts_with("MSG ") {
        let length = text.rsplit(' ').next().unwrap_or_default().parse()?;
        let found = behind(bytes, head, length);
        return Ok(found.map(|(message, whole)| (Said::Message(message), whole)));
    }
    match text {
        "PING" => Ok(Some((Said::Ping(b"PONG\r\n".to_vec()), head))),
        _ if text.starts_with("-ERR") => Err(format!("NATS: {text}").into()),
        _ => Ok(Some((Said::Nothing, head))),
    }
}

fn redis(bytes: &[u8]) -> Outcome<Option<(Said<'_>, usize)>> {
    let Some((text, head)) = line(bytes)? else {
        return Ok(None);
    };
    // A push holds its kind, the channel and the message, each with its length in front.
    let parts = match text.split_at_checked(1) {
        Some(("-", error)) => return Err(format!("Redis: {error}").into()),
        Some((">", count)) => count.parse::<usize>()?,
        _ => return Ok(Some((Said::Nothing, head))),
    };
    let (mut at, mut last, mut kind) = (head, &bytes[..0], None);
    for _ in 0..parts {
        let Some((text, length)) = line(&bytes[at..])? else {
            return Ok(None);
        };
        at += length;
        if let Some(length) = text.strip_prefix('$') {
            let Some((part, whole)) = behind(bytes, at, length.parse()?) else {
                return Ok(None);
            };
            (last, at) = (part, whole);
            kind.get_or_insert(part);
        }
    }
    let is_message = kind == Some(&b"message"[..]);
    let said = if is_message {
        Said::Message(last)
    } else {
        Said::Nothing
    };
    Ok(Some((said, at)))
}

/// A frame that is sent again and again.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    bytes: Vec<u8>,
    /// Where a write's key ends, which must never be the same.
    key: Option<usize>,
    /// Where the text begins: its number stands there, if it has one.
    text: Option<usize>,
    sent: u64,
}

/// Digits of a number in a text.
const DIGITS: usize = 10;

impl Post {
    fn fixed(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            key: None,
            text: None,
            sent: 0,
        }
    }

    /// Of the basic profile.
    pub(crate) fn basic(to: u64, conversation: Option<u64>, bytes: u64) -> Self {
        let body = json!({ "to": to, "conversation_id": conversation, "content": text(bytes) });
        Self::fixed(ws::frame(ws::TEXT, body.to_string().as_bytes(), true))
    }

    /// Of the native protocol. `series` is another one for each post of a run: keys are made of it, the time and a number.
    pub(crate) fn native(conversation: u64, series: usize, bytes: u64) -> Outcome<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
        let (high, low) = (since >> 16, since & 0xffff);
        let key = format!(
            "{high:08x}-{low:04x}-7{:03x}-8{:03x}-{:012x}",
            series >> 12 & 0xfff,
            series & 0xfff,
            0
        );
        let body =
            json!({ "key": key, "to": { "conversation": conversation }, "text": text(bytes) });
        let post = json!({ "type": "post", "ref": 1, "body": body });
        let bytes = ws::frame(ws::TEXT, post.to_string().as_bytes(), true);
        let behind = |mark: &str| {
            let at = bytes
                .windows(mark.len())
                .position(|part| part == mark.as_bytes());
            at.map(|at| at + mark.len())
        };
        Ok(Self {
            key: behind(&key),
            text: behind("\"text\":\""),
            bytes,
            sent: 0,
        })
    }

    /// For the floor or a peer: a message of so many bytes for all in a room.
    pub(crate) fn to_room(wire: Wire, room: usize, bytes: usize) -> Self {
        let mut payload = format!("{room:0DIGITS$}").into_bytes();
        payload.resize(bytes.max(DIGITS), b'x');
        let length = payload.len();
        let name = format!("r{room}");
        let head = match wire {
            Wire::Nats => format!("PUB {name} {length}\r\n"),
            Wire::Redis => format!(
                "*3\r\n$7\r\nPUBLISH\r\n${}\r\n{name}\r\n${length}\r\n",
                name.len()
            ),
            _ => {
                let mut post = Self::fixed(ws::frame(ws::TEXT, &payload, true));
                // Behind the room stands a number, if there is room for it.
                post.text = (length >= 2 * DIGITS).then(|| post.bytes.len() - length + DIGITS);
                return post;
            }
        };
        Self::fixed([head.as_bytes(), &payload, b"\r\n"].concat())
    }

    /// The next one to send.
    pub(crate) fn next(&mut self) -> &[u8] {
        self.sent += 1;
        if let Some(end) = self.key {
            let (mut rest, mut at) = (self.sent, end);
            while rest > 0 {
                at -= 1;
                self.bytes[at] = b"0123456789abcdef"[(rest & 15) as usize];
                rest >>= 4;
            }
        }
        &self.bytes
    }

    /// The next one, with a number at the beginning of its text.
    pub(crate) fn numbered(&mut self, number: u64) -> &[u8] {
        if let Some(at) = self.text {
            let digits = format!("{number:0DIGITS$}");
            self.bytes[at..at + DIGITS].copy_from_slice(digits.as_bytes());
        }
        self.next()
    }
}

/// The number of a numbered message, or the room of one for a room.
pub(crate) fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text.get(..DIGITS)?).ok()?.parse().ok()
}

fn text(bytes: u64) -> String {
    ('a'..='z').cycle().take(bytes as usize).collect()
}

/// What an event in a conversation's log says of its place, and its text if it is a post.
pub(crate) struct Place<'a> {
    pub(crate) conversation: u64,
    pub(crate) seq: u64,
    pub(crate) text: Option<&'a [u8]>,
}

/// Reads only what is needed, as often as every delivery.
pub(crate) fn place(event: &[u8]) -> Option<Place<'_>> {
    let digits = |bytes: &[u8]| {
        let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    };
    let rest = event.strip_prefix(EVENT)?;
    let seq = b"},\"seq\":";
    let at = rest.iter().position(|byte| *byte == b'}')?;
    let behind = rest[at..].strip_prefix(seq)?;
    let mark = b"\"text\":\"";
    let text = behind.windows(mark.len()).position(|part| part == mark);
    Some(Place {
        conversation: digits(rest),
        seq: digits(behind),
        text: text.map(|at| &behind[at + mark.len()..]),
    })
}

/// A frame of the native protocol that is not a post.
pub(crate) fn native(kind: &str, body: Value) -> Vec<u8> {
    let frame = json!({ "type": kind, "ref": 2, "body": body });
    ws::frame(ws::TEXT, frame.to_string().as_bytes(), true)
}

/// What floors and peers are told where the server is told a mark. It asks for nothing, but they have to read it; and who never
/// sends anything acknowledges what comes at once, on the reader's core, where all others do so on the server's.
pub(crate) fn instead_of_mark(wire: Wire) -> Vec<u8> {
    match wire {
        Wire::Nats => b"PONG\r\n".to_vec(),
        Wire::Redis => b"\r\n".to_vec(),
        Wire::Basic | Wire::Native | Wire::Rooms => ws::frame(ws::PONG, &[b' '; 60], true),
    }
}

/// Says that all up to there was read.
pub(crate) fn read_mark(conversation: u64, seq: u64) -> Vec<u8> {
    let frame =
        format!(r#"{{"type":"read","body":{{"conversation":{conversation},"seq":{seq}}}}}"#);
    ws::frame(ws::TEXT, frame.as_bytes(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_understood_however_it_arrives() {
        let nats = b"PING\r\nMSG r1 1 5\r\nhello\r\n";
        let redis = b":3\r\n>3\r\n$7\r\nmessage\r\n$2\r\nr1\r\n$5\r\nhello\r\n";
        for (wire, stream) in [(Wire::Nats, &nats[..]), (Wire::Redis, redis)] {
            for end in 0..stream.len() {
                let (mut at, mut found) = (0, false);
                while let Some((said, length)) = wire.first(&stream[at..end]).unwrap() {
                    found |= matches!(said, Said::Message(_));
                    at += length;
                }
                assert!(!found, "{wire:?} in {end} bytes");
            }
            let (_, first) = wire.first(stream).unwrap().unwrap();
            let (said, rest) = wire.first(&stream[first..]).unwrap().unwrap();
            assert_eq!(
                (said, first + rest),
                (Said::Message(b"hello"), stream.len())
            );
        }
        assert!(Wire::Redis.first(b"-ERR no\r\n").is_err());
    }

    #[test]
    fn each_post_has_a_key_and_a_number_of_its_own() {
        let mut post = Post::native(5, 0x1234, 128).unwrap();
        let mut keys = std::collections::HashSet::new();
        for number in 0..300 {
            let frame = post.numbered(number).to_vec();
            let (frame, _) = ws::first_frame(&frame).unwrap().unwrap();
            let body: Value = serde_json::from_slice(frame.payload).unwrap();
            let text = body["body"]["text"].as_str().unwrap();
            assert_eq!(super::number(text.as_bytes()), Some(number as usize));
            assert_eq!(text.len(), 128);
            assert!(keys.insert(body["body"]["key"].to_string()));
        }
    }

    #[test]
    fn the_place_of_an_event_is_read() {
        let event = br#"{"type":"event","body":{"log":{"conversation":51},"seq":12,"kind":"posted","message":{"text":"0000000007 x"}}}"#;
        let place = place(event).unwrap();
        assert_eq!((place.conversation, place.seq), (51, 12));
        assert_eq!(place.text.and_then(number), Some(7));
        assert!(super::place(br#"{"type":"live"}"#).is_none());
    }
}
