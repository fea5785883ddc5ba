//! The description of the API: an OpenAPI document of what is offered, and a page that shows it without internet.

mod operations;

use self::operations::Operations;
use chat_core::protocol;
use http::Method;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, PathItem, Ref, RefOr, Response};
use utoipa::{Modify, OpenApi};

use crate::assets::Assets;
use crate::routes::{Face, offered};
use crate::{account, chats, problem, wire, ws};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chat",
        version = "1",
        description = "Conversations, messages and live sockets. Ids are JSON integers from 1 to 2^53-1. Timestamps are RFC \
            3339 in UTC with milliseconds. Fields may be added, none is renamed. Errors are problem details (RFC 9457); \
            their `detail` is a sentence for a person.\n\nEvery endpoint takes the token of a login as `Authorization: \
            Bearer`, or as the cookie that the login sets. A token in the path of a socket comes first, then Bearer, then \
            the cookie; what comes first counts, there is no fall back. Pages of other sites can neither change anything \
            nor open sockets by the cookie.",
    ),
    servers((url = ".")),
    paths(
        account::register, account::login, account::logout, account::password, account::session, account::renew,
        chats::conversations, chats::messages, chats::search_users, chats::delete_conversation,
        ws::socket, ws::socket_with_token, docs, openapi, healthz, readyz,
    ),
    components(schemas(
        problem::ProblemBody<'static>, problem::FieldError, wire::MessageFrame<'static>, wire::ErrorFrame<'static>,
        ws::SendFrame, protocol::Request, protocol::ServerFrame,
    )),
    tags(
        (name = "account", description = "Who one is."),
        (name = "chat", description = "What was said."),
        (name = "operations", description = "What the native protocol can do, for who has no socket: the same fields, rules and \
            answers as its frames."),
        (name = "live", description = "What is being said."),
        (name = "service", description = "About the service itself."),
    ),
    modifiers(&Operations, &Common),
)]
struct Document;

/// This page
#[utoipa::path(get, path = "/docs", tag = "service", security(()),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")))]
#[expect(dead_code, reason = "describes a file")]
fn docs() {}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "service", security(()),
    responses((status = 200, description = "The document.", body = Object)))]
#[expect(dead_code, reason = "describes a file")]
fn openapi() {}

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "service", security(()),
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain")))]
#[expect(dead_code, reason = "describes an endpoint that is one line")]
fn healthz() {}

/// Whether it can serve
#[utoipa::path(get, path = "/readyz", tag = "service", security(()),
    responses(
        (status = 200, description = "It can.", body = String, content_type = "text/plain"),
        (status = 503, description = "The store does not answer, or the server is stopping."),
    ))]
#[expect(dead_code, reason = "describes an endpoint that is one line")]
fn readyz() {}

/// The operations of a path, by method.
fn methods(item: &mut PathItem) -> [(Method, &mut Option<Operation>); 5] {
    [
        (Method::GET, &mut item.get),
        (Method::POST, &mut item.post),
        (Method::PUT, &mut item.put),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
    ]
}

/// What all operations have in common.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The `access_token` of a login."))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let none: [String; 0] = [];
        document.security = Some(vec![
            SecurityRequirement::new("bearer", none.clone()),
            SecurityRequirement::new("cookie", none),
        ]);
        for item in document.paths.paths.values_mut() {
            for operation in methods(item)
                .into_iter()
                .filter_map(|(_, place)| place.as_mut())
            {
                let responses = &mut operation.responses.responses;
                let mut add = |status: &str, description: &str| {
                    let response = Response::new(description);
                    let entry = responses.entry(status.to_owned());
                    entry.or_insert(RefOr::T(response));
                };
                if operation.security.is_none() {
                    add("401", "Not logged in.");
                    add("503", "The store does not answer; try again.");
                }
                add("default", "Any other refusal.");
                for (status, response) in responses {
                    if let RefOr::T(response) = response
                        && !status.starts_with(['1', '2'])
                    {
                        let problem = RefOr::Ref(Ref::from_schema_name("Problem"));
                        let content = Content::new(Some(problem));
                        let media = "application/problem+json".to_owned();
                        response.content.insert(media, RefOr::T(content));
                    }
                }
            }
        }
    }
}

