//! The operations of [`crate::rest`] as the document describes them: made of its table and of the frames' own schemas.

use std::collections::BTreeMap;

use http::Method;
use utoipa::Modify;
use utoipa::openapi::path::{
    Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, Object, ObjectBuilder, Schema, Type,
};
use utoipa::openapi::{Content, OpenApi, PathItem, Ref, RefOr, Required, Response, SchemaFormat};

use crate::rest;

/// Describes them all.
pub(super) struct Operations;

impl Modify for Operations {
    fn modify(&self, document: &mut OpenApi) {
        let schemas = document.components.get_or_insert_default().schemas.clone();
        for (method, path, word) in rest::TABLE {
            let Some((says, body)) = frame(&schemas, word) else {
                continue;
            };
            let operation = operation(method, path, word, says, body);
            let item: &mut PathItem = document.paths.paths.entry((*path).to_owned()).or_default();
            if let Some((_, place)) = super::methods(item)
                .into_iter()
                .find(|(known, _)| known == method)
            {
                *place = Some(operation);
            }
        }
    }
}

type Schemas = BTreeMap<String, RefOr<Schema>>;

fn object<'a>(schemas: &'a Schemas, name: &str) -> Option<&'a Object> {
    match schemas.get(name)? {
        RefOr::T(Schema::Object(object)) => Some(object),
        _ => None,
    }
}

/// What a frame is for, and its body.
fn frame<'a>(schemas: &'a Schemas, word: &str) -> Option<(&'a str, &'a Object)> {
    let frame = object(schemas, &format!("client.{word}"))?;
    let Some(RefOr::Ref(body)) = frame.properties.get("body") else {
        return None;
    };
    let (_, name) = body.ref_location.rsplit_once('/')?;
    Some((frame.description.as_deref()?, object(schemas, name)?))
}

fn operation(method: &Method, path: &str, word: &str, says: &str, body: &Object) -> Operation {
    let reply = match (method, word) {
        (&Method::GET, _) => word,
        (_, "read" | "delivered") => "done",
        _ => "written",
    };
    let mut answer = Response::new("The body of the reply that a socket gets.");
    answer.content.insert(
        "application/json".to_owned(),
        RefOr::T(content(&format!("reply.{reply}"))),
    );
    let mut operation = OperationBuilder::new()
        .tag("operations")
        .operation_id(Some(word))
        .summary(Some(says.trim_end_matches('.')))
        .response("200", answer)
        .response("422", Response::new("A field is not as documented."));
    if path.contains("/{") {
        operation = operation.response(
            "404",
            Response::new("It does not exist, or not for the caller."),
        );
    }
    let is_required = |name: &str| body.required.iter().any(|known| known == name);
    let mut rest =
        ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)));
    let mut is_empty = true;
    for (name, schema) in &body.properties {
        if name == "log" {
            let kinds = ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(["conversation", "user"]));
            let id = ObjectBuilder::new()
                .schema_type(Type::Integer)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
                .minimum(Some(1));
            let kind = RefOr::T(Schema::Object(kinds.build()));
            operation = operation.parameter(parameter("kind", kind, ParameterIn::Path, true));
            let id = RefOr::T(Schema::Object(id.build()));
            operation = operation.parameter(parameter("id", id, ParameterIn::Path, true));
        } else if path.contains(&format!("{{{name}}}")) {
            operation =
                operation.parameter(parameter(name, schema.clone(), ParameterIn::Path, true));
        } else if rest::takes_json(method) {
            is_empty = false;
            rest = rest.property(name, schema.clone());
            if is_required(name) {
                rest = rest.required(name);
            }
        } else {
            let required = is_required(name);
            operation = operation.parameter(parameter(
                name,
                schema.clone(),
                ParameterIn::Query,
                required,
            ));
        }
    }
    if !is_empty {
        let content = Content::new(Some(RefOr::T(Schema::Object(rest.build()))));
        let body = RequestBodyBuilder::new()
            .content("application/json", content)
            .required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    operation.build()
}

fn parameter(
    name: &str,
    mut schema: RefOr<Schema>,
    place: ParameterIn,
    required: bool,
) -> Parameter {
    let description = match &mut schema {
        RefOr::T(Schema::Object(object)) => object.description.take(),
        RefOr::Ref(reference) => {
            Some(std::mem::take(&mut reference.description)).filter(|text| !text.is_empty())
        }
        _ => None,
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(if required {
            Required::True
        } else {
            Required::False
        })
        .description(description)
        .schema(Some(schema))
        .build()
}

fn content(schema: &str) -> Content {
    Content::new(Some(RefOr::Ref(Ref::from_schema_name(schema))))
}
