//! How a refusal is told: the one table from [`ErrorKind`] to HTTP status and frame code, and RFC 9457 problem details.

use std::borrow::Cow;
use std::time::Duration;

use chat_core::protocol::{ErrorBody, sentence};
use chat_core::{Error, ErrorKind};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::header::{HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::Body;

/// The one table: what an error is called on HTTP and in a frame.
pub(crate) const fn table(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
        ErrorKind::Conflict => (StatusCode::CONFLICT, "conflict"),
        ErrorKind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ErrorKind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
        ErrorKind::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

/// A refusal on its way to be told. Boxed: the good way is the usual one.
#[derive(Debug)]
pub(crate) struct Problem(Box<Told>);

#[derive(Debug)]
struct Told {
    status: StatusCode,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
    errors: Vec<FieldError>,
    header: Option<(HeaderName, HeaderValue)>,
}

/// Problem details as of RFC 9457.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[schema(example = "about:blank")]
    r#type: &'a str,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: &'a str,
    /// The status.
    #[schema(example = 404)]
    status: u16,
    /// A sentence for a person.
    detail: &'a str,
    /// Which fields of the body are wrong, where that is known.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

/// What is wrong with one field.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Its name.
    pub(crate) field: String,
    /// A sentence for a person.
    pub(crate) detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Told {
            status,
            detail: detail.into(),
            retry_after: None,
            errors: Vec::new(),
            header: None,
        }))
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The request is wrong; the sentence says what to mend.
    pub(crate) fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// One field is wrong.
    pub(crate) fn field(field: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut problem = Self::invalid(detail);
        let detail = problem.0.detail.clone().into_owned();
        let field = field.into();
        problem.0.errors.push(FieldError { field, detail });
        problem
    }

    /// Nobody, or nobody any more, stands behind the credential.
    pub(crate) fn unauthenticated(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
            .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// Too often.
    pub(crate) fn too_often(detail: &'static str, wait: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).with_retry_after(wait)
    }

    /// The path exists, but not for this method.
    pub(crate) fn method(allow: &str) -> Self {
        let detail = format!("this path answers to {allow} only");
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, detail);
        match HeaderValue::from_str(allow) {
            Ok(value) => problem.with_header(ALLOW, value),
            Err(_) => problem,
        }
    }

    /// A socket was asked for in a way that is no WebSocket handshake.
    pub(crate) fn upgrade(detail: &'static str) -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, detail)
            .with_header(UPGRADE, HeaderValue::from_static("websocket"))
    }

    /// A WebSocket handshake of a version other than 13.
    pub(crate) fn version() -> Self {
        let detail = "only version 13 of the WebSocket protocol is spoken here";
        Self::new(StatusCode::UPGRADE_REQUIRED, detail)
            .with_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut told = *self.0;
        for error in &mut told.errors {
            error.detail = sentence(&error.detail);
        }
        let body = ProblemBody {
            r#type: "about:blank",
            title: told.status.canonical_reason().unwrap_or("Error"),
            status: told.status.as_u16(),
            detail: &sentence(&told.detail),
            errors: &told.errors,
        };
        // A struct of strings and numbers always serializes.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = told.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(wait) = told.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        if let Some((name, value)) = told.header {
            headers.insert(name, value);
        }
        response
    }
}

/// Rounded up, at least 1: who waits so long is let in.
fn whole_seconds(wait: Duration) -> u64 {
    let round_up = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(round_up).max(1)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, _) = table(error.kind());
        if error.kind() == ErrorKind::Internal {
            log_internal(&error);
        }
        let problem = Self::new(status, error.to_string());
        let moment = Duration::from_secs(1);
        match error.kind() {
            ErrorKind::RateLimited => {
                problem.with_retry_after(error.retry_after().unwrap_or(moment))
            }
            ErrorKind::Busy => problem.with_retry_after(moment),
            _ => problem,
        }
    }
}

impl From<ErrorBody> for Problem {
    /// A request of the protocol that cannot be read.
    fn from(error: ErrorBody) -> Self {
        match error.field {
            Some(field) => Self::field(field, error.detail),
            None => Self::invalid(error.detail),
        }
    }
}

/// An error that only the operator can mend.
pub(crate) fn log_internal(error: &Error) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, source, "internal error");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
        assert_eq!(whole_seconds(Duration::from_secs(60)), 60);
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }
}
