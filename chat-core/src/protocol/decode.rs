//! From a text to a frame, or to what is wrong with it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::field::Object;
use super::{ErrorBody, Request, ServerFrame};
use crate::Error;

/// Bytes of a [`Ref`]'s text.
const REF: usize = 64;
/// Bytes of a field's name in a refusal: it may be the client's own.
const NAME: usize = 128;

const NO_JSON: &str = "a frame must be one JSON object with `type`, `body` and, if you like, `ref`";

/// What a client calls a frame of its own, so that it knows the answer: an integer, or a string of at most 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Ref {
    /// A number.
    Integer(i64),
    /// A short text.
    Text(String),
}

/// A frame that cannot be taken: what is wrong with it, and the `ref` it had.
#[derive(Clone, Debug, PartialEq)]
pub struct Bad {
    /// What the client called it.
    pub reference: Option<Ref>,
    /// What to tell it.
    pub error: ErrorBody,
}

/// What is wrong with a body: where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    field: Option<String>,
    detail: String,
}

/// A frame in its first step.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict<'a> {
    #[serde(borrow)]
    r#type: &'a RawValue,
    #[serde(borrow, default)]
    r#ref: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

/// The same of a server, of which more fields may come.
#[derive(Deserialize)]
struct Lenient<'a> {
    #[serde(borrow)]
    r#type: std::borrow::Cow<'a, str>,
    #[serde(default)]
    r#ref: Option<Ref>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

/// A frame on its way out.
#[derive(Serialize)]
struct Envelope<'a, T> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#ref: Option<&'a Ref>,
    body: &'a T,
}

fn encode<T: Serialize>(word: &str, reference: Option<&Ref>, body: &T) -> Vec<u8> {
    let envelope = Envelope {
        r#type: word,
        r#ref: reference,
        body,
    };
    // Structs of strings, numbers and JSON that was read before: always serializes.
    serde_json::to_vec(&envelope).unwrap_or_default()
}

