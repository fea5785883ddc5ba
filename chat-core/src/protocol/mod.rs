//! The native protocol, `chat.v1`: the frames of a socket as serde types. The single source of the wire format, from which
//! the OpenAPI document and the types of web clients are made. Written up for clients in `docs/protocol.md`.
//!
//! A frame is one JSON object, `{"type", "ref"?, "body"}`. It is read in two steps, the envelope first, then the body by its
//! type: opaque JSON can be kept as it came only where nothing is buffered in between. What a client sends is read strictly:
//! an unknown type or field is refused, by name. What a server sends is read leniently: unknown fields are passed over, and
//! unknown types and kinds arrive as [`ServerFrame::Unknown`], [`What::Unknown`] and [`Reply::Unknown`].

mod close;
mod decode;
mod event;
mod field;
mod frame;
mod macros;
mod model;
#[cfg(feature = "openapi")]
mod openapi;
mod operation;
mod reply;
mod request;
mod session;
#[cfg(test)]
mod tests;

pub use close::{Close, Then};
pub use decode::{Bad, Ref};
pub use event::*;
pub use field::{Time, WriteKey};
pub use frame::*;
pub use model::*;
pub use operation::execute;
pub use reply::*;
pub use request::*;
pub use session::{Outgoing, Session, Settings};

/// What a client asks for in `Sec-WebSocket-Protocol`.
pub const NAME: &str = "chat.v1";
