//! From a request to its answer.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use chat_auth::Auth;
use chat_core::protocol::Settings;
use chat_core::{Authenticator, Chat, Error, ErrorKind, Format, Identity};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue,
    VARY,
};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use matchit::Params;
use tracing::Instrument;
use tracing::field::Empty;

use crate::assets::Assets;
use crate::body::{self, Body};
use crate::builder::Builder;
use crate::credential::Credential;
use crate::limits::HttpLimits;
use crate::origin::{Origins, Proxies};
use crate::problem::Problem;
use crate::query::{Query, percent_decode};
use crate::rate::{Limiters, address_key};
use crate::routes::{Endpoint, Route, Routes};
use crate::site::Site;
use crate::{account, chats, rest, ws};

/// The service: cheap to clone, answers any number of requests at once.
///
/// It never fails: what is wrong is told in the answer. A host that serves it with something else than [`crate::Server`]
/// puts the address of the peer into the request's extensions ([`crate::Peer`]) and calls [`Chat::drain`] when it stops.
#[derive(Clone)]
pub struct Http(pub(crate) Arc<Inner>);

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

/// What all clones of an [`Http`] share.
pub(crate) struct Inner {
    pub(crate) chat: Chat,
    pub(crate) format: Format,
    pub(crate) auth: Option<Auth>,
    pub(crate) registration: bool,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    /// The name of the cookie that holds a credential.
    pub(crate) cookie: String,
    pub(crate) routes: Routes,
    pub(crate) docs: Assets,
    pub(crate) assets: Assets,
    pub(crate) site: Site,
    pub(crate) origins: Origins,
    pub(crate) proxies: Proxies,
    pub(crate) limits: HttpLimits,
    pub(crate) rates: Limiters,
    pub(crate) sockets: Arc<ws::Rules>,
    pub(crate) native: Arc<Settings>,
}

/// A request on its way to an endpoint.
pub(crate) struct Call<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) parts: &'a Parts,
    /// The parameters of the path, as they stand there.
    pub(crate) params: &'a Params<'a, 'a>,
    pub(crate) body: Bytes,
}

impl Http {
    /// Begins to build a service over a chat.
    pub fn builder(chat: Chat) -> Builder {
        Builder::new(chat)
    }

    /// The chat it serves.
    #[must_use]
    pub fn chat(&self) -> &Chat {
        &self.0.chat
    }
}

/// The future of an answer.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<B> tower_service::Service<Request<B>> for Http
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { Ok(inner.answer(request).await) })
    }
}

impl Inner {
    async fn answer<B: http_body::Body>(&self, request: Request<B>) -> Response<Body> {
        let started = Instant::now();
        let (mut parts, body) = request.into_parts();
        let path = std::mem::take(&mut parts.uri).into_parts().path_and_query;
        let (path, query) = path
            .as_ref()
            .map_or(("/", None), |whole| (whole.path(), whole.query()));
        let found = self.routes.find(path);
        let span = tracing::info_span!(
            "request",
            method = known_method(&parts.method),
            route = found.as_ref().map_or("-", |(route, _)| route.pattern),
            status = Empty,
            micros = Empty,
        );
        let answer = self
            .dispatch(&mut parts, path, query, found, body)
            .instrument(span.clone());
        let answer = tokio::time::timeout(self.limits.answer_time, answer).await;
        let mut response = answer
            .unwrap_or_else(|_| Err(late()))
            .unwrap_or_else(Problem::into_response);
        self.finish(&parts, &mut response);
        span.record("status", response.status().as_u16());
        let micros = started.elapsed().as_micros();
        span.record("micros", u64::try_from(micros).unwrap_or(u64::MAX));
        span.in_scope(|| tracing::debug!("answered"));
        response
    }

    async fn dispatch<B: http_body::Body>(
        &self,
        parts: &mut Parts,
        path: &str,
        query: Option<&str>,
        found: Option<(&Route, Params<'_, '_>)>,
        body: B,
    ) -> Result<Response<Body>, Problem> {
        if path.len() + query.map_or(0, str::len) > self.limits.uri {
            let detail = "the URL is too long";
            return Err(Problem::new(StatusCode::URI_TOO_LONG, detail));
        }
        if parts.headers.len() > self.limits.headers {
            let detail = "the request has too many header fields";
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Err(Problem::new(status, detail));
        }
        let Some((route, params)) = found else {
            return self.file(parts, path);
        };
        if parts.method == Method::OPTIONS {
            return Ok(self.options(parts, route));
        }
        let Some(endpoint) = route.endpoint(&parts.method) else {
            return Err(Problem::method(&route.allow()));
        };
        if !parts.method.is_safe() {
            self.origins.check(&parts.headers)?;
        }
        if endpoint == Endpoint::Socket {
            let token = params.iter().next().map(|(_, token)| token);
            return ws::upgrade(self, parts, token).await;
        }
        let mut bytes = Bytes::new();
        if endpoint.takes_json(&parts.method) {
            body::expect_json(&parts.headers, self.limits.body)?;
            bytes = body::read(body, self.limits.body, self.limits.body_time).await?;
        }
        let call = Call {
            inner: self,
            parts,
            params: &params,
            body: bytes,
        };
        let query = Query::parse(query);
        match endpoint {
            Endpoint::Register => account::register(&call).await,
            Endpoint::Login => account::login(&call).await,
            Endpoint::Logout => account::logout(&call).await,
            Endpoint::Password => account::password(&call).await,
            Endpoint::Renew => account::renew(&call).await,
            Endpoint::Session => account::session(&call).await,
            Endpoint::Operation(word) => rest::answer(&call, word, &query?).await,
            Endpoint::SearchUsers => chats::search_users(&call, &query?).await,
            Endpoint::Conversations => chats::conversations(&call, &query?).await,
            Endpoint::Messages => chats::messages(&call, &query?).await,
            Endpoint::DeleteConversation => chats::delete_conversation(&call).await,
            Endpoint::Docs => self.own("/docs.html", parts),
            Endpoint::OpenApi => self.own("/openapi.json", parts),
            Endpoint::Health => Ok(text("ok")),
            Endpoint::Ready => {
                self.chat.ready().await?;
                Ok(text("ready"))
            }
            Endpoint::Socket => Err(nowhere()),
        }
    }

