//! The web client inside this binary.

use chat_http::Assets;

/// Paths and contents of `frontend/dist`; empty when it was not built before this program.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/client.rs"));

/// Stands in for the client in a program that was built without it.
const WITHOUT: &str = include_str!("without_client.html");

/// What to serve besides the API.
pub(crate) fn assets() -> Assets {
    let assets = Assets::new();
    if FILES.is_empty() {
        return assets.file("/index.html", WITHOUT);
    }
    FILES.iter().fold(assets, |assets, &(path, bytes)| {
        // Vite names what it puts there by content.
        if path.starts_with("/assets/") {
            assets.hashed(path, bytes)
        } else {
            assets.file(path, bytes)
        }
    })
}

/// Whether the client is inside.
pub(crate) const fn is_there() -> bool {
    !FILES.is_empty()
}