/// The document of what is offered.
pub(crate) fn document(faces: &[Face], cookie: &str) -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    let cookie = ApiKeyValue::with_description(cookie, "Set by a login.");
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let is_offered = |path: &str, method: Method| {
        offered(faces).any(|(_, known, pattern, _)| pattern == path && known == method)
    };
    document.paths.paths.retain(|path, item| {
        let mut is_any = false;
        for (method, place) in methods(item) {
            place.take_if(|_| !is_offered(path, method));
            is_any |= place.is_some();
        }
        is_any
    });
    document
}

/// The page, its parts and the document, as files.
pub(crate) fn assets(faces: &[Face], cookie: &str) -> Assets {
    let document = document(faces, cookie).to_pretty_json().unwrap_or_default();
    Assets::new()
        .file("/docs.html", include_str!("docs/page.html"))
        .file("/docs/page.css", include_str!("docs/page.css"))
        .file("/docs/page.js", include_str!("docs/page.js"))
        .file("/openapi.json", document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::COOKIE_NAME;
    use std::collections::BTreeSet;

    /// Every route that is served is described, and the reverse.
    #[test]
    fn the_document_describes_what_is_served() {
        for faces in [
            &[Face::Always][..],
            &[Face::Always, Face::Documented],
            &[Face::Always, Face::V1],
            &[Face::Always, Face::Documented, Face::V1],
        ] {
            let served: BTreeSet<_> = offered(faces)
                .map(|(_, method, path, _)| (path.to_owned(), method.as_str().to_lowercase()))
                .collect();
            let document = serde_json::to_value(document(faces, COOKIE_NAME)).unwrap();
            let mut described = BTreeSet::new();
            for (path, item) in document["paths"].as_object().unwrap() {
                for (method, operation) in item.as_object().unwrap() {
                    described.insert((path.clone(), method.clone()));
                    assert!(operation["summary"].is_string(), "{method} {path}");
                    for response in operation["responses"].as_object().unwrap().values() {
                        assert!(response["description"].is_string(), "{method} {path}");
                    }
                }
            }
            assert_eq!(served, described);
        }
    }

    /// The whole document lies in the repository: the web client's types are made of it.
    #[test]
    fn the_document_in_the_repository_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let faces = [Face::Always, Face::Documented, Face::V1];
        let now = document(&faces, COOKIE_NAME).to_pretty_json().unwrap() + "\n";
        if std::env::var_os("RECORD").is_some() {
            std::fs::write(path, now).unwrap();
            return;
        }
        let known = std::fs::read_to_string(path).unwrap();
        assert!(
            known == now,
            "`cargo xtask types` writes docs/openapi.json anew"
        );
    }

    /// Whatever the document refers to is there.
    #[test]
    fn no_reference_leads_nowhere() {
        let faces = [Face::Always, Face::Documented, Face::V1];
        let document = serde_json::to_value(document(&faces, COOKIE_NAME)).unwrap();
        let text = document.to_string();
        let mut found = 0;
        for part in text.split("\"$ref\":\"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            found += 1;
        }
        assert!(found > 20, "{found}");
        for name in [
            "User",
            "Login",
            "Session",
            "Conversation",
            "Message",
            "Problem",
            "SendFrame",
            "MessageFrame",
            "ErrorFrame",
        ] {
            let properties = &document["components"]["schemas"][name]["properties"];
            assert!(properties.is_object(), "{name}");
        }
        for scheme in ["bearer", "cookie"] {
            assert!(document["components"]["securitySchemes"][scheme].is_object());
        }
    }
}
