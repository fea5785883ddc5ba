//! The session itself: what it promises whatever a client does.
