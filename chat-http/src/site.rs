//! The headers that keep browsers from harm, on every answer.

use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};

/// Of an image that a browser would take for a document: opened by itself it runs and loads nothing.
static IMAGE: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");

/// The headers of every answer, for one public URL.
pub(crate) struct Site {
    policy: HeaderValue,
    pub(crate) https: bool,
}

impl Site {
    pub(crate) fn new(public: Option<&str>) -> Self {
        // Browsers agree only lately that 'self' covers the socket of the same host too.
        let socket = public.map_or(String::new(), |origin| {
            format!(" {}", origin.replacen("http", "ws", 1))
        });
        let policy = format!(
            "default-src 'self'; connect-src 'self'{socket}; img-src 'self' data: blob:; \
             object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'"
        );
        let strict = HeaderValue::from_static("default-src 'self'; frame-ancestors 'none'");
        Self {
            policy: HeaderValue::from_str(&policy).unwrap_or(strict),
            https: public.is_some_and(|origin| origin.starts_with("https:")),
        }
    }

    pub(crate) fn secure(&self, headers: &mut HeaderMap) {
        let is_image = headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind == "image/svg+xml");
        let policy = if is_image { &IMAGE } else { &self.policy };
        headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
        let fixed = [
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (
                HeaderName::from_static("permissions-policy"),
                "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            ),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            ),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                "same-origin",
            ),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if self.https {
            headers.insert(
                STRICT_TRANSPORT_SECURITY,
                HeaderValue::from_static("max-age=31536000"),
            );
        }
    }
}
