//! The adapter over real sockets on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod access;
mod api;
mod client;
mod faces;
mod frames;
mod hostile;
mod line;
mod logs;
mod matrix;
mod mounted;
mod native;
mod operations;
mod server;

use chat_auth::{Auth, HashPool, Jwt, Secret};
use chat_core::{Chat, Error, Limits, PasswordCheck, PasswordHasher};

/// Hashes at once: what is tested here is not the hash.
struct Plain;

impl PasswordHasher for Plain {
    fn hash(&self, password: &str) -> Result<String, Error> {
        if password.len() < 8 {
            return Err(Error::invalid("a password has at least 8 characters"));
        }
        Ok(format!("plain:{password}"))
    }

    fn verify(&self, password: &str, hash: Option<&str>) -> Result<PasswordCheck, Error> {
        let known = hash.and_then(|hash| hash.strip_prefix("plain:"));
        Ok(match known {
            Some(known) if known == password => PasswordCheck::Right,
            _ => PasswordCheck::Wrong,
        })
    }
}

/// Built-in users over a chat.
fn auth(chat: &Chat) -> Auth {
    let tokens = Jwt::new(&Secret::generate().unwrap()).unwrap();
    Auth::new(chat.clone(), tokens).passwords(HashPool::new(Plain))
}

/// A chat without message rates.
fn chat() -> Chat {
    let mut limits = Limits::default();
    limits.message_rate = 0.0;
    client::memory(limits)
}
