//! What an [`Http`] is built of.

use std::net::SocketAddr;
use std::sync::Arc;

use chat_auth::Auth;
use chat_core::protocol::Settings;
use chat_core::{Authenticator, Chat};

use crate::assets::Assets;
use crate::credential::{COOKIE_NAME, is_cookie_name};
use crate::limits::HttpLimits;
use crate::origin::{Net, Origins, Proxies, origin_of, origins_of};
use crate::rate::{Limiters, Rates};
use crate::routes::{Face, Routes};
use crate::service::{Http, Inner};
use crate::site::Site;
use crate::{docs, ws};

/// What an [`Http`] is built of; begin with [`Http::builder`].
#[must_use]
pub struct Builder {
    chat: Chat,
    auth: Option<Auth>,
    registration: bool,
    authenticator: Option<Arc<dyn Authenticator>>,
    cookie: String,
    public_url: Option<String>,
    listening: Option<SocketAddr>,
    allowed: Vec<String>,
    proxies: Vec<String>,
    limits: HttpLimits,
    rates: Option<Rates>,
    assets: Assets,
}

/// Why an [`Http`] could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Not an absolute http or https URL.
    #[error("`{0}` is not an http or https URL, like https://chat.example")]
    Url(String),
    /// Not an address or network.
    #[error("`{0}` is not an IP address or a network, like 10.0.0.0/8")]
    Network(String),
    /// Not what a cookie can be called.
    #[error("`{0}` cannot be the name of a cookie")]
    Cookie(String),
    /// Neither face was asked for.
    #[error("nothing to serve: offer `documented`, `v1` or both")]
    Nothing,
    /// The chat has no more slots for wire formats.
    #[error("the chat takes no further wire format")]
    Format(#[source] chat_core::Error),
    /// The routes contradict each other: a defect of this crate.
    #[error("the routes cannot be built")]
    Routes(#[from] matchit::InsertError),
}

impl Builder {
    pub(crate) fn new(chat: Chat) -> Self {
        Self {
            chat,
            auth: None,
            registration: true,
            authenticator: None,
            cookie: COOKIE_NAME.to_owned(),
            public_url: None,
            listening: None,
            allowed: Vec::new(),
            proxies: Vec::new(),
            limits: HttpLimits::default(),
            rates: Some(Rates::default()),
            assets: Assets::default(),
        }
    }

    /// Offers the documented API, with its own users: register, login, logout, change of password, and everything that a
    /// client written against it calls. Without [`Builder::v1`], `auth` answers for all credentials.
    pub fn documented(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Whether anybody may register, which is so unless told otherwise; if not, `POST /register` answers 403.
    pub fn registration(mut self, open: bool) -> Self {
        self.registration = open;
        self
    }

    /// Offers `/v1` and the sockets to users of any login: `authenticator` answers for all credentials.
    pub fn v1(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// The cookie of the host's own login, whose value is the credential where a request brings no token; `chat_session` unless
    /// told. It should be `HttpOnly`. What browsers add by themselves counts for pages of the allowed origins only.
    pub fn cookie(mut self, name: impl Into<String>) -> Self {
        self.cookie = name.into();
        self
    }

    /// Under which URL browsers reach this service: their pages may act for a user, and with https the cookie is `Secure`
    /// and HSTS is told.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// Where the service listens. Without [`Builder::public_url`], pages that were loaded from there may act for a user: by
    /// the address itself, on this machine also by `localhost`.
    pub fn listening(mut self, address: SocketAddr) -> Self {
        self.listening = Some(address);
        self
    }

    /// One more origin, exactly as a browser writes it (`http://localhost:5173`), whose pages may act for a user.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.allowed.push(origin.into());
        self
    }

    /// An address or network (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` is believed. Nobody's is, else.
    pub fn trust_proxy(mut self, network: impl Into<String>) -> Self {
        self.proxies.push(network.into());
        self
    }

    /// Other limits than [`HttpLimits::default`].
    pub fn limits(mut self, limits: HttpLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Other rates than [`Rates::default`]; `None` turns all of them off.
    pub fn rates(mut self, rates: impl Into<Option<Rates>>) -> Self {
        self.rates = rates.into();
        self
    }

    /// A web client. Its `/index.html` is served on `/` and on whatever else a browser navigates to.
    pub fn assets(mut self, assets: Assets) -> Self {
        self.assets = assets;
        self
    }

    /// The service.
    ///
    /// # Errors
    /// When a URL or network cannot be read, or nothing is offered.
    pub fn build(self) -> Result<Http, BuildError> {
        let mut faces = vec![Face::Always];
        faces.extend(self.auth.is_some().then_some(Face::Documented));
        faces.extend(self.authenticator.is_some().then_some(Face::V1));
        let authenticator = match (&self.authenticator, &self.auth) {
            (Some(authenticator), _) => Arc::clone(authenticator),
            (None, Some(auth)) => Arc::new(auth.clone()),
            (None, None) => return Err(BuildError::Nothing),
        };
        let mut origins = Origins::default();
        let public = self.public_url.as_deref().map(origin_of).transpose()?;
        match (&public, self.listening) {
            (Some(origin), _) => origins.add(origin.clone()),
            (None, Some(address)) => origins_of(address).into_iter().for_each(|o| origins.add(o)),
            (None, None) => {}
        }
        for origin in &self.allowed {
            origins.add(origin_of(origin)?);
        }
        if !is_cookie_name(&self.cookie) {
            return Err(BuildError::Cookie(self.cookie));
        }
        let proxies = self.proxies.iter().map(|text| Net::parse(text));
        let routes = Routes::new(&faces)?;
        let native = Settings {
            format: self.chat.format().map_err(BuildError::Format)?,
            wrap: ws::text,
            authenticator: Arc::clone(&authenticator),
            server: concat!("chat-http ", env!("CARGO_PKG_VERSION")).to_owned(),
            frame: self.limits.frame,
            heartbeat: self.limits.ping_after,
        };
        Ok(Http(Arc::new(Inner {
            native: Arc::new(native),
            format: self.chat.format().map_err(BuildError::Format)?,
            chat: self.chat,
            auth: self.auth,
            registration: self.registration,
            authenticator,
            docs: docs::assets(&faces, &self.cookie),
            cookie: self.cookie,
            routes,
            site: Site::new(public.as_deref()),
            origins,
            proxies: Proxies(proxies.collect::<Result<_, _>>()?),
            sockets: Arc::new(ws::Rules::new(&self.limits)),
            limits: self.limits,
            rates: Limiters::new(self.rates.as_ref()),
            assets: self.assets,
        })))
    }
}
