//! What a URL says besides its path: ids and queries, read strictly.

use chat_core::{ConversationId, Error, InboxCursor, UserId};

use crate::problem::Problem;

/// Decodes `%xx`; `None` when that is no UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// A decimal integer without sign or leading zero, as ids and seqs are written.
pub(crate) fn integer(text: &str) -> Option<u64> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// An id in a path.
pub(crate) fn id<T>(text: Option<&str>, new: fn(u64) -> Result<T, Error>) -> Result<T, Problem> {
    text.and_then(integer)
        .and_then(|id| new(id).ok())
        .ok_or_else(|| Problem::invalid("the id in the path must be an integer from 1 to 2^53-1"))
}

/// The pairs of a query (`application/x-www-form-urlencoded`).
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let bad = || Problem::invalid("the query of the URL is not valid percent-encoded UTF-8");
        let decode = |part: &str| percent_decode(&part.replace('+', " ")).ok_or_else(bad);
        let pairs = query.unwrap_or_default().split('&');
        pairs
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(name)?, decode(value)?))
            })
            .collect::<Result<_, Problem>>()
            .map(Self)
    }

    /// All of them, in their order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of a name that stands there once at most.
    pub(crate) fn get(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        match values.next() {
            Some(_) => Err(Problem::field(
                name,
                format!("`{name}` stands in the query twice"),
            )),
            None => Ok(value),
        }
    }

    /// The size of a page: more than there is on one means a full page.
    pub(crate) fn limit(&self, default: usize) -> Result<usize, Problem> {
        let Some(text) = self.get("limit")? else {
            return Ok(default);
        };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // Digits beyond 64 bits are a large number too.
        match (digits, text.parse::<usize>()) {
            (true, Ok(1..)) => Ok(text.parse().unwrap_or(usize::MAX)),
            (true, Err(_)) => Ok(usize::MAX),
            _ => Err(Problem::field(
                "limit",
                "`limit` must be an integer, at least 1",
            )),
        }
    }

    /// A message's id.
    pub(crate) fn seq(&self, name: &'static str) -> Result<Option<u64>, Problem> {
        let seq = |text: &str| {
            integer(text)
                .filter(|seq| *seq <= chat_core::MAX_ID)
                .ok_or_else(|| Problem::field(name, format!("`{name}` must be a message's id")))
        };
        self.get(name)?.map(seq).transpose()
    }

    /// Where a page of conversations goes on.
    pub(crate) fn cursor(&self) -> Result<Option<InboxCursor>, Problem> {
        let cursor = |text: &str| {
            text.parse()
                .map_err(|_| Problem::field("before", "`before` must be the `cursor` of an entry"))
        };
        self.get("before")?.map(cursor).transpose()
    }
}

/// A user id in a path.
pub(crate) fn user(text: Option<&str>) -> Result<UserId, Problem> {
    id(text, UserId::new)
}

/// A conversation id in a path.
pub(crate) fn conversation(text: Option<&str>) -> Result<ConversationId, Problem> {
    id(text, ConversationId::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_core::Timestamp;
    use proptest::prelude::*;

    fn query(text: &str) -> Query {
        Query::parse(Some(text)).unwrap()
    }

    #[test]
    fn queries_are_decoded() {
        let query = query("q=a+b%20%25_%C3%A4&limit=7&&x");
        assert_eq!(query.get("q").unwrap(), Some("a b %_ä"));
        assert_eq!(query.limit(1).unwrap(), 7);
        assert_eq!(query.get("x").unwrap(), Some(""));
        assert_eq!(query.get("none").unwrap(), None);
    }

    #[test]
    fn what_is_not_utf8_is_refused() {
        for bad in ["q=%", "q=%2", "q=%zz", "q=%ff", "q=%C3", "%ff=1", "q=%+1"] {
            assert!(Query::parse(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_are_clamped_or_refused() {
        assert_eq!(query("limit=1000000000").limit(5).unwrap(), 1_000_000_000);
        let huge = "limit=99999999999999999999999999";
        assert_eq!(query(huge).limit(5).unwrap(), usize::MAX);
        for bad in ["0", "-1", "1e9", "1.5", "", "x", "+1"] {
            let text = format!("limit={}", bad.replace('+', "%2B"));
            assert!(query(&text).limit(5).is_err(), "{bad}");
        }
        assert!(query("limit=1&limit=2").limit(5).is_err());
    }

    #[test]
    fn ids_are_written_one_way_only() {
        assert_eq!(
            user(Some("9007199254740991")).unwrap().get(),
            chat_core::MAX_ID
        );
        for bad in [
            "0",
            "-1",
            "+1",
            "01",
            "1.0",
            "1e3",
            "9007199254740992",
            "",
            "x",
            "1 ",
            "%31",
        ] {
            assert!(user(Some(bad)).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn cursors_come_back(at in 0..i64::MAX, id in 1..=chat_core::MAX_ID) {
            let cursor = InboxCursor {
                at: Timestamp::from_millis(at),
                conversation: ConversationId::new(id).unwrap(),
            };
            prop_assert_eq!(cursor.to_string().parse::<InboxCursor>().ok(), Some(cursor));
        }

        #[test]
        fn no_query_panics(text in ".*") {
            let _ = Query::parse(Some(&text)).map(|query| (query.limit(1).is_ok(), query.cursor().is_ok()));
        }
    }
}
