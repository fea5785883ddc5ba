//! Logins for chat-core: tokens, password hashes, usernames.

mod password;
mod pool;
mod secret;
mod token;

pub use password::{Cost, Hasher, MAX_PASSWORD, MIN_PASSWORD};
pub use pool::HashPool;
pub use secret::Secret;
pub use token::Jwt;
