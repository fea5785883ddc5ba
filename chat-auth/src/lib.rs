//! Logins for chat-core: tokens, password hashes, usernames.
//!
//! [`Auth`] puts the parts together: it registers built-in users, logs them in and out, and finds out who presents a token.
//! Every part stands alone, too: [`Jwt`] and [`Hasher`] implement ports of chat-core, a host may bring its own.
//!
//! ```
//! use chat_auth::{Auth, Jwt, Secret};
//! use chat_core::{Authenticator, Chat, kv::MemoryStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let chat = Chat::builder(MemoryStore::new()).build();
//! // A server that is to know its users after a restart: `Secret::load_or_create`.
//! let auth = Auth::new(chat.clone(), Jwt::new(&Secret::generate()?)?);
//!
//! let user = auth.register("alice", "correct horse battery").await?;
//! let session = auth.login("Alice", "correct horse battery").await?;
//! let identity = auth.authenticate(&session.token).await?;
//! assert_eq!(identity.user, user.id);
//!
//! auth.logout(&identity).await?;
//! assert!(auth.authenticate(&session.token).await.is_err());
//! # Ok(())
//! # }
//! ```

mod error;
mod logins;
mod password;
mod pool;
mod secret;
mod token;
mod username;

pub use error::{AuthError, Field};
pub use logins::{Auth, Session};
pub use password::{Cost, Hasher, MAX_PASSWORD, MIN_PASSWORD};
pub use pool::HashPool;
pub use secret::Secret;
pub use token::Jwt;
pub use username::{MAX_USERNAME, Username, canonical};
