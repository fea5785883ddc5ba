//! Ports of authentication. `chat-auth` implements them for built-in users; a host with its own login implements
//! [`Authenticator`] alone, or none at all when it calls [`crate::Chat::connect`] in process.

use async_trait::async_trait;

use crate::{Error, LoginId, Timestamp, User, UserId};

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

/// Keeps the credentials of built-in users. [`crate::Chat`] implements it on its own store; a host that has passwords
/// elsewhere implements it there.
///
/// ```
/// use chat_core::{Account, Accounts, Chat, Error, Target, Change, Actor, User, UserId, Write, LOCAL};
/// use std::{collections::HashMap, sync::Mutex};
///
/// /// Hashes in a map of the host, users in the chat.
/// struct InMemory { chat: Chat, hashes: Mutex<HashMap<UserId, String>> }
///
/// #[async_trait::async_trait]
/// impl Accounts for InMemory {
///     async fn account(&self, subject: &str) -> Result<Option<Account>, Error> {
///         let Some(user) = self.chat.user_by_subject(LOCAL, subject).await? else { return Ok(None) };
///         let hash = self.hashes.lock().map_err(|_| Error::internal("poisoned"))?.get(&user.id).cloned();
///         Ok(hash.map(|hash| Account { user, hash }))
///     }
///     async fn register(&self, subject: &str, name: &str, hash: &str) -> Result<User, Error> {
///         let target = Target::Subject { provider: LOCAL.into(), subject: subject.into() };
///         let done = self.chat.commit(Write::new(Actor::Host, target, vec![Change::Register { name: name.into() }])).await?;
///         let user = done.user.ok_or_else(|| Error::internal("no user"))?;
///         self.hashes.lock().map_err(|_| Error::internal("poisoned"))?.insert(user, hash.into());
///         self.chat.user(user).await
///     }
///     async fn set_hash(&self, user: UserId, _expected: &str, hash: &str, revoke: bool) -> Result<(), Error> {
///         self.hashes.lock().map_err(|_| Error::internal("poisoned"))?.insert(user, hash.into());
///         if revoke {
///             let change = Change::RevokeLogins { login: None };
///             self.chat.commit(Write::new(Actor::Host, Target::User(user), vec![change])).await?;
///         }
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// The account of a canonical username.
    async fn account(&self, subject: &str) -> Result<Option<Account>, Error>;

    /// Makes a user of provider [`LOCAL`] with a password hash.
    ///
    /// # Errors
    /// `Conflict` when the canonical username is taken.
    async fn register(&self, subject: &str, name: &str, hash: &str) -> Result<User, Error>;

    /// Replaces a hash that is still `expected`, and with `revoke` ends all logins, both or neither.
    ///
    /// # Errors
    /// `Conflict` when the hash changed meanwhile.
    async fn set_hash(
        &self,
        user: UserId,
        expected: &str,
        hash: &str,
        revoke: bool,
    ) -> Result<(), Error>;
}

/// A built-in user with the hash of their password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// The hash: a PHC string, or passlib's `bcrypt_sha256`.
    pub hash: String,
}
