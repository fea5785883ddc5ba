//! Logins for chat-core: tokens, password hashes, usernames.
