//! The default store of chat-core: SQLite with full durability.
