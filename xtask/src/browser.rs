//! Finding Chromium for the test in a real browser, or getting it.

use std::path::Path;

use crate::run;

/// Where Debian and others put it.
const PLACES: [&str; 4] = [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome-stable",
    "/usr/bin/google-chrome",
];

/// The browser's path: `CHROMIUM`, or where it usually stands.
pub(crate) fn find() -> Option<String> {
    if let Ok(named) = std::env::var("CHROMIUM") {
        return Path::new(&named).exists().then_some(named);
    }
    PLACES
        .into_iter()
        .find(|place| Path::new(place).exists())
        .map(str::to_owned)
}

/// The browser's path, after installing it where this process may.
///
/// # Errors
/// What to install.
pub(crate) fn find_or_install() -> Result<String, String> {
    if let Some(path) = find() {
        return Ok(path);
    }
    let by_hand = "Chromium is not here: `apt-get update && apt-get install chromium`, or name one with CHROMIUM=/path";
    // Without a font the pictures show boxes.
    run::install(&["chromium", "fonts-liberation"], by_hand)?;
    find().ok_or_else(|| by_hand.to_owned())
}
