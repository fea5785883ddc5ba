//! Registering, logging in and out. What decides is [`chat_auth::Auth`].

use chat_auth::{Auth, AuthError, Field, Session};
use chat_core::{Error, ErrorKind, Timestamp};
use http::header::SET_COOKIE;
use http::{Response, StatusCode};

use crate::body::Body;
use crate::credential::set_cookie;
use crate::problem::Problem;
use crate::service::{Call, empty, json};
use crate::wire::{Credentials, LoginBody, NewPassword, SessionBody, UserBody};

/// Of the routes that exist with built-in users only.
fn auth<'a>(call: &Call<'a>) -> Result<&'a Auth, Problem> {
    let auth = call.inner.auth.as_ref();
    auth.ok_or_else(|| Error::internal("this route needs built-in users").into())
}

/// Register a user
///
/// Does not log in.
#[utoipa::path(
    post, path = "/register", tag = "account", security(()), request_body = Credentials,
    responses(
        (status = 201, description = "Registered.", body = UserBody<'static>),
        (status = 403, description = "Registration is closed here, or sent by a page of another site."),
        (status = 409, description = "The username is taken."),
        (status = 413, description = "The body is too long."),
        (status = 415, description = "The body is not JSON."),
        (status = 422, description = "Username or password are not acceptable; `errors` says which."),
        (status = 429, description = "Too many registrations from this address."),
    )
)]
pub(crate) async fn register(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let auth = auth(call)?;
    if !call.inner.registration {
        return Err(
            Error::forbidden("registration is closed: ask whoever runs this server").into(),
        );
    }
    let body: Credentials = call.parsed()?;
    if let Some(address) = call.address() {
        let detail = "too many registrations from your address; wait a while";
        let limiter = &call.inner.rates.register_address;
        limiter.check(address, detail)?;
    }
    let user = auth.register(&body.username, &body.password).await;
    let user = user.map_err(|error| problem(error, "password"))?;
    Ok(json(StatusCode::CREATED, &UserBody::from(&user)))
}

/// Log in
///
/// The token is also set as the cookie `chat_session`, for pages of this server.
#[utoipa::path(
    post, path = "/login", tag = "account", security(()), request_body = Credentials,
    responses(
        (status = 200, description = "Logged in.", body = LoginBody<'static>),
        (status = 401, description = "Unknown user or wrong password: which one is not told."),
        (status = 403, description = "Registration is closed here, or sent by a page of another site."),
        (status = 413, description = "The body is too long."),
        (status = 415, description = "The body is not JSON."),
        (status = 422, description = "The body is not as documented."),
        (status = 429, description = "Too many attempts for this account or from this address."),
    )
)]
pub(crate) async fn login(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let auth = auth(call)?;
    let body: Credentials = call.parsed()?;
    limit_attempts(call, chat_auth::canonical(&body.username))?;
    let session = auth.login(&body.username, &body.password).await;
    let session = session.map_err(|error| problem(error, "password"))?;
    logged_in(call, &session)
}

/// What an error of a login is told as; `password` is what the password's field is called.
fn problem(error: AuthError, password: &'static str) -> Problem {
    match error {
        AuthError::Field { field, error } => {
            let name = match field {
                Field::Username => "username",
                Field::Password => password,
            };
            Problem::field(name, error.to_string())
        }
        AuthError::Other(error) if error.kind() != ErrorKind::Forbidden => error.into(),
        error if error.kind() == ErrorKind::Forbidden => {
            Problem::unauthenticated(error.to_string())
        }
        error => Error::from(error).into(),
    }
}

/// Passwords are tried at a bounded rate: for one account, and from one address.
fn limit_attempts(call: &Call<'_>, account: impl std::hash::Hash) -> Result<(), Problem> {
    let rates = &call.inner.rates;
    if let Some(address) = call.address() {
        let detail = "too many attempts from your address; wait a little";
        rates.login_address.check(address, detail)?;
    }
    let detail = "too many attempts for this account; wait a little";
    rates.login_account.check(account, detail)
}

/// Log out
///
/// Ends the login of this token: its sockets are closed, and the cookie is taken away.
#[utoipa::path(
    post, path = "/logout", tag = "account",
    responses(
        (status = 204, description = "Logged out."),
        (status = 403, description = "Sent by a page of another site."),
    )
)]
pub(crate) async fn logout(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let identity = call.identity().await?;
    auth(call)?.logout(&identity).await?;
    let mut response = empty(StatusCode::NO_CONTENT);
    if let Some(cookie) = set_cookie(&call.inner.cookie, "", 0, call.inner.site.https) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Change the password
///
/// Ends all other logins of the user and opens a new one in place of this.
#[utoipa::path(
    post, path = "/v1/password", tag = "account", request_body = NewPassword,
    responses(
        (status = 200, description = "Changed; the token is a new one.", body = LoginBody<'static>),
        (status = 403, description = "The current password is wrong, or sent by a page of another site."),
        (status = 413, description = "The body is too long."),
        (status = 415, description = "The body is not JSON."),
        (status = 422, description = "The new password is not acceptable."),
        (status = 429, description = "Too many attempts."),
    )
)]
pub(crate) async fn password(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let identity = call.identity().await?;
    let body: NewPassword = call.parsed()?;
    limit_attempts(call, identity.user)?;
    let auth = auth(call)?;
    let changed = auth.change_password(&identity, &body.current_password, &body.new_password);
    let session = changed.await.map_err(|error| match error {
        AuthError::Wrong => Error::forbidden("the current password is wrong").into(),
        error => problem(error, "new_password"),
    })?;
    logged_in(call, &session)
}

/// Who am I, until when
#[utoipa::path(
    get, path = "/v1/session", tag = "account",
    responses((status = 200, description = "The login of this request.", body = SessionBody<'static>))
)]
pub(crate) async fn session(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let identity = call.identity().await?;
    let user = call.inner.chat.user(identity.user).await?;
    let body = SessionBody {
        user: UserBody::from(&user),
        expires_at: identity.expires,
    };
    Ok(json(StatusCode::OK, &body))
}

/// Renew the login
///
/// Opens a new login in place of this, before it expires. Sockets of the old one stay open until that ends.
#[utoipa::path(
    post, path = "/v1/session", tag = "account",
    responses(
        (status = 200, description = "Renewed; the token is a new one.", body = LoginBody<'static>),
        (status = 403, description = "Sent by a page of another site."),
    )
)]
pub(crate) async fn renew(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let identity = call.identity().await?;
    let renewed = auth(call)?.renew(&identity).await;
    let session = renewed.map_err(|error| problem(error.into(), "password"))?;
    logged_in(call, &session)
}

/// The answer to everything that opens a login.
fn logged_in(call: &Call<'_>, session: &Session) -> Result<Response<Body>, Problem> {
    let left = session.expires.millis() - Timestamp::now().millis();
    let seconds = u64::try_from(left / 1000).unwrap_or(0);
    let body = LoginBody {
        access_token: &session.token,
        token_type: "bearer",
        expires_in: seconds,
        user: UserBody::from(&session.user),
    };
    let mut response = json(StatusCode::OK, &body);
    let inner = call.inner;
    let cookie = set_cookie(&inner.cookie, &session.token, seconds, inner.site.https)
        .ok_or_else(|| Error::internal("the token does not fit into a cookie"))?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}
