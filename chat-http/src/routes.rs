//! Which path and method leads where.

use http::Method;
use matchit::Params;

use crate::rest;

/// A part of the API that a host offers or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// Whatever the host offers.
    Always,
    /// The documented API, with its own users.
    Documented,
    /// For users of any login.
    V1,
}

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Register,
    Login,
    Logout,
    Password,
    Session,
    Renew,
    /// The request of the protocol with this `type`.
    Operation(&'static str),
    SearchUsers,
    Conversations,
    Messages,
    DeleteConversation,
    Socket,
    Docs,
    OpenApi,
    Health,
    Ready,
}

impl Endpoint {
    /// Whether it takes a JSON body.
    pub(crate) fn takes_json(self, method: &Method) -> bool {
        match self {
            Self::Register | Self::Login | Self::Password => true,
            Self::Operation(_) => rest::takes_json(method),
            _ => false,
        }
    }
}

/// The table of routes, but for the operations of the protocol. What is served under them is described in [`crate::docs`].
const TABLE: &[(Face, Method, &str, Endpoint)] = &[
    (
        Face::Documented,
        Method::POST,
        "/register",
        Endpoint::Register,
    ),
    (Face::Documented, Method::POST, "/login", Endpoint::Login),
    (Face::Documented, Method::POST, "/logout", Endpoint::Logout),
    (
        Face::Documented,
        Method::POST,
        "/v1/password",
        Endpoint::Password,
    ),
    (
        Face::Documented,
        Method::GET,
        "/conversations/{id}",
        Endpoint::Conversations,
    ),
    (
        Face::Documented,
        Method::GET,
        "/messages/{id}",
        Endpoint::Messages,
    ),
    (
        Face::Documented,
        Method::DELETE,
        "/conversation/{id}",
        Endpoint::DeleteConversation,
    ),
    (
        Face::Documented,
        Method::GET,
        "/search-users",
        Endpoint::SearchUsers,
    ),
    (
        Face::Documented,
        Method::POST,
        "/v1/session",
        Endpoint::Renew,
    ),
    (Face::V1, Method::GET, "/v1/session", Endpoint::Session),
    (Face::Always, Method::GET, "/ws", Endpoint::Socket),
    (Face::Always, Method::GET, "/ws/{token}", Endpoint::Socket),
    (Face::Always, Method::GET, "/docs", Endpoint::Docs),
    (
        Face::Always,
        Method::GET,
        "/openapi.json",
        Endpoint::OpenApi,
    ),
    (Face::Always, Method::GET, "/healthz", Endpoint::Health),
    (Face::Always, Method::GET, "/readyz", Endpoint::Ready),
];

/// A path of the table, with what its methods lead to.
pub(crate) struct Route {
    /// Its pattern: the only form in which a path is ever logged.
    pub(crate) pattern: &'static str,
    methods: Vec<(Method, Endpoint)>,
}

impl Route {
    /// What answers a method. HEAD is answered as GET; only sockets are not asked for so.
    pub(crate) fn endpoint(&self, method: &Method) -> Option<Endpoint> {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let known = self.methods.iter().find(|(known, _)| known == method);
        known.map(|(_, endpoint)| *endpoint)
    }

    /// For `Allow`.
    pub(crate) fn allow(&self) -> String {
        let mut allow = String::new();
        for (method, _) in &self.methods {
            allow.push_str(method.as_str());
            allow.push_str(", ");
            if method == Method::GET {
                allow.push_str("HEAD, ");
            }
        }
        allow + "OPTIONS"
    }
}

/// The routes of the faces that are offered.
pub(crate) struct Routes {
    router: matchit::Router<usize>,
    routes: Vec<Route>,
}

impl Routes {
    pub(crate) fn new(faces: &[Face]) -> Result<Self, matchit::InsertError> {
        let mut router = matchit::Router::new();
        let mut routes: Vec<Route> = Vec::new();
        for (_, method, pattern, endpoint) in offered(faces) {
            match routes.iter_mut().find(|route| route.pattern == pattern) {
                Some(route) => route.methods.push((method, endpoint)),
                None => {
                    router.insert(pattern, routes.len())?;
                    let methods = vec![(method, endpoint)];
                    routes.push(Route { pattern, methods });
                }
            }
        }
        Ok(Self { router, routes })
    }

    /// The route of a path, and its parameters as they stand in the path.
    pub(crate) fn find<'s, 'p>(&'s self, path: &'p str) -> Option<(&'s Route, Params<'s, 'p>)> {
        let found = self.router.at(path).ok()?;
        Some((self.routes.get(*found.value)?, found.params))
    }
}

/// The rows of the table that are offered.
pub(crate) fn offered(
    faces: &[Face],
) -> impl Iterator<Item = (Face, Method, &'static str, Endpoint)> {
    let operations = rest::TABLE.iter().cloned();
    let operations =
        operations.map(|(method, path, word)| (Face::V1, method, path, Endpoint::Operation(word)));
    let rows = TABLE.iter().cloned().chain(operations);
    rows.filter(|(face, ..)| faces.contains(face))
}
