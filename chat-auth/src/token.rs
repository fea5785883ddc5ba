//! Tokens: JSON Web Tokens (RFC 7519) signed with HS256, read after RFC 8725, the advice that came of the attacks on them.

use std::fmt;
use std::time::Duration;

use chat_core::{Claims, Error, LoginId, Timestamp, TokenService, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, crypto::aws_lc};
use serde::{Deserialize, Serialize};

use crate::Secret;

/// Bytes of the longest token that is looked at.
const MAX_TOKEN: usize = 4096;
/// Seconds by which the clocks of two nodes may differ.
const LEEWAY: i64 = 30;
/// What `use` says: no other kind of token that the same secret may sign is taken for an access token.
const USE: &str = "access";

/// All that is said of a token that is refused.
pub(crate) const NOT_VALID: &str = "this login is not valid: log in again";

/// Makes and checks access tokens. Times in them are whole seconds: issuing rounds both down.
///
/// Exactly one form of token is accepted: this header (HS256, no hint where to find a key), this issuer and audience, and a
/// lifetime of at most [`Jwt::max_lifetime`], so that nobody who once got hold of the secret mints tokens for ever.
pub struct Jwt {
    header: Header,
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    issuer: String,
    audience: String,
    max_lifetime: i64,
}

/// The claims as they stand in a token. Anything missing, of another type or there twice is refused; unknown claims are
/// ignored, so that nodes of two versions can run side by side.
#[derive(Serialize, Deserialize)]
struct Body {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    r#use: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl Jwt {
    /// Tokens signed with a secret, by issuer and for audience `chat`, for at most 31 days.
    ///
    /// jsonwebtoken knows one crypto backend a process, and panics at the first token when it finds none or two compiled in.
    /// So this installs the one this crate is built with, unless the host installed one before, and tries it.
    ///
    /// # Errors
    /// `Internal` when the backend that the host installed cannot sign with HS256.
    pub fn new(secret: &Secret) -> Result<Self, Error> {
        // Refused when there is one already: that one is fine, too.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        let jwt = Self {
            header: Header::new(Algorithm::HS256),
            signing: EncodingKey::from_secret(secret.bytes()),
            checking: DecodingKey::from_secret(secret.bytes()),
            validation: Validation::new(Algorithm::HS256),
            issuer: String::new(),
            audience: String::new(),
            max_lifetime: 0,
        }
        .issuer("chat")
        .audience("chat")
        .max_lifetime(Duration::from_hours(31 * 24));
        jwt.try_out()?;
        Ok(jwt)
    }

    /// Who signs: the name of this service.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self.validated()
    }

    /// For whom: the name of one store of users. Chats that share a secret but not their users need different ones, else a
    /// token of one is good for the user of the same id in the other.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self.validated()
    }

    /// Tokens that last longer are neither made nor accepted.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        self
    }

    /// Lets the library check what does not depend on a clock; it knows only its own, so times are checked here.
    fn validated(mut self) -> Self {
        self.validation
            .set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        self.validation.set_issuer(&[&self.issuer]);
        self.validation.set_audience(&[&self.audience]);
        self.validation.validate_exp = false;
        self.validation.validate_nbf = false;
        self
    }

    fn try_out(&self) -> Result<(), Error> {
        let user = UserId::new(1)?;
        let login = LoginId::new(1)?;
        let issued = Timestamp::from_millis(0);
        let claims = Claims {
            user,
            login,
            issued,
            expires: issued.plus_millis(1000),
        };
        let broken = || Error::internal("the installed crypto backend cannot sign tokens");
        let token = self.issue(&claims).map_err(|_| broken())?;
        if self.verify(&token, issued).ok() == Some(claims) {
            Ok(())
        } else {
            Err(broken())
        }
    }

    fn read(&self, token: &str, now: i64) -> Option<Claims> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let data = jsonwebtoken::decode::<Body>(token, &self.checking, &self.validation).ok()?;
        let body = data.claims;
        let lifetime = body.exp.checked_sub(body.iat)?;
        let sound = data.header == self.header
            && body.r#use == USE
            && (1..=self.max_lifetime).contains(&lifetime)
            && body.iat <= now + LEEWAY
            && body.nbf <= now + LEEWAY
            && now < body.exp;
        if !sound {
            return None;
        }
        Some(Claims {
            user: UserId::new(id(&body.sub)?).ok()?,
            login: LoginId::new(id(&body.sid)?).ok()?,
            issued: Timestamp::from_millis(body.iat.checked_mul(1000)?),
            expires: Timestamp::from_millis(body.exp.checked_mul(1000)?),
        })
    }
}

/// The number in a claim, written as we write it.
fn id(text: &str) -> Option<u64> {
    let id: u64 = text.parse().ok()?;
    (id.to_string() == text).then_some(id)
}

impl TokenService for Jwt {
    fn issue(&self, claims: &Claims) -> Result<String, Error> {
        let iat = claims.issued.millis().div_euclid(1000);
        let exp = claims.expires.millis().div_euclid(1000);
        if !(1..=self.max_lifetime).contains(&exp.saturating_sub(iat)) {
            return Err(Error::internal(
                "this login's lifetime is not what tokens may have: see `Jwt::max_lifetime`",
            ));
        }
        let body = Body {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: claims.user.to_string(),
            sid: claims.login.to_string(),
            r#use: USE.into(),
            iat,
            nbf: iat,
            exp,
        };
        jsonwebtoken::encode(&self.header, &body, &self.signing)
            .map_err(|e| Error::internal("a token cannot be signed").with_source(e))
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, Error> {
        self.read(token, now.millis().div_euclid(1000))
            .ok_or_else(|| Error::forbidden(NOT_VALID))
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("max_lifetime", &self.max_lifetime)
            .finish_non_exhaustive()
    }
}
