//! The host's say in what users write.

use async_trait::async_trait;

use crate::{Change, Error, Write};

/// Asked before each write of a user, in the order sent; the rules then decide on what it leaves. Never asked for the
/// host's own writes or for a retry of what is committed already.
///
/// A policy that does not answer in [`crate::Limits::policy_timeout`] fails the write: it fails closed.
///
/// ```
/// use chat_core::{Change, Error, Policy, Verdict, Write};
///
/// /// Nobody shouts here.
/// struct Calm;
///
/// #[async_trait::async_trait]
/// impl Policy for Calm {
///     async fn check(&self, write: &Write) -> Result<Verdict, Error> {
///         let mut changes = write.changes.clone();
///         for change in &mut changes {
///             if let Change::Post { content, .. } | Change::Edit { content, .. } = change {
///                 content.text = content.text.to_lowercase();
///             }
///         }
///         Ok(Verdict::Replace(changes))
///     }
/// }
/// ```
#[async_trait]
pub trait Policy: Send + Sync + 'static {
    /// Looks at a write.
    ///
    /// # Errors
    /// Any error refuses the write and is told to its author; use `Forbidden` with a sentence for a person.
    async fn check(&self, write: &Write) -> Result<Verdict, Error>;
}

/// What a [`Policy`] says.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// As it is.
    Allow,
    /// With these changes instead.
    Replace(Vec<Change>),
}
