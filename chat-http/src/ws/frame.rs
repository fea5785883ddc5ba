//! Whole WebSocket frames as a server sends them (RFC 6455, section 5.2): unmasked, so the same for all receivers.

use bytes::Bytes;

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;

/// A ping without payload.
pub(super) const EMPTY_PING: Bytes = Bytes::from_static(&[PING, 0]);

/// One text message.
pub(crate) fn text(payload: &[u8]) -> Bytes {
    frame(TEXT, payload)
}

/// Close with a code and a reason of at most 123 bytes.
pub(super) fn close(code: u16, reason: &str) -> Bytes {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend(reason.bytes().take(123));
    frame(CLOSE, &payload)
}

fn frame(first: u8, payload: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..126), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    Bytes::from(frame)
}

/// Follows the frame boundaries of what a client sends, beside the parser: counts the parts a message is cut into, knows
/// when a frame is incomplete, and when the parser has grown and holds nothing.
#[derive(Debug, Default)]
pub(super) struct Track {
    header: [u8; 14],
    /// How much of a header is there.
    have: u8,
    /// How much of a payload is missing.
    missing: u64,
    /// A message of several frames is open, with so many frames so far.
    fragments: u32,
    open: bool,
    grown: bool,
}

/// A longer frame makes the parser's buffer worth giving back.
const GROWN: u64 = 2048;

impl Track {
    /// Takes what was read.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.missing > 0 {
                let taken =
                    usize::try_from(self.missing).map_or(bytes.len(), |m| m.min(bytes.len()));
                self.missing -= taken as u64;
                bytes = &bytes[taken..];
                continue;
            }
            self.header[usize::from(self.have)] = *first;
            self.have += 1;
            bytes = rest;
            let [flags, length, ..] = self.header;
            let extended = match length & 0x7f {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            let mask = if length & 0x80 == 0 { 0 } else { 4 };
            if self.have < 2 || self.have < 2 + extended + mask {
                continue;
            }
            self.have = 0;
            self.missing = match extended {
                0 => u64::from(length & 0x7f),
                size => self.header[2..2 + usize::from(size)]
                    .iter()
                    .fold(0, |all, byte| (all << 8) | u64::from(*byte)),
            };
            self.grown |= self.missing > GROWN;
            let is_control = flags & 0x08 != 0;
            // The parser refuses what continues nothing.
            let is_stray = flags & 0x0f == 0 && !self.open;
            if !is_control && !is_stray {
                self.fragments = if self.open { self.fragments + 1 } else { 1 };
                self.open = flags & 0x80 == 0;
            }
        }
    }

    /// Frames of the last message so far.
    pub(super) const fn fragments(&self) -> u32 {
        self.fragments
    }

    /// A frame or message has begun and not ended.
    pub(super) const fn is_inside(&self) -> bool {
        self.missing > 0 || self.have > 0 || self.open
    }

    /// Whether the parser has grown and holds nothing; says so once.
    pub(super) fn take_grown(&mut self) -> bool {
        !self.is_inside() && std::mem::take(&mut self.grown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;
    use tungstenite::protocol::{Message, Role, WebSocket};

    fn read_as_client(bytes: &[u8]) -> Message {
        let mut socket =
            WebSocket::from_raw_socket(Cursor::new(bytes.to_vec()), Role::Client, None);
        socket.read().unwrap()
    }

    #[test]
    fn frames_are_read_back_at_each_length_of_header() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload = "x".repeat(length);
            assert_eq!(
                read_as_client(&text(payload.as_bytes())),
                Message::text(payload)
            );
        }
        let Message::Close(Some(close)) = read_as_client(&close(4008, "resume")) else {
            panic!("no close")
        };
        assert_eq!(
            (u16::from(close.code), close.reason.as_str()),
            (4008, "resume")
        );
    }

    fn masked(first: u8, length: usize) -> Vec<u8> {
        let mut bytes = frame(first, &vec![7; length]).to_vec();
        bytes[1] |= 0x80;
        let at = bytes.len() - length;
        bytes.splice(at..at, [1, 2, 3, 4]);
        bytes
    }

    proptest! {
        /// However the bytes arrive, the boundaries are the same.
        #[test]
        fn tracking_does_not_depend_on_how_bytes_arrive(
            frames in prop::collection::vec((any::<bool>(), any::<bool>(), 0usize..3000), 1..20),
            cut in 1usize..700,
        ) {
            let mut bytes = Vec::new();
            let (mut open, mut fragments, mut big) = (false, 0, false);
            for (end, control, length) in frames {
                let length = if control { length % 126 } else { length };
                bytes.extend(masked(if control { 0x89 } else if end { 0x81 } else { 0x01 }, length));
                big |= length as u64 > GROWN;
                if !control {
                    fragments = if open { fragments + 1 } else { 1 };
                    open = !end;
                }
            }
            let mut track = Track::default();
            for part in bytes.chunks(cut) {
                track.feed(part);
            }
            prop_assert_eq!(track.fragments(), fragments);
            prop_assert_eq!(track.is_inside(), open);
            prop_assert_eq!(track.take_grown(), big && !open);
            prop_assert!(open || !track.take_grown());
            track.feed(&bytes[..1]);
            prop_assert!(track.is_inside());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            Track::default().feed(&bytes);
        }
    }
}
