//! Fields that are not plain JSON values: times, keys, seqs, opaque data.

use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::To;
use crate::{ConversationId, Data, Key, LogId, MAX_ID, Seq, Timestamp, UserId};

/// What one of several fields names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneOf {
    conversation: Option<ConversationId>,
    user: Option<UserId>,
    key: Option<String>,
}

/// A log, as clients name it: `{"conversation": 5}` or `{"user": 7}`.
pub(super) fn log<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LogId, D::Error> {
    match Object::<OneOf>::deserialize(deserializer)?.0 {
        OneOf {
            conversation: Some(id),
            user: None,
            key: None,
        } => Ok(id.into()),
        OneOf {
            conversation: None,
            user: Some(id),
            key: None,
        } => Ok(id.into()),
        _ => Err(de::Error::invalid_type(
            de::Unexpected::Map,
            &"{\"conversation\": id} or {\"user\": id}",
        )),
    }
}

/// Where to post, as clients name it.
pub(super) fn to<'de, D: Deserializer<'de>>(deserializer: D) -> Result<To, D::Error> {
    match Object::<OneOf>::deserialize(deserializer)?.0 {
        OneOf {
            conversation: Some(id),
            user: None,
            key: None,
        } => Ok(To::Conversation(id)),
        OneOf {
            conversation: None,
            user: Some(id),
            key: None,
        } => Ok(To::User(id)),
        OneOf {
            conversation: None,
            user: None,
            key: Some(key),
        } => Ok(To::Key(key)),
        _ => Err(de::Error::invalid_type(
            de::Unexpected::Map,
            &"{\"conversation\": id}, {\"user\": id} or {\"key\": text}",
        )),
    }
}

/// A time on the wire: RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Timestamp);

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only a broken clock or store has times outside of jiff's years -9999 to 9999.
        let time = jiff::Timestamp::from_millisecond(self.0.millis()).unwrap_or_default();
        write!(f, "{time:.3}")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(
            deserializer,
            "a time like 2026-11-22T16:40:00.123Z",
            |text| {
                let time: jiff::Timestamp = text.parse().ok()?;
                Some(Self(Timestamp::from_millis(time.as_millisecond())))
            },
        )
    }
}

/// A [`Key`] on the wire: the text of a UUIDv7, or its 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WriteKey(pub Key);

impl WriteKey {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(Key::generate())
    }

    /// Reads one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let dashes = match text.len() {
            32 => false,
            36 => true,
            _ => return None,
        };
        let mut bytes = [0; 16];
        let mut nibbles = 0;
        for (place, byte) in text.bytes().enumerate() {
            if dashes && matches!(place, 8 | 13 | 18 | 23) {
                if byte != b'-' {
                    return None;
                }
                continue;
            }
            let digit = u8::try_from(char::from(byte).to_digit(16)?).ok()?;
            bytes[nibbles / 2] |= digit << (4 * (1 - nibbles % 2));
            nibbles += 1;
        }
        let is_v7 = bytes[6] >> 4 == 7 && bytes[8] >> 6 == 0b10;
        is_v7.then(|| Self(Key::new(bytes)))
    }
}

impl fmt::Display for WriteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.bytes().iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl Serialize for WriteKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WriteKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(
            deserializer,
            "a UUIDv7, as text or as 32 hex digits",
            Self::parse,
        )
    }
}

/// Reads something that is written as a string.
fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    what: &'static str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    struct Text<F>(&'static str, F);
    impl<T, F: FnOnce(&str) -> Option<T>> Visitor<'_> for Text<F> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            let what = self.0;
            (self.1)(text).ok_or_else(|| E::invalid_type(de::Unexpected::Other("text"), &what))
        }
    }
    deserializer.deserialize_str(Text(what, read))
}

/// A place in a log, from 0 to 2^53-1.
pub(super) fn seq<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Seq, D::Error> {
    let seq = u64::deserialize(deserializer)?;
    if seq <= MAX_ID {
        Ok(seq)
    } else {
        let found = de::Unexpected::Other("integer");
        Err(de::Error::invalid_type(
            found,
            &"an integer from 0 to 2^53-1",
        ))
    }
}

/// [`seq`], or null.
pub(super) fn maybe_seq<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Seq>, D::Error> {
    Ok(Option::<Place>::deserialize(deserializer)?.map(|place| place.0))
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Place(#[serde(deserialize_with = "seq")] Seq);

/// Something or null, but there.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// Opaque data from outside, in a form that every reader of JSON can take.
pub(super) fn data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Data>, D::Error> {
    let raw = Option::<Box<RawValue>>::deserialize(deserializer)?;
    let checked = raw.map(|raw| Data::from_json(String::from(Box::<str>::from(raw))));
    checked.transpose().map_err(|_| {
        let found = de::Unexpected::Other("JSON");
        de::Error::invalid_type(found, &Data::EXPECTED)
    })
}

/// A list of objects. Serde's structs can be read from lists too, which nobody means.
pub(super) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let objects = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|object| object.0).collect())
}

/// Read from an object only.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyMap<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMap<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(map))
            }
        }
        deserializer
            .deserialize_map(OnlyMap(std::marker::PhantomData))
            .map(Object)
    }
}
