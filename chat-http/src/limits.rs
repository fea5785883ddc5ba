//! The one table of limits of this adapter. What concerns messages is limited by [`chat_core::Limits`].

use std::time::Duration;

/// Limits of requests and sockets. All can be set by the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpLimits {
    /// Bytes of a request's body. 64 KiB.
    pub body: usize,
    /// How long a body may take to arrive. 10 s.
    pub body_time: Duration,
    /// How long a request may take in all, before 503 is answered: a store that hangs is told of, too. 30 s.
    pub answer_time: Duration,
    /// Bytes of a path with its query. 8 KiB.
    pub uri: usize,
    /// Header fields of a request. 100.
    pub headers: usize,
    /// Bytes of a frame, and of a message of several frames. 64 KiB.
    pub frame: usize,
    /// Frames that one message may be cut into. 64.
    pub fragments: u32,
    /// How long a begun frame may take to arrive. 30 s.
    pub frame_time: Duration,
    /// Bad frames, refusals for flooding and control frames that a socket may send at once, before it is closed with 4029.
    /// 100.
    pub strikes: u32,
    /// How long until one more of these is allowed. 200 ms.
    pub strike_every: Duration,
    /// A socket that was silent for so long is sent a ping. 30 s.
    pub ping_after: Duration,
    /// A socket that was silent, or took nothing of what waits for it, for so long is dropped. 90 s.
    pub dead_after: Duration,
    /// How long a peer may take to answer a Close frame. 5 s.
    pub close_wait: Duration,
}

/// "Never" as a time that can be added to any other.
pub(crate) fn at_most_a_year(time: Duration) -> Duration {
    time.min(Duration::from_secs(366 * 86_400))
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            body: 64 << 10,
            body_time: Duration::from_secs(10),
            answer_time: Duration::from_secs(30),
            uri: 8 << 10,
            headers: 100,
            frame: 64 << 10,
            fragments: 64,
            frame_time: Duration::from_secs(30),
            strikes: 100,
            strike_every: Duration::from_millis(200),
            ping_after: Duration::from_secs(30),
            dead_after: Duration::from_secs(90),
            close_wait: Duration::from_secs(5),
        }
    }
}
