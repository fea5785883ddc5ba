//! `chat-server copy`: a store into another one, of whatever kind.

use std::process::ExitCode;

use chat_core::{Error, Fingerprint, Store, Transfer};

use crate::progress::Progress;
use crate::serve::say;
use crate::stop::Stop;
use crate::stores::Place;

/// Rows in a page: each is one durable commit.
const PAGE: usize = 2000;

/// Copies until all is there, or a signal comes.
///
/// # Errors
/// One sentence that says what to mend.
pub(crate) async fn copy(from: &Place, to: &Place) -> Result<ExitCode, String> {
    if from == to {
        return Err(format!(
            "{to}: it is the source itself; name another target"
        ));
    }
    let mut stop = Stop::new().map_err(|error| format!("signals cannot be handled: {error}"))?;
    let source = from.open_existing().await?;
    let target = to.open().await?;
    let copied = tokio::select! {
        copied = all(&*source, &*target) => copied,
        code = stop.next() => {
            say("Stopped: the same command goes on from here.");
            return Ok(code.into());
        }
    };
    let fingerprint = copied.map_err(|error| format!("{from} to {to}: {}", whole(&error)))?;
    for store in [source, target] {
        store.close().await.map_err(|error| error.to_string())?;
    }
    let Fingerprint { events, rows, .. } = fingerprint;
    say(&format!(
        "Copied {events} events and {rows} other rows to {to}; both stores hold the same:"
    ));
    say(&fingerprint.to_string());
    Ok(ExitCode::SUCCESS)
}

async fn all(from: &dyn Store, to: &dyn Store) -> Result<Fingerprint, Error> {
    let mut progress = Progress::new();
    let mut transfer = Transfer::begin(from, to).await?;
    let mut rows = 0;
    loop {
        let page = transfer.page(PAGE).await?;
        if page == 0 {
            break;
        }
        rows += page as u64;
        progress.at("Copying rows", rows, None);
    }
    let told = |rows| progress.at("Comparing rows of both", rows, None);
    transfer.finish(told).await
}

/// An error with what caused it.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error} ({})", whole(source)),
        None => error.to_string(),
    }
}
