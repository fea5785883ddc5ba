//! The web client inside this binary.

use chat_http::Assets;

use crate::brand::Brand;

/// Paths and contents of `frontend/dist`; empty when it was not built before this program.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/client.rs"));

/// Stands in for the client in a program that was built without it.
const WITHOUT: &str = include_str!("without_client.html");

/// What to serve besides the API.
pub(crate) fn assets(brand: Option<&Brand>) -> Assets {
    let mut assets = Assets::new();
    if FILES.is_empty() {
        assets = assets.file("/index.html", WITHOUT);
    }
    for &(path, bytes) in FILES {
        // Vite names what it puts there by content.
        if path.starts_with("/assets/") {
            assets = assets.hashed(path, bytes);
            continue;
        }
        let Some(brand) = brand else {
            assets = assets.file(path, bytes);
            continue;
        };
        // A file that changes has no compressed siblings any more.
        let plain = path.trim_end_matches(".br").trim_end_matches(".gz");
        match brand.instead_of(plain, bytes) {
            None => assets = assets.file(path, bytes),
            Some(own) if plain == path => assets = assets.file(path, own),
            Some(_) => {}
        }
    }
    match brand {
        Some(brand) => assets.file("/brand.css", brand.style()),
        None => assets,
    }
}

/// Whether the client is inside.
pub(crate) const fn is_there() -> bool {
    !FILES.is_empty()
}
