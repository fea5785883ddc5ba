//! Every trick known to be played with tokens, against the token service alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what went wrong by panicking"
)]

mod forge;

use std::time::Duration;

use chat_auth::{Jwt, Secret};
use chat_core::{Claims, ErrorKind, LoginId, Timestamp, TokenService, UserId};
use serde_json::json;

use forge::{Forge, HEADER};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const SECOND: i64 = 1000;

fn claims() -> Claims {
    Claims {
        user: UserId::new(7).unwrap(),
        login: LoginId::new(99).unwrap(),
        issued: NOW,
        expires: NOW.plus_millis(3600 * SECOND),
    }
}

fn forge() -> (Forge, Jwt) {
    let secret = forge::secret();
    (
        Forge::new(&secret),
        Jwt::new(&Secret::from_bytes(secret).unwrap()).unwrap(),
    )
}

#[test]
fn signing_works_at_run_time() {
    let (_, jwt) = forge();
    let token = jwt.issue(&claims()).unwrap();
    assert!(token.len() < 512);
    assert_eq!(jwt.verify(&token, NOW).unwrap(), claims());
}

#[test]
fn the_backend_stays_the_one_that_was_chosen_first() {
    // A second service, and a host that installs a backend of its own afterwards, change nothing.
    let (_, jwt) = forge();
    let (_, _other) = forge();
    assert!(
        jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER
            .install_default()
            .is_err()
    );
    assert!(jwt.issue(&claims()).is_ok());
}

#[test]
fn what_the_forger_writes_is_read_as_long_as_it_is_right() {
    // Else the refusals below would prove nothing.
    let (forge, jwt) = forge();
    assert_eq!(jwt.verify(&forge.good(NOW), NOW).unwrap(), claims());
    let more = forge.with(NOW, |body| body["scope"] = json!(["anything"]));
    assert!(
        jwt.verify(&more, NOW).is_ok(),
        "a later version may say more"
    );
}

#[test]
fn every_trick_is_refused_alike() {
    let (forge, jwt) = forge();
    let reference = jwt.verify("", NOW).unwrap_err();
    for (trick, token) in forge.tricks(NOW) {
        let Err(error) = jwt.verify(&token, NOW) else {
            panic!("accepted: {trick}");
        };
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{trick}");
        assert_eq!(error.to_string(), reference.to_string(), "{trick}");
        assert!(std::error::Error::source(&error).is_none(), "{trick}");
    }
}

#[test]
fn a_clock_may_be_thirty_seconds_ahead_and_no_more() {
    let (forge, jwt) = forge();
    for claim in ["iat", "nbf"] {
        let ahead = |seconds| {
            let token = forge.with(NOW, |body| {
                body[claim] = json!(NOW.millis() / SECOND + seconds);
            });
            jwt.verify(&token, NOW).is_ok()
        };
        assert!(ahead(30) && !ahead(31), "{claim}");
    }
}

#[test]
fn no_bit_of_a_token_can_be_changed() {
    let (_, jwt) = forge();
    let token = jwt.issue(&claims()).unwrap();
    for at in 0..token.len() {
        for bit in 0..8 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let changed = String::from_utf8_lossy(&bytes);
            assert!(jwt.verify(&changed, NOW).is_err(), "byte {at}, bit {bit}");
        }
        assert!(jwt.verify(&token[..at], NOW).is_err());
    }
}

#[test]
fn counts_from_when_it_was_issued_until_it_expires_by_the_clock_given() {
    let (_, jwt) = forge();
    let token = jwt.issue(&claims()).unwrap();
    let at = |millis| jwt.verify(&token, NOW.plus_millis(millis)).is_ok();
    assert!(at(0) && at(3600 * SECOND - 1));
    assert!(!at(3600 * SECOND) && !at(3601 * SECOND) && !at(i64::MAX / 2));
    // The clock of another node may be a little behind.
    assert!(at(-30 * SECOND) && !at(-31 * SECOND));
    assert!(
        jwt.verify(&token, Timestamp::from_millis(i64::MIN))
            .is_err()
    );
    assert!(
        jwt.verify(&token, Timestamp::from_millis(i64::MAX))
            .is_err()
    );
}

#[test]
fn times_are_rounded_down_to_seconds() {
    let (_, jwt) = forge();
    let odd = Claims {
        issued: NOW.plus_millis(999),
        expires: NOW.plus_millis(3600 * SECOND + 999),
        ..claims()
    };
    let token = jwt.issue(&odd).unwrap();
    assert_eq!(jwt.verify(&token, NOW).unwrap(), claims());
}

#[test]
fn neither_makes_nor_takes_what_lasts_too_long() {
    let (_, jwt) = forge();
    let day = 24 * 3600 * SECOND;
    let lasting = |millis| Claims {
        expires: NOW.plus_millis(millis),
        ..claims()
    };
    assert!(jwt.issue(&lasting(31 * day)).is_ok());
    for bad in [31 * day + SECOND, i64::MAX, 0, -day] {
        let error = jwt.issue(&lasting(bad)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
    let (_, short) = forge();
    let short = short.max_lifetime(Duration::from_secs(60));
    let token = jwt.issue(&lasting(61 * SECOND)).unwrap();
    assert!(jwt.verify(&token, NOW).is_ok() && short.verify(&token, NOW).is_err());
}

#[test]
fn another_secret_issuer_or_audience_makes_another_token() {
    let (_, jwt) = forge();
    let make = || forge().1;
    let token = jwt.issue(&claims()).unwrap();
    assert!(make().verify(&token, NOW).is_ok());
    assert!(make().issuer("other").verify(&token, NOW).is_err());
    assert!(make().audience("other").verify(&token, NOW).is_err());
    let other = Jwt::new(&Secret::generate().unwrap()).unwrap();
    assert!(other.verify(&token, NOW).is_err());
    let named = make().issuer("a").audience("b");
    let token = named.issue(&claims()).unwrap();
    assert_eq!(named.verify(&token, NOW).unwrap(), claims());
}

#[test]
fn shows_no_secret() {
    let (_, jwt) = forge();
    let shown = format!("{jwt:?} {jwt:#?}");
    assert!(shown.contains("issuer"));
    assert!(!shown.contains(&String::from_utf8_lossy(&forge::secret())[..8]));
    assert!(!shown.to_lowercase().contains("key"));
    assert_eq!(HEADER, r#"{"typ":"JWT","alg":"HS256"}"#);
}
