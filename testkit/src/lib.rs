//! What tests, benches and examples of several crates share: servers of their own, and writes to a store.
//!
//! ```no_run
//! # fn main() -> Result<(), chat_testkit::Failure> {
//! let server = chat_testkit::Postgres::start()?;
//! let url = server.database()?;
//! # Ok(())
//! # }
//! ```

mod postgres;
pub mod writes;

pub use postgres::{Failure, Postgres};
