//! Ports of authentication. `chat-auth` implements them for built-in users; a host with its own login implements
//! [`Authenticator`] alone, or none at all when it calls [`crate::Chat::connect`] in process.

use async_trait::async_trait;

use crate::{Error, LogId, LoginId, Timestamp, UserId};

/// The provider of built-in users.
pub const LOCAL: &str = "local";

/// Who somebody was found to be. Carries all that a connection needs, so that no frame asks the store who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: UserId,
    /// The login, when there is one to revoke.
    pub login: Option<LoginId>,
    /// When it ends; a connection is closed then. `None`: the host ends it.
    pub expires: Option<Timestamp>,
    /// How far it sees.
    pub reach: Reach,
}

impl Identity {
    /// A user of the host's own login: without end, seeing what is the user's own.
    #[must_use]
    pub const fn of(user: UserId) -> Self {
        Self {
            user,
            login: None,
            expires: None,
            reach: Reach::Own,
        }
    }

    /// Through whose eyes this identity reads a log: who sees every conversation still sees no log of another user.
    pub(crate) const fn viewer_of(&self, log: LogId) -> crate::Viewer {
        match log {
            LogId::Conversation(_) => self.viewer(),
            LogId::User(_) => crate::Viewer::User(self.user),
        }
    }

    /// Through whose eyes this identity reads.
    #[must_use]
    pub const fn viewer(&self) -> crate::Viewer {
        match self.reach {
            Reach::Own => crate::Viewer::User(self.user),
            Reach::All => crate::Viewer::All,
        }
    }
}

/// How far an identity sees. Set by the host, never by a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// What is the user's own.
    #[default]
    Own,
    /// Every conversation, as support staff do.
    All,
}

/// Finds out who presents a credential.
///
/// ```
/// use chat_core::{Authenticator, Error, Identity, UserId};
///
/// /// Sessions of a host that keeps them itself.
/// struct Sessions(std::collections::HashMap<String, UserId>);
///
/// #[async_trait::async_trait]
/// impl Authenticator for Sessions {
///     async fn authenticate(&self, credential: &str) -> Result<Identity, Error> {
///         let user = self.0.get(credential).ok_or_else(|| Error::forbidden("log in first"))?;
///         Ok(Identity::of(*user))
///     }
/// }
/// ```
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The identity behind an opaque credential: a bearer token, or the value of the session cookie.
    ///
    /// # Errors
    /// `Forbidden` when it is invalid, expired or revoked (an adapter answers 401); `Unavailable` when that cannot be found
    /// out: never let somebody in because of it.
    async fn authenticate(&self, credential: &str) -> Result<Identity, Error>;
}

/// Makes and checks tokens. Pure: whether the login still lives is asked of the store.
///
/// ```
/// use chat_core::{Claims, Error, LoginId, Timestamp, TokenService, UserId};
///
/// /// For tests: tokens anybody could write.
/// struct Plain;
///
/// impl TokenService for Plain {
///     fn issue(&self, claims: &Claims) -> Result<String, Error> {
///         Ok(format!("{} {} {} {}", claims.user, claims.login, claims.issued.millis(), claims.expires.millis()))
///     }
///     fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, Error> {
///         let bad = || Error::forbidden("the token is not valid");
///         let part: Vec<u64> = token.split(' ').map_while(|p| p.parse().ok()).collect();
///         let [user, login, issued, expires] = part[..] else { return Err(bad()) };
///         let time = |t| Timestamp::from_millis(i64::try_from(t).unwrap_or(0));
///         let claims = Claims {
///             user: UserId::new(user)?,
///             login: LoginId::new(login)?,
///             issued: time(issued),
///             expires: time(expires),
///         };
///         if now < claims.expires { Ok(claims) } else { Err(bad()) }
///     }
/// }
/// ```
pub trait TokenService: Send + Sync + 'static {
    /// A token for these claims.
    ///
    /// # Errors
    /// `Internal` when it cannot be made.
    fn issue(&self, claims: &Claims) -> Result<String, Error>;

    /// The claims of a token that this service issued and that is valid at `now`.
    ///
    /// # Errors
    /// `Forbidden`, without saying why: a forger learns nothing.
    fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, Error>;
}

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whose it is.
    pub user: UserId,
    /// The login it belongs to.
    pub login: LoginId,
    /// Since when.
    pub issued: Timestamp,
    /// Until when.
    pub expires: Timestamp,
}

/// Hashes and checks passwords. Blocking and slow on purpose: call it on a bounded pool, never on an async thread.
///
/// ```
/// use chat_core::{Error, PasswordCheck, PasswordHasher};
///
/// /// For tests: no protection at all.
/// struct Plain;
///
/// impl PasswordHasher for Plain {
///     fn hash(&self, password: &str) -> Result<String, Error> {
///         Ok(format!("plain:{password}"))
///     }
///     fn verify(&self, password: &str, hash: Option<&str>) -> Result<PasswordCheck, Error> {
///         let known = hash.and_then(|hash| hash.strip_prefix("plain:"));
///         Ok(if known == Some(password) { PasswordCheck::Right } else { PasswordCheck::Wrong })
///     }
/// }
/// ```
pub trait PasswordHasher: Send + Sync + 'static {
    /// A hash of a new password, with its own salt and parameters.
    ///
    /// # Errors
    /// `Invalid` for a password this scheme cannot take whole, `Internal` otherwise.
    fn hash(&self, password: &str) -> Result<String, Error>;

    /// Whether the password is the one of the hash. Without a hash (unknown user) the answer is `Wrong` after the same time.
    ///
    /// # Errors
    /// `Internal` when the hash is of no known scheme.
    fn verify(&self, password: &str, hash: Option<&str>) -> Result<PasswordCheck, Error>;
}

/// What a password check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordCheck {
    /// The right one.
    Right,
    /// The right one, by a scheme or parameters no longer used: hash it anew.
    RightButOld,
    /// Not the right one.
    Wrong,
}
