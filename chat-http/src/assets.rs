//! Files served as they are: an embedded web client, and the docs page.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderValue, IF_NONE_MATCH, VARY,
};
use http::{Response, StatusCode};

use crate::body::Body;

/// A table of files, by path.
///
/// Where a path has siblings that end in `.br` or `.gz`, they are sent to clients that take such an encoding.
///
/// ```
/// use chat_http::Assets;
///
/// let assets = Assets::new()
///     .file("/index.html", "<!doctype html><title>Chat</title>")
///     .hashed("/assets/app-3f9c1b2a.js", "import('./more.js')");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Assets(HashMap<String, Asset>);

#[derive(Clone, Debug)]
struct Asset {
    bytes: Bytes,
    content_type: HeaderValue,
    etag: HeaderValue,
    immutable: bool,
}

/// In the order preferred.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

impl Assets {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file that clients ask for again each time, with its `ETag`. Its type follows from the path's ending.
    #[must_use]
    pub fn file(self, path: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        self.add(path.into(), bytes.into(), false)
    }

    /// Adds a file whose name changes with its content: clients keep it for a year without asking.
    #[must_use]
    pub fn hashed(self, path: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        self.add(path.into(), bytes.into(), true)
    }

    fn add(mut self, path: String, bytes: Bytes, immutable: bool) -> Self {
        // Tells versions of one file apart; nothing depends on it being hard to forge.
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let etag = format!("\"{:016x}-{:x}\"", hasher.finish(), bytes.len());
        let asset = Asset {
            content_type: content_type(&path),
            etag: HeaderValue::from_str(&etag).unwrap_or(HeaderValue::from_static("\"\"")),
            bytes,
            immutable,
        };
        self.0.insert(path, asset);
        self
    }

    /// The answer for a path, if it is in the table.
    pub(crate) fn get(&self, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
        let plain = self.0.get(path)?;
        let encoded = ENCODINGS.iter().find_map(|(name, ending)| {
            let asset = self.0.get(&format!("{path}{ending}"))?;
            accepts(headers, name).then_some((asset, *name))
        });
        let (asset, encoding) = encoded.map_or((plain, None), |(asset, name)| (asset, Some(name)));
        let known = headers.get_all(IF_NONE_MATCH).iter();
        let fresh = known
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|tag| tag.trim().trim_start_matches("W/") == asset.etag || tag.trim() == "*");
        let mut response = Response::new(Body::default());
        if fresh {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = Body::from(asset.bytes.clone());
        }
        let answer = response.headers_mut();
        answer.insert(CONTENT_TYPE, plain.content_type.clone());
        answer.insert(ETAG, asset.etag.clone());
        let cache = if plain.immutable {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        answer.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
        answer.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(encoding) = encoding {
            answer.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        Some(response)
    }

    /// The answer for a link into a web client that has its own router: whatever a browser navigates to.
    pub(crate) fn page(&self, headers: &HeaderMap) -> Option<Response<Body>> {
        let html = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.to_ascii_lowercase().contains("text/html"));
        html.then(|| self.get("/index.html", headers)).flatten()
    }
}

/// Whether `Accept-Encoding` names an encoding without refusing it by `q=0`.
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| {
            let mut parts = item.split(';').map(str::trim);
            let named = parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case(encoding));
            let refused = parts
                .filter_map(|part| part.strip_prefix("q="))
                .any(|q| q.parse().is_ok_and(|q: f32| q <= 0.0));
            named && !refused
        })
}

fn content_type(path: &str) -> HeaderValue {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    HeaderValue::from_static(match ending {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "mp3" => "audio/mpeg",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    async fn bytes(response: Response<Body>) -> Bytes {
        response.into_body().collect().await.unwrap().to_bytes()
    }

    fn table() -> Assets {
        Assets::new()
            .file("/index.html", "page")
            .hashed("/a.js", "plain")
            .hashed("/a.js.br", "brotli")
            .hashed("/a.js.gz", "gzip")
    }

    #[tokio::test]
    async fn encodings_are_chosen() {
        let table = table();
        for (accept, expected) in [
            ("", "plain"),
            ("gzip", "gzip"),
            ("gzip, br", "brotli"),
            ("br;q=0, gzip;q=0.5", "gzip"),
            ("deflate", "plain"),
        ] {
            let response = table
                .get("/a.js", &headers(&[("accept-encoding", accept)]))
                .unwrap();
            assert_eq!(
                response.headers()[CONTENT_TYPE],
                "text/javascript; charset=utf-8"
            );
            assert_eq!(bytes(response).await, expected, "{accept}");
        }
    }

    #[tokio::test]
    async fn what_a_client_has_is_not_sent_again() {
        let table = table();
        let first = table.get("/index.html", &headers(&[])).unwrap();
        assert_eq!(first.headers()[CACHE_CONTROL], "no-cache");
        let tag = first.headers()[ETAG].to_str().unwrap().to_owned();
        let known = headers(&[("if-none-match", &format!("\"x\", W/{tag}"))]);
        let again = table.get("/index.html", &known).unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(bytes(again).await.is_empty());
        let other = headers(&[("if-none-match", "\"x\"")]);
        assert_eq!(table.get("/index.html", &other).unwrap().status(), 200);
    }

    #[test]
    fn deep_links_are_pages_for_browsers_only() {
        let table = table();
        assert!(
            table
                .page(&headers(&[("accept", "text/html,*/*")]))
                .is_some()
        );
        assert!(
            table
                .page(&headers(&[("accept", "application/json")]))
                .is_none()
        );
        assert!(table.page(&headers(&[])).is_none());
        assert!(table.get("/c/1", &headers(&[])).is_none());
    }
}
