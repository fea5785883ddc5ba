//! The port for the credentials of built-in users.

use async_trait::async_trait;

use crate::rules::{Row, RowKey};
use crate::{Actor, Change, Chat, Error, LOCAL, Target, User, UserId, Write};

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

#[async_trait]
impl Accounts for Chat {
    async fn account(&self, subject: &str) -> Result<Option<Account>, Error> {
        let Some(user) = self.user_by_subject(LOCAL, subject).await? else {
            return Ok(None);
        };
        match self.row(RowKey::Credential(user.id)).await? {
            Some(Row::Credential(hash)) => Ok(Some(Account { user, hash })),
            _ => Ok(None),
        }
    }

    async fn register(&self, subject: &str, name: &str, hash: &str) -> Result<User, Error> {
        let target = Target::Subject {
            provider: LOCAL.to_owned(),
            subject: subject.to_owned(),
        };
        let changes = vec![
            Change::Register {
                name: name.to_owned(),
            },
            Change::SetCredential {
                expected: None,
                hash: hash.to_owned(),
            },
        ];
        let committed = self
            .commit(Write::new(Actor::Host, target, changes))
            .await?;
        let id = committed
            .user
            .ok_or_else(|| Error::internal("a registration named no user"))?;
        self.user(id).await
    }

    async fn set_hash(
        &self,
        user: UserId,
        expected: &str,
        hash: &str,
        revoke: bool,
    ) -> Result<(), Error> {
        let mut changes = vec![Change::SetCredential {
            expected: Some(expected.to_owned()),
            hash: hash.to_owned(),
        }];
        if revoke {
            changes.push(Change::RevokeLogins { login: None });
        }
        self.commit(Write::new(Actor::Host, Target::User(user), changes))
            .await
            .map(|_| ())
    }
}
