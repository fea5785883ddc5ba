//! Logins for chat-core: tokens, password hashes, usernames.

mod password;
mod pool;
mod secret;
mod token;
mod username;

pub use password::{Cost, Hasher, MAX_PASSWORD, MIN_PASSWORD};
pub use pool::HashPool;
pub use secret::Secret;
pub use token::Jwt;
pub use username::{MAX_USERNAME, Username, canonical};