impl Request {
    /// Reads a frame of a client.
    ///
    /// # Errors
    /// What is wrong with it, in words that name the field.
    pub fn decode(text: &str) -> Result<(Option<Ref>, Self), Box<Bad>> {
        let bad = |reference: Option<&Ref>, wrong: Wrong| {
            let reference = reference.cloned();
            let error = ErrorBody::invalid(wrong.field, &wrong.detail);
            Box::new(Bad { reference, error })
        };
        let strict = read(text, |error, path| {
            !error.is_data() || (path.is_empty() && error.to_string().starts_with("invalid type"))
        });
        let strict: Strict<'_> = strict.map_err(|wrong| bad(None, wrong))?;
        let reference = reference(strict.r#ref).map_err(|wrong| bad(None, wrong))?;
        let bad = |wrong| bad(reference.as_ref(), wrong);
        let word: String = serde_json::from_str(strict.r#type.get())
            .map_err(|_| bad(Wrong::field("type", "`type` must be a string")))?;
        let body = strict.body.map_or("{}", RawValue::get);
        match Self::read_body(&word, body) {
            Some(Ok(request)) => Ok((reference, request)),
            Some(Err(wrong)) => Err(bad(wrong.inside("body"))),
            None => {
                let detail = format!("`type` must be one of {}", Self::TYPES.join(", "));
                Err(bad(Wrong::field("type", &detail)))
            }
        }
    }

    /// Reads a request by its type and its body, where something else than a frame carries them.
    ///
    /// # Errors
    /// What is wrong with it, in words that name the field.
    pub fn read(word: &str, body: &str) -> Result<Self, ErrorBody> {
        let unknown = || Err(Wrong::field("type", "`type` is not known"));
        let read = Self::read_body(word, body).unwrap_or_else(unknown);
        read.map_err(|wrong| ErrorBody::invalid(wrong.field, &wrong.detail))
    }

    /// The text of a frame.
    #[must_use]
    pub fn encode(&self, reference: Option<&Ref>) -> String {
        String::from_utf8(encode(self.word(), reference, self)).unwrap_or_default()
    }
}

impl ServerFrame {
    /// Reads a frame of a server; an unknown one is [`ServerFrame::Unknown`].
    ///
    /// # Errors
    /// `Invalid` when it is no frame, or a known one of another shape.
    pub fn decode(text: &str) -> Result<(Option<Ref>, Self), Error> {
        let bad = |error| Error::invalid("a frame of the server cannot be read").with_source(error);
        let lenient: Lenient<'_> = serde_json::from_str(text).map_err(bad)?;
        let body = lenient.body.map_or("{}", RawValue::get);
        match Self::read_body(&lenient.r#type, body) {
            Some(Ok(frame)) => Ok((lenient.r#ref, frame)),
            Some(Err(wrong)) => {
                let at = wrong.field.unwrap_or_default();
                let detail = format!(
                    "a `{}` frame of the server: `{at}`: {}",
                    lenient.r#type, wrong.detail
                );
                Err(Error::invalid(detail))
            }
            None => Ok((lenient.r#ref, Self::Unknown)),
        }
    }

    /// The bytes of a frame.
    #[must_use]
    pub fn encode(&self, reference: Option<&Ref>) -> Vec<u8> {
        encode(self.word(), reference, self)
    }
}

fn reference(raw: Option<&RawValue>) -> Result<Option<Ref>, Wrong> {
    let wrong = || {
        let detail = "`ref` must be an integer or a string of at most 64 bytes";
        Wrong::field("ref", detail)
    };
    let reference = raw.map(|raw| serde_json::from_str(raw.get())).transpose();
    match reference.map_err(|_| wrong())? {
        Some(Ref::Text(text)) if text.len() > REF => Err(wrong()),
        reference => Ok(reference),
    }
}

/// Reads whatever it is.
pub(super) fn any<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Wrong> {
    serde_json::from_str(text).map_err(|error| explain(String::new(), &error))
}

/// Reads an object, and nothing else; says which field is wrong, without repeating what stands in it.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Wrong> {
    read(text, |error, path| !error.is_data() && path.is_empty())
}

/// Reads an object; `is_no_json`: whether an error means that it is none at all.
fn read<'a, T: Deserialize<'a>>(
    text: &'a str,
    is_no_json: impl FnOnce(&serde_json::Error, &str) -> bool,
) -> Result<T, Wrong> {
    let mut json = serde_json::Deserializer::from_str(text);
    let read: Result<Object<T>, _> = serde_path_to_error::deserialize(&mut json);
    match read {
        Ok(Object(value)) => match json.end() {
            Ok(()) => Ok(value),
            Err(_) => Err(Wrong::whole(NO_JSON)),
        },
        Err(error) => {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            if is_no_json(error.inner(), &path) {
                return Err(Wrong::whole(NO_JSON));
            }
            Err(explain(path, error.inner()))
        }
    }
}

/// What serde says, for a person: serde's own words repeat what was sent, which may be a secret.
fn explain(path: String, error: &serde_json::Error) -> Wrong {
    if !error.is_data() {
        // JSON it is, or a field of the envelope could not hold it.
        return Wrong::at(
            &path,
            "is out of range, or no text that can be written in UTF-8",
        );
    }
    let said = error.to_string();
    // serde_json appends " at line 1 column 2".
    let said = said
        .rsplit_once(" at line ")
        .map_or(&*said, |(said, _)| said);
    let quoted = |start: &str| {
        let rest = said.strip_prefix(start)?.strip_prefix(" `")?;
        Some(rest.split_once('`')?.0)
    };
    if let Some(name) = quoted("missing field") {
        return Wrong::at(&join(&path, name), "is missing");
    }
    if let Some(name) = quoted("duplicate field") {
        // The path may end with the field itself.
        let path = path
            .strip_suffix(name)
            .unwrap_or(&path)
            .trim_end_matches('.');
        return Wrong::at(&join(path, name), "stands there twice");
    }
    if said.starts_with("unknown field") {
        let known = said.rsplit_once(", expected ").map(|(_, known)| known);
        let known = known.map_or_else(String::new, |known| format!("; there is {known}"));
        return Wrong::at(&path, &format!("is not known here{known}"));
    }
    if path.is_empty() && !said.contains(", expected ") {
        return Wrong::whole(said);
    }
    match said.rsplit_once(", expected ") {
        Some((_, expected)) => Wrong::at(&path, &format!("must be {}", in_words(expected))),
        // Our own words, of an id out of range.
        None => Wrong::at(&path, &format!("is wrong: {said}")),
    }
}

/// What serde calls types, for a person.
fn in_words(expected: &str) -> &str {
    match expected {
        "u64" | "u32" => "an integer, 0 or more",
        "i64" => "an integer",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") || other.starts_with("enum ") => "an object",
        other => other,
    }
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

impl Wrong {
    fn whole(detail: &str) -> Self {
        Self {
            field: None,
            detail: detail.to_owned(),
        }
    }

    fn field(field: &str, detail: &str) -> Self {
        Self {
            field: Some(field.to_owned()),
            detail: detail.to_owned(),
        }
    }

    /// About a field: `detail` goes on where its name ends.
    fn at(path: &str, detail: &str) -> Self {
        if path.is_empty() {
            return Self::whole(&format!("it {detail}"));
        }
        let end = (0..=path.len().min(NAME))
            .rev()
            .find(|end| path.is_char_boundary(*end));
        let path = &path[..end.unwrap_or(0)];
        Self::field(path, &format!("`{path}` {detail}"))
    }

    /// The same; what concerns the whole concerns the field that holds it.
    fn inside(self, outer: &str) -> Self {
        if self.field.is_none() {
            return Self::at(outer, self.detail.trim_start_matches("it "));
        }
        self
    }
}
