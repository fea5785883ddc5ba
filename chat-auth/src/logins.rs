//! Built-in users: registering, logging in and out, and who presents a token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chat_core::{
    Account, Accounts, Actor, Authenticator, Change, Chat, Claims, Error, ErrorKind, Identity,
    LoginId, PasswordCheck, Reach, Target, Timestamp, TokenService, User, Write,
};

use crate::username::lookup;
use crate::{AuthError, Field, HashPool, Hasher, Username};

/// Logs built-in users in and out. Cheap to clone; all clones share one pool for passwords.
///
/// A token is good while its login is live in the store: not expired, not revoked, its user there and not disabled. That is
/// looked up each time a token is presented, and by nobody for the frames of a connection; the connections of a login that ends
/// are closed by the chat.
///
/// How often passwords may be tried is the business of whoever knows addresses: the adapter.
#[derive(Clone)]
pub struct Auth {
    chat: Chat,
    accounts: Arc<dyn Accounts>,
    tokens: Arc<dyn TokenService>,
    passwords: HashPool,
    /// In whole seconds, as tokens have it.
    lifetime: i64,
}

/// A login that has just been opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// The token, for whoever logged in and nobody else.
    pub token: String,
    /// Whom the token stands for.
    pub identity: Identity,
    /// The user.
    pub user: User,
    /// When token and login end.
    pub expires: Timestamp,
}

impl Auth {
    /// Logins in a chat, with accounts in the chat's own store, passwords hashed by [`Hasher`] on a pool of their own, and
    /// logins of 24 hours.
    pub fn new(chat: Chat, tokens: impl TokenService) -> Self {
        Self {
            accounts: Arc::new(chat.clone()),
            chat,
            tokens: Arc::new(tokens),
            passwords: HashPool::new(Hasher::default()),
            lifetime: 24 * 3600,
        }
    }

    /// Keeps names and password hashes elsewhere; users and logins stay in the chat.
    #[must_use]
    pub fn accounts(mut self, accounts: impl Accounts) -> Self {
        self.accounts = Arc::new(accounts);
        self
    }

    /// Hashes passwords on this pool.
    #[must_use]
    pub fn passwords(mut self, pool: HashPool) -> Self {
        self.passwords = pool;
        self
    }

