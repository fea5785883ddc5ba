//! Logins for chat-core: tokens, password hashes, usernames.

mod secret;
mod token;

pub use secret::Secret;
pub use token::Jwt;
