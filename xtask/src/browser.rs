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
    if !is_root() || !run::answers("apt-get", &["--version"]) {
        return Err(by_hand.to_owned());
    }
    run::run(run::command(".", "apt-get", &["update"]))?;
    let mut install = run::command(
        ".",
        "apt-get",
        &["install", "--yes", "--no-install-recommends"],
    );
    // Without a font the pictures show boxes.
    install.args(["chromium", "fonts-liberation"]);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    run::run(install)?;
    find().ok_or_else(|| by_hand.to_owned())
}

/// Whether this process is root's: who owns its entry in /proc.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}
