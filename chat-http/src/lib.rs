//! HTTP and WebSocket faces of chat-core as one tower service.
