//! `chat-server backup`: a SQLite store into a new file, while it is in use.

use std::path::Path;
use std::process::ExitCode;

use chat_store_sqlite::BackupStep;

use crate::progress::Progress;
use crate::serve::say;
use crate::stores::Place;

/// Copies, compares, and says what is there.
///
/// # Errors
/// One sentence that says what to mend.
pub(crate) fn backup(from: &Place, to: &Path) -> Result<ExitCode, String> {
    let Place::Sqlite(file) = from else {
        return Err(format!(
            "{from}: only `sqlite:FILE` can be backed up; `copy` takes every store"
        ));
    };
    let mut progress = Progress::new();
    let told = |step| match step {
        BackupStep::Copied { pages, of } => progress.at("Copying pages", pages, Some(of)),
        BackupStep::Compared { rows } => progress.at("Comparing rows of both", rows, None),
    };
    let made = chat_store_sqlite::backup(file, to, told);
    drop(progress);
    let fingerprint = made.map_err(|error| crate::copy::whole(&error))?;
    say(&format!(
        "Backed up {} events and {} other rows to {}; both hold the same:",
        fingerprint.events,
        fingerprint.rows,
        to.display()
    ));
    say(&fingerprint.to_string());
    Ok(ExitCode::SUCCESS)
}