    /// How long a login lasts, in whole seconds, at least one; no longer than the token service allows.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        // A thousand years, so that no sum of times overflows.
        let most = 1000 * 366 * 86400;
        self.lifetime = i64::try_from(lifetime.as_secs()).map_or(most, |s| s.clamp(1, most));
        self
    }

    /// Registers a user. Does not log in.
    ///
    /// # Errors
    /// [`AuthError::Field`] for a username or password that cannot be, [`AuthError::Taken`], or what pool and store say.
    pub async fn register(&self, username: &str, password: &str) -> Result<User, AuthError> {
        let name =
            Username::parse(username).map_err(|error| AuthError::field(Field::Username, error))?;
        // Before the work of a hash. The store decides about the name itself, whoever else wants it meanwhile.
        let twin = name.twin();
        for taken in [Some(name.canonical()), twin.as_deref()]
            .into_iter()
            .flatten()
        {
            if self.accounts.account(taken).await?.is_some() {
                return Err(AuthError::Taken);
            }
        }
        let hash = self.hash(password).await?;
        self.accounts
            .register(name.canonical(), name.as_str(), &hash)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::Conflict => AuthError::Taken,
                _ => error.into(),
            })
    }

    /// Opens a login. An old hash is replaced by one of the current scheme on the way; until then its user's wrong passwords
    /// take as long as that scheme does, which tells who has not logged in since.
    ///
    /// # Errors
    /// [`AuthError::Wrong`] for an unknown user, a wrong password and a disabled user alike, after the same work: one hash.
    /// Besides, what pool and store say.
    pub async fn login(&self, username: &str, password: &str) -> Result<Session, AuthError> {
        let subject = lookup(username);
        let account = match &subject {
            Some(subject) => self.accounts.account(subject).await?,
            None => None,
        };
        let hash = account.as_ref().map(|account| account.hash.clone());
        let check = self.passwords.verify(password, hash).await?;
        let (Some(subject), Some(mut account)) = (subject, account) else {
            return Err(AuthError::Wrong);
        };
        match check {
            PasswordCheck::Right => {}
            PasswordCheck::RightButOld => self.renew_hash(&mut account, password).await,
            PasswordCheck::Wrong => return Err(AuthError::Wrong),
        }
        self.open_by_password(&subject, account, password).await
    }

    /// Ends a login: its token is good no more, its connections are closed on all nodes. Ending it twice is no error, and an
    /// identity without a login has none to end.
    ///
    /// # Errors
    /// What the store says.
    pub async fn logout(&self, identity: &Identity) -> Result<(), Error> {
        let Some(login) = identity.login else {
            return Ok(());
        };
        let change = Change::RevokeLogins { login: Some(login) };
        // As the host: no policy and no rate keeps anybody from logging out.
        let write = Write::new(Actor::Host, Target::User(identity.user), vec![change]);
        match self.chat.commit(write).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Opens a new login for somebody who has a live one, without a password. The old one lives on until it expires or is
    /// logged out, so that connections on it are not cut.
    ///
    /// # Errors
    /// `Forbidden` when the login has ended.
    pub async fn renew(&self, identity: &Identity) -> Result<Session, Error> {
        let user = self.live(identity).await?;
        let opened = self.open(user).await?;
        // Who ended all logins meanwhile did not see the new one: it must not outlive them.
        self.live(identity).await?;
        self.session(opened)
    }

    /// Replaces the password, ends all logins of the user and opens a new one.
    ///
    /// # Errors
    /// [`AuthError::Wrong`] when `current` is not the password, [`AuthError::Field`] for a new one that cannot be;
    /// [`AuthError::Other`] with `Forbidden` when the login has ended, `Conflict` when the password was changed by somebody
    /// else meanwhile, `Invalid` for a user who has no password here, and what pool and store say.
    pub async fn change_password(
        &self,
        identity: &Identity,
        current: &str,
        new: &str,
    ) -> Result<Session, AuthError> {
        let user = self.live(identity).await?;
        let account = self.accounts.account(&user.subject).await?;
        let Some(mut account) = account.filter(|account| account.user.id == user.id) else {
            return Err(Error::invalid("this user has no password here").into());
        };
        let hash = Some(account.hash.clone());
        if self.passwords.verify(current, hash).await? == PasswordCheck::Wrong {
            return Err(AuthError::Wrong);
        }
        let hash = self.hash(new).await?;
        self.accounts
            .set_hash(user.id, &account.hash, &hash, true)
            .await?;
        account.hash = hash;
        self.open_by_password(&user.subject, account, new).await
    }

    async fn hash(&self, password: &str) -> Result<String, AuthError> {
        self.passwords
            .hash(password)
            .await
            .map_err(|error| AuthError::field(Field::Password, error))
    }

    /// Replaces an old hash, if it can be done now: the password may be too short for a new one, the pool busy, another
    /// login faster. There will be a next time.
    async fn renew_hash(&self, account: &mut Account, password: &str) {
        if let Ok(hash) = self.passwords.hash(password).await
            && self
                .accounts
                .set_hash(account.user.id, &account.hash, &hash, false)
                .await
                .is_ok()
        {
            account.hash = hash;
        }
    }

    /// Opens a login for somebody whose password was right a moment ago.
    async fn open_by_password(
        &self,
        subject: &str,
        account: Account,
        password: &str,
    ) -> Result<Session, AuthError> {
        let opened = self.open(account.user).await.map_err(|error| {
            // Disabled, or gone.
            match error.kind() {
                ErrorKind::Forbidden | ErrorKind::NotFound => AuthError::Wrong,
                _ => error.into(),
            }
        })?;
        // Who changes the password ends all logins, but not one that is opened by the old password a moment later. So the
        // password has to be right after the login was opened; if not, nobody gets a token of it.
        let now = self.accounts.account(subject).await?;
        let Some(now) = now.filter(|now| now.user.id == opened.0.id) else {
            return Err(AuthError::Wrong);
        };
        if now.hash != account.hash
            && self.passwords.verify(password, Some(now.hash)).await? == PasswordCheck::Wrong
        {
            return Err(AuthError::Wrong);
        }
        Ok(self.session(opened)?)
    }

    async fn open(&self, user: User) -> Result<(User, Claims), Error> {
        let issued = Timestamp::now();
        let seconds = issued.millis().div_euclid(1000) + self.lifetime;
        let expires = Timestamp::from_millis(seconds * 1000);
        let change = Change::OpenLogin { expires };
        let write = Write::new(Actor::Host, Target::User(user.id), vec![change]);
        let login = self.chat.commit(write).await?.login;
        let login = login.ok_or_else(|| Error::internal("a new login has no id"))?;
        let claims = Claims {
            user: user.id,
            login,
            issued,
            expires,
        };
        Ok((user, claims))
    }

    fn session(&self, (user, claims): (User, Claims)) -> Result<Session, Error> {
        Ok(Session {
            token: self.tokens.issue(&claims)?,
            identity: identity(&claims, claims.expires),
            user,
            expires: claims.expires,
        })
    }

    /// The user of an identity that still counts.
    async fn live(&self, identity: &Identity) -> Result<User, Error> {
        let user = match identity.login {
            Some(login) => self.live_login(login).await?.map(|(user, _)| user),
            None => match self.chat.user(identity.user).await {
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                user => Some(user?).filter(|user| !user.disabled),
            },
        };
        user.filter(|user| user.id == identity.user)
            .ok_or_else(ended)
    }

    /// The user of a login that still counts, and when it ends.
    async fn live_login(&self, login: LoginId) -> Result<Option<(User, Timestamp)>, Error> {
        let found = self.chat.login(login).await?;
        Ok(found
            .filter(|(login, user)| login.is_live(user, Timestamp::now()))
            .map(|(login, user)| (user, login.expires)))
    }
}

#[async_trait]
impl Authenticator for Auth {
    async fn authenticate(&self, credential: &str) -> Result<Identity, Error> {
        let claims = self.tokens.verify(credential, Timestamp::now())?;
        match self.live_login(claims.login).await? {
            Some((user, expires)) if user.id == claims.user => {
                Ok(identity(&claims, expires.min(claims.expires)))
            }
            _ => Err(ended()),
        }
    }
}

fn identity(claims: &Claims, expires: Timestamp) -> Identity {
    Identity {
        user: claims.user,
        login: Some(claims.login),
        expires: Some(expires),
        reach: Reach::Own,
    }
}

/// Says what [`crate::Jwt`] says of a forged token: nobody learns how far a forgery got.
fn ended() -> Error {
    Error::forbidden(crate::token::NOT_VALID)
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("passwords", &self.passwords)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
