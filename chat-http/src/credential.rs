//! The credential of a request: path token, then Bearer, then a token among a socket's protocols, then cookie; never a fall back from one to the next.

use http::HeaderValue;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap};

use crate::problem::Problem;

/// The session cookie's name, unless the host has another.
pub(crate) const COOKIE_NAME: &str = "chat_session";

/// Whether a cookie can have this name (RFC 6265, section 4.1.1).
pub(crate) fn is_cookie_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    !name.is_empty() && name.bytes().all(plain)
}

/// What a request presents. No `Debug`: it is a secret.
pub(crate) enum Credential {
    /// In the path or in `Authorization`: whoever sent it has it.
    Token(String),
    /// In the cookie, which a browser adds by itself: `Origin` counts.
    Cookie(String),
}

impl Credential {
    /// Finds it; `None` when the request presents nothing. `offered` is a token among the protocols of a socket, `name` that of
    /// the cookie.
    ///
    /// # Errors
    /// 401 when the header that comes first is not readable.
    pub(crate) fn find(
        path: Option<String>,
        headers: &HeaderMap,
        offered: Option<String>,
        name: &str,
    ) -> Result<Option<Self>, Problem> {
        if let Some(token) = path {
            return Ok(Some(Self::Token(token)));
        }
        if let Some(token) = bearer(headers)? {
            return Ok(Some(Self::Token(token)));
        }
        if let Some(token) = offered {
            return Ok(Some(Self::Token(token)));
        }
        Ok(cookie(headers, name)?.map(Self::Cookie))
    }

    pub(crate) fn secret(&self) -> &str {
        match self {
            Self::Token(secret) | Self::Cookie(secret) => secret,
        }
    }
}

/// The token of RFC 6750, section 2.1. Another scheme is not for us: a proxy may have its own.
fn bearer(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let bad = || Problem::unauthenticated("`Authorization` must be `Bearer` and one token");
    let mut token = None;
    for value in headers.get_all(AUTHORIZATION) {
        let value = value.as_bytes();
        let (scheme, rest) = value.split_at(value.len().min(6));
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            continue;
        }
        let text = std::str::from_utf8(rest).map_err(|_| bad())?;
        let one = text.strip_prefix(' ').map(str::trim).unwrap_or_default();
        if one.is_empty() || one.contains([' ', ',']) || token.is_some() {
            return Err(bad());
        }
        token = Some(one.to_owned());
    }
    Ok(token)
}

/// The session cookie. Two different ones mean that another site of this domain set one: neither is believed.
fn cookie(headers: &HeaderMap, wanted: &str) -> Result<Option<String>, Problem> {
    let mut found: Option<&str> = None;
    for value in headers.get_all(COOKIE) {
        let Ok(value) = value.to_str() else { continue };
        for pair in value.split(';') {
            let Some((name, value)) = pair.trim().split_once('=') else {
                continue;
            };
            if name != wanted {
                continue;
            }
            if found.is_some_and(|found| found != value) {
                return Err(Problem::unauthenticated(
                    "there is more than one session cookie; delete the cookies of this site",
                ));
            }
            found = Some(value);
        }
    }
    Ok(found.filter(|value| !value.is_empty()).map(str::to_owned))
}

/// `Set-Cookie` for a session of so many seconds; an empty token and 0 take it away. `None` when the token has characters
/// that no cookie can carry.
pub(crate) fn set_cookie(
    name: &str,
    token: &str,
    seconds: u64,
    secure: bool,
) -> Option<HeaderValue> {
    let plain = |c: u8| matches!(c, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    if !token.bytes().all(plain) {
        return None;
    }
    let secure = if secure { "; Secure" } else { "" };
    let cookie =
        format!("{name}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::from_str(&cookie).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: Option<&str>, headers: &[(&str, &str)]) -> Result<Option<(char, String)>, u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            map.append(name, value.parse().unwrap());
        }
        match Credential::find(path.map(str::to_owned), &map, None, COOKIE_NAME) {
            Ok(Some(Credential::Token(token))) => Ok(Some(('t', token))),
            Ok(Some(Credential::Cookie(token))) => Ok(Some(('c', token))),
            Ok(None) => Ok(None),
            Err(problem) => Err(problem.status().as_u16()),
        }
    }

    fn found(kind: char, token: &str) -> Result<Option<(char, String)>, u16> {
        Ok(Some((kind, token.to_owned())))
    }

    #[test]
    fn path_then_bearer_then_cookie() {
        let bearer = ("authorization", "Bearer b");
        let cookie = ("cookie", "a=1; chat_session=c; b=2");
        assert_eq!(find(Some("p"), &[bearer, cookie]), found('t', "p"));
        assert_eq!(find(None, &[bearer, cookie]), found('t', "b"));
        assert_eq!(find(None, &[cookie]), found('c', "c"));
        assert_eq!(find(None, &[]), Ok(None));
        assert_eq!(
            find(None, &[("authorization", "Basic eA=="), cookie]),
            found('c', "c")
        );
        assert_eq!(
            find(None, &[("authorization", "bEARER x")]),
            found('t', "x")
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_passed_over() {
        let cookie = ("cookie", "chat_session=c");
        for bad in ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearera"] {
            assert_eq!(
                find(None, &[("authorization", bad), cookie]),
                Err(401),
                "{bad}"
            );
        }
        let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
        assert_eq!(find(None, &twice), Err(401));
        assert_eq!(
            find(None, &[cookie, ("cookie", "chat_session=d")]),
            Err(401)
        );
        assert_eq!(find(None, &[cookie, cookie]), found('c', "c"));
    }

    #[test]
    fn names_of_cookies_are_plain() {
        assert!(is_cookie_name("__Host-shop.session"));
        for bad in ["", "a b", "a=b", "a;b", "ä", "a\n", "(a)"] {
            assert!(!is_cookie_name(bad), "{bad}");
        }
    }

    #[test]
    fn cookies_carry_no_attributes_of_their_own() {
        let set = |token| set_cookie(COOKIE_NAME, token, 60, true);
        let cookie = set("a.b-c_d").unwrap();
        assert_eq!(
            cookie.to_str().unwrap(),
            "chat_session=a.b-c_d; HttpOnly; SameSite=Strict; Path=/; Max-Age=60; Secure"
        );
        for bad in ["a;b", "a b", "a\r\nb", "a,b", "\"", "ä"] {
            assert!(set(bad).is_none(), "{bad}");
        }
    }
}
