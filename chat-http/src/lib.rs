//! HTTP and WebSocket faces of chat-core as one tower service.
//!
//! [`Http`] is a `tower::Service<http::Request<B>>`: bare hyper serves it ([`Server`] does), and so does a router of a host
//! that has other things to serve too (see `examples/axum`). It extracts, asks [`chat_core::Chat`], and encodes; it decides nothing.
//!
//! ```no_run
//! # async fn serve(chat: chat_core::Chat, auth: chat_auth::Auth) -> Result<(), Box<dyn std::error::Error>> {
//! let http = chat_http::Http::builder(chat)
//!     .documented(auth.clone())
//!     .v1(std::sync::Arc::new(auth))
//!     .public_url("https://chat.example")
//!     .build()?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
//! chat_http::Server::new(http).run(listener, std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it logs
//! A span for each request, with method, route pattern, status and duration. Never a path, token, password or text. The
//! `tungstenite` crate logs whole frames at level *trace* of the `log` crate: leave that off for its target.

mod account;
mod assets;
mod body;
mod builder;
mod chats;
mod credential;
mod docs;
mod limits;
mod origin;
mod problem;
mod query;
mod rate;
mod rest;
mod routes;
mod server;
mod service;
mod site;
mod transport;
mod wire;
mod ws;

pub use assets::Assets;
pub use body::Body;
pub use builder::{BuildError, Builder};
pub use limits::HttpLimits;
pub use origin::Peer;
pub use rate::{Rate, Rates};
pub use server::{Server, ServerLimits};
pub use service::{Answer, Http};
