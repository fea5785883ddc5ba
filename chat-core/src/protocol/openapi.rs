//! Schemas of the families of frames, for an OpenAPI document: each member by its own name, and `oneOf` all of them with the
//! field that tells them apart.

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AllOfBuilder, Discriminator, Object, ObjectBuilder, OneOf, OneOfBuilder, Schema, SchemaType,
    Type,
};
use utoipa::openapi::{KnownFormat, Ref, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::{By, Event, Reply, Request, ServerFrame, Time, What, WriteKey};
use crate::{ConversationId, Data, LogId, MAX_ID, UserId};

type Schemas = Vec<(String, RefOr<Schema>)>;

/// One member of a family.
pub(super) struct Variant {
    word: &'static str,
    says: &'static [&'static str],
    body: Cow<'static, str>,
    collect: fn(&mut Schemas),
}

impl Variant {
    pub(super) fn new<T: ToSchema>(word: &'static str, says: &'static [&'static str]) -> Self {
        fn collect<T: ToSchema>(schemas: &mut Schemas) {
            schemas.push((T::name().into_owned(), T::schema()));
            T::schemas(schemas);
        }
        Self {
            word,
            says,
            body: T::name(),
            collect: collect::<T>,
        }
    }
}

/// What is told apart by a word.
pub(super) trait Family {
    /// All of it.
    fn variants() -> Vec<Variant>;
}

fn named(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

fn word(word: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([word]))
        .build()
}

/// `oneOf` the members of a family, named `prefix.word`.
fn one_of<F: Family>(prefix: &str, tag: &str, description: &str) -> RefOr<Schema> {
    let mut one_of = OneOfBuilder::new().description(Some(description));
    let mut discriminator = Discriminator::new(tag);
    for variant in F::variants() {
        let name = format!("{prefix}.{}", variant.word);
        let location = format!("#/components/schemas/{name}");
        discriminator
            .mapping
            .insert(variant.word.to_owned(), location);
        one_of = one_of.item(named(&name));
    }
    let one_of: OneOf = one_of.discriminator(Some(discriminator)).build();
    RefOr::T(Schema::OneOf(one_of))
}

/// The members of a family, and what they refer to.
fn members<F: Family>(prefix: &str, schemas: &mut Schemas, schema: impl Fn(&Variant) -> Schema) {
    for variant in F::variants() {
        let name = format!("{prefix}.{}", variant.word);
        schemas.push((name, RefOr::T(schema(&variant))));
        (variant.collect)(schemas);
    }
}

/// A frame.
fn frame(variant: &Variant) -> Schema {
    let says: Vec<_> = variant.says.iter().map(|line| line.trim()).collect();
    let object = ObjectBuilder::new()
        .description(Some(says.join(" ")))
        .property("type", word(variant.word))
        .required("type")
        .property("ref", named("Ref"))
        .property("body", named(&variant.body));
    // Nothing else may be left out.
    let object = if variant.body == "Empty" {
        object
    } else {
        object.required("body")
    };
    Schema::Object(object.build())
}

/// An object with a `kind`.
fn kind(variant: &Variant) -> AllOfBuilder {
    let tag = ObjectBuilder::new()
        .property("kind", word(variant.word))
        .required("kind");
    AllOfBuilder::new()
        .item(tag.build())
        .item(named(&variant.body))
}

/// An entry of a log.
fn entry(variant: &Variant) -> Schema {
    let place = ObjectBuilder::new()
        .property("log", named("LogId"))
        .required("log")
        .property("seq", ObjectBuilder::new().schema_type(Type::Integer))
        .required("seq");
    let all = kind(variant).item(place.build());
    let all = if variant.word == "hidden" {
        all
    } else {
        all.item(named("By"))
    };
    Schema::AllOf(all.build())
}

macro_rules! family {
    ($name:ident, $family:ty, $prefix:literal, $tag:literal, $description:literal, $schema:expr, [$($also:ty),*]) => {
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                one_of::<$family>($prefix, $tag, $description)
            }
        }
        impl ToSchema for $name {
            fn schemas(schemas: &mut Schemas) {
                members::<$family>($prefix, schemas, $schema);
                $(
                    schemas.push((<$also>::name().into_owned(), <$also>::schema()));
                    <$also>::schemas(schemas);
                )*
            }
        }
    };
}

family!(
    Request,
    Request,
    "client",
    "type",
    "A frame of a client.",
    frame,
    [super::Ref]
);
family!(
    ServerFrame,
    ServerFrame,
    "server",
    "type",
    "A frame of a server.",
    frame,
    [super::Ref]
);
family!(
    Reply,
    Reply,
    "reply",
    "kind",
    "The answer to a frame.",
    |variant: &Variant| Schema::AllOf(kind(variant).build()),
    []
);
family!(
    Event,
    What,
    "event",
    "kind",
    "An entry of a log.",
    entry,
    [By, LogId]
);

macro_rules! scalars {
    ($($name:ident: $schema:expr;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::Object($schema.build()))
            }
        }
        impl ToSchema for $name {}
    )*};
}

fn integer(lowest: u64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(lowest))
        .maximum(Some(MAX_ID))
}

fn text(format: SchemaFormat) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(format))
}

scalars! {
    UserId: integer(1).description(Some("A user."));
    ConversationId: integer(1).description(Some("A conversation."));
    Time: text(SchemaFormat::KnownFormat(KnownFormat::DateTime))
        .description(Some("RFC 3339 in UTC with milliseconds."));
    WriteKey: text(SchemaFormat::Custom("uuid".to_owned()))
        .description(Some("A UUIDv7, new for each thing that is done, and kept for its retries."));
    Data: ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some("Any JSON: kept as it came, never interpreted."));
}
