//! What a client is told to begin with.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chat_core::{LogId, Seq};

use crate::Error;

/// Gets a token.
pub(crate) type Provider =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, Error>> + Send>> + Send + Sync>;

/// How the client shows who it is. Held in memory only, and in no log.
#[derive(Clone)]
pub(crate) enum Credential {
    None,
    Password { username: String, password: String },
    Token(String),
    Provider(Provider),
}

/// How long to wait before the next try: a random time up to `first`, then up to twice as much with each failure, up to
/// `most`. Random, so that a thousand clients of a server that was gone do not come back in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait.
    pub first: Duration,
    /// No wait is longer.
    pub most: Duration,
}

impl Default for Backoff {
    /// 500 ms and 30 s.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            most: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    pub(crate) fn delay(&self, failures: u32, random: &mut fastrand::Rng) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
        let millis = doubled.min(self.most).as_millis();
        Duration::from_millis(random.u64(0..=u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

/// A bound in items and in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// So many at most.
    pub items: usize,
    /// So many bytes in all at most, counted as frames.
    pub bytes: usize,
}

/// Where to connect, as whom, and from where on.
///
/// ```
/// use chat_client::Options;
///
/// let options = Options::new("http://127.0.0.1:8000").password("ada", "correct horse battery");
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) url: String,
    pub(crate) credential: Credential,
    pub(crate) cursors: Vec<(LogId, Seq)>,
    pub(crate) backoff: Backoff,
    pub(crate) outbox: Room,
    pub(crate) events: Room,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the credential.
        f.debug_struct("Options")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// For the server at `http://host:port`, or `https://` with the feature `tls`; a path in front of the server's own ones
    /// is kept. Without a credential no server lets anybody in: name one of [`Options::password`], [`Options::token`] and
    /// [`Options::tokens`].
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credential: Credential::None,
            cursors: Vec::new(),
            backoff: Backoff::default(),
            outbox: Room {
                items: 1_000,
                bytes: 4 << 20,
            },
            events: Room {
                items: 1_000,
                bytes: 4 << 20,
            },
        }
    }

    /// Logs in by `POST /login`, again whenever the server asks for it, and renews in time.
    #[must_use]
    pub fn password(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.credential = Credential::Password {
            username: username.into(),
            password: password.into(),
        };
        self
    }

    /// With this token. When it ends, so does the client, unless [`Client::renew`](crate::Client::renew) brought another.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.credential = Credential::Token(token.into());
        self
    }

    /// With tokens of the host's making: asked for at the start, before one ends, and when one counts no longer.
    /// An [`Error::Unreachable`] is tried again; any other one ends the client.
    ///
    /// ```
    /// use chat_client::Options;
    ///
    /// let options = Options::new("http://127.0.0.1:8000").tokens(|| async {
    ///     Ok("a token from your own login".to_owned())
    /// });
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn tokens<F, T>(mut self, provider: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<String, Error>> + Send + 'static,
    {
        self.credential = Credential::Provider(Arc::new(move || Box::pin(provider())));
        self
    }

    /// Goes on after these places, as [`Events::cursors`](crate::Events::cursors) told them, instead of with what happens
    /// from now on.
    #[must_use]
    pub fn cursors(mut self, cursors: impl IntoIterator<Item = (LogId, Seq)>) -> Self {
        self.cursors = cursors.into_iter().collect();
        self
    }

    /// How long to wait between tries: 500 ms to 30 s unless told.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How much may wait to be sent and answered: 1,000 writes and 4 MiB unless told. What is above is refused with
    /// [`Error::Full`].
    #[must_use]
    pub fn outbox(mut self, outbox: Room) -> Self {
        self.outbox = outbox;
        self
    }

    /// How much may wait to be taken from [`Events`](crate::Events): 1,000 items and 4 MiB unless told. What is above is not
    /// lost but asked for again later.
    #[must_use]
    pub fn events(mut self, events: Room) -> Self {
        self.events = events;
        self
    }
}
