//! Servers of their own for tests, benches and examples.
//!
//! ```no_run
//! # fn main() -> Result<(), chat_testkit::Failure> {
//! let server = chat_testkit::Postgres::start()?;
//! let url = server.database()?;
//! # Ok(())
//! # }
//! ```

mod postgres;

pub use postgres::{Failure, Postgres};
