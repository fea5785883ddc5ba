//! What goes wrong below the domain, and what a caller is told about it.

use std::time::Duration;

use chat_core::Error;

use crate::commit::Stop;
use crate::executor::Failure;

/// Whether somebody else was in the way, so that the same may go through when it is tried again: what was to be inserted is
/// there, a lock is held, there is a deadlock.
pub(crate) fn in_the_way(failure: &Failure) -> bool {
    matches!(failure.code.as_deref(), Some("23505" | "55P03" | "40P01"))
}

/// Whether the connection or the server went away.
pub(crate) fn is_lost(failure: &Failure) -> bool {
    match failure.code.as_deref() {
        None => true,
        // The session or the server is ended, or a new one is not served yet.
        Some(code) => code.starts_with("08") || code.starts_with("57P") || code == "25P03",
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let error = match failure.code.as_deref() {
            Some("55P03" | "40P01" | "40001" | "23505") => {
                Self::busy("others write to the same: try again")
            }
            None => Self::unavailable("the connection to the database was lost"),
            Some(code) if code.starts_with("08") || code.starts_with("57") || code == "25P03" => {
                Self::unavailable("the database went away")
            }
            Some("53100") => {
                Self::unavailable("the database's disk is full: free some space, then try again")
            }
            Some(code) if code.starts_with("53") => {
                Self::unavailable("the database is short of resources")
            }
            Some("25006") => Self::unavailable("the database takes no writes: it is a standby"),
            Some(code) if code.starts_with("58") => {
                Self::unavailable("the database cannot read or write its files")
            }
            Some(_) => Self::internal("the database does not answer as it should"),
        };
        error.with_source(failure)
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Domain(error) => error,
            Stop::Failed { failure, ending } if ending && is_lost(&failure) => Self::unavailable(
                "the connection was lost while committing, which may have happened: \
                 retry with the same key, or look whether it is there",
            )
            .with_source(failure),
            Stop::Failed {
                failure,
                ending: true,
            } => Self::unavailable(
                "the commit failed, and may have happened: \
                 retry with the same key, or look whether it is there",
            )
            .with_source(failure),
            Stop::Failed { failure, .. } => failure.into(),
        }
    }
}

/// Waits before trying again: longer each time up to a bound, and not as long as others do.
pub(crate) async fn pause(attempt: u32, most: Duration) {
    let scale = Duration::from_millis(1 << attempt.min(12)).min(most);
    let mut random = [0; 2];
    // Without randomness all wait equally long: no harm.
    let _ = getrandom::fill(&mut random);
    let share = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    tokio::time::sleep(scale.mul_f64(0.2 + 0.8 * share)).await;
}
