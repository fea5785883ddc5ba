//! What can go wrong with a login, so that a form can say it beside the right field.

use chat_core::{Error, ErrorKind};

/// A field of a registration, login or password form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The username.
    Username,
    /// The password; where one is changed, the new one.
    Password,
}

/// Why somebody could not register, log in or change a password.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// A field cannot be as it is; the sentence says what to mend, for whoever filled it in.
    #[error("{error}")]
    Field {
        /// Which.
        field: Field,
        /// What is wrong with it, of kind `Invalid`.
        error: Error,
    },
    /// Somebody has this username already, or one that looks the same.
    #[error("this username is taken")]
    Taken,
    /// There is no such user, the password is another one, or the user is disabled: nobody is told which.
    #[error("the username or the password is wrong")]
    Wrong,
    /// Anything else: a login that ended (`Forbidden`), too many passwords at once (`Busy`), the store.
    #[error(transparent)]
    Other(#[from] Error),
}

impl AuthError {
    /// Its kind as a [`chat_core::Error`]: `Invalid` of a field, `Conflict` when taken, `Forbidden` when wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Field { error, .. } | Self::Other(error) => error.kind(),
            Self::Taken => ErrorKind::Conflict,
            Self::Wrong => ErrorKind::Forbidden,
        }
    }

    /// What an error about a field's content says; an error of another kind is about something else.
    pub(crate) fn field(field: Field, error: Error) -> Self {
        match error.kind() {
            ErrorKind::Invalid => Self::Field { field, error },
            _ => Self::Other(error),
        }
    }
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Field { error, .. } | AuthError::Other(error) => error,
            AuthError::Taken | AuthError::Wrong => Self::new(error.kind(), error.to_string()),
        }
    }
}