    /// A file of this crate.
    fn own(&self, name: &str, parts: &Parts) -> Result<Response<Body>, Problem> {
        self.docs.get(name, &parts.headers).ok_or_else(nowhere)
    }

    /// What stands in no route: a file, or a page of the web client's own.
    fn file(&self, parts: &Parts, path: &str) -> Result<Response<Body>, Problem> {
        let name = if path == "/" { "/index.html" } else { path };
        let headers = &parts.headers;
        let file = self
            .assets
            .get(name, headers)
            .or_else(|| self.docs.get(name, headers));
        if parts.method == Method::GET || parts.method == Method::HEAD {
            return file
                .or_else(|| self.assets.page(headers))
                .ok_or_else(nowhere);
        }
        Err(file.map_or_else(nowhere, |_| Problem::method("GET, HEAD")))
    }

    /// OPTIONS, and the preflight of CORS for pages that are allowed.
    fn options(&self, parts: &Parts, route: &Route) -> Response<Body> {
        let mut response = empty(StatusCode::NO_CONTENT);
        let headers = response.headers_mut();
        let Ok(allow) = HeaderValue::from_str(&route.allow()) else {
            return response;
        };
        let preflight = parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if preflight && self.origins.allowed(&parts.headers).is_some() {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, allow.clone());
            headers.insert(
                ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("authorization, content-type"),
            );
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        }
        headers.insert(ALLOW, allow);
        response
    }

    /// What every answer carries.
    fn finish(&self, parts: &Parts, response: &mut Response<Body>) {
        let origin = self.origins.allowed(&parts.headers);
        if parts.method == Method::HEAD && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let length = response.body().size_hint().exact().unwrap_or(0);
            *response.body_mut() = Body::default();
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        let headers = response.headers_mut();
        self.site.secure(headers);
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(origin).ok()) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
            headers.insert(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("retry-after"),
            );
        }
    }

    /// Who a credential belongs to.
    pub(crate) async fn identity(
        &self,
        credential: Option<&Credential>,
    ) -> Result<Identity, Problem> {
        let credential = credential.ok_or_else(|| Problem::unauthenticated("log in first"))?;
        let found = self.authenticator.authenticate(credential.secret()).await;
        found.map_err(|error| match error.kind() {
            ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::Invalid => {
                Problem::unauthenticated(error.to_string())
            }
            _ => error.into(),
        })
    }
}

impl Call<'_> {
    /// Who asks.
    pub(crate) async fn identity(&self) -> Result<Identity, Problem> {
        let credential = Credential::find(None, &self.parts.headers, None, &self.inner.cookie)?;
        self.inner.identity(credential.as_ref()).await
    }

    /// What one address may do is counted by this.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.inner.proxies.client(self.parts).map(address_key)
    }

    /// The one parameter of a path.
    pub(crate) fn param(&self) -> Option<&str> {
        self.params.iter().next().map(|(_, value)| value)
    }

    /// The body. What is wrong with it is said without repeating any of it.
    pub(crate) fn parsed<'b, T: serde::Deserialize<'b>>(&'b self) -> Result<T, Problem> {
        // Serde takes a list for a struct, too.
        if self.body.trim_ascii_start().first() != Some(&b'{') {
            let detail = "the body is not a JSON object";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            if error.is_data() {
                let detail = "the body is JSON, but its fields are not as documented";
                Problem::invalid(format!("{detail} (line {line}, column {column})"))
            } else {
                let detail = format!("the body is not JSON (line {line}, column {column})");
                Problem::new(StatusCode::BAD_REQUEST, detail)
            }
        })
    }
}

/// The percent-decoded parameter of a path.
pub(crate) fn decoded(param: Option<&str>) -> Result<Option<String>, Problem> {
    let bad = || Problem::invalid("the path is not valid percent-encoded UTF-8");
    let decode = |param| percent_decode(param).ok_or_else(bad);
    param.map(decode).transpose()
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, body: &impl serde::Serialize) -> Response<Body> {
    let Ok(body) = serde_json::to_vec(body) else {
        let detail = "the answer could not be written";
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response();
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    response
}

fn text(text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// Nobody knows whether what was asked will still happen.
fn late() -> Problem {
    Error::unavailable("this took too long; look whether it was done before trying again").into()
}

fn nowhere() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path")
}

/// Methods are free text: only well-known ones are logged as they came.
fn known_method(method: &Method) -> &'static str {
    let known = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
    ];
    let found = known.into_iter().find(|name| *name == method.as_str());
    found.unwrap_or("other")
}
