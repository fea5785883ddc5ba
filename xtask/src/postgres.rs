//! Finding PostgreSQL's server for the tests that start one of their own, or getting it.

use std::path::Path;

use crate::run;

/// Whether the server's programs are where the tests look for them: in `POSTGRES_BIN`, or where they usually stand.
fn is_here() -> bool {
    let named = std::env::var("POSTGRES_BIN").ok();
    let places = [15, 16, 17].map(|version| format!("/usr/lib/postgresql/{version}/bin"));
    let mut places = named.into_iter().chain(places);
    places.any(|place| Path::new(&place).join("postgres").exists())
}

/// Installs the server where this process may.
///
/// # Errors
/// What to install.
pub(crate) fn find_or_install() -> Result<(), String> {
    if is_here() {
        return Ok(());
    }
    let by_hand = "PostgreSQL's server is not here: `apt-get update && apt-get install postgresql-15`, or name its \
        programs' folder with POSTGRES_BIN=/path";
    run::install(&["postgresql-15"], by_hand)?;
    if is_here() {
        Ok(())
    } else {
        Err(by_hand.to_owned())
    }
}
