//! Accounts over the documented API: `POST /register` and `POST /login`.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::Failure;
use crate::transport::Address;

/// Bytes of an answer.
const ANSWER: usize = 64 * 1024;
/// How long an answer may take: hashing a password behind many others does.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct Account<'a> {
    username: &'a str,
    password: &'a str,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// Makes an account on a server with users of its own.
///
/// ```no_run
/// # async fn example() -> Result<(), chat_client::Error> {
/// chat_client::register("http://127.0.0.1:8000", "ada", "correct horse battery").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Login`] when the name or the password is refused, [`Error::Wait`], [`Error::Unreachable`].
pub async fn register(url: &str, username: &str, password: &str) -> Result<(), Error> {
    let address = Address::parse(url)?;
    let made = call(&address, "/register", username, password).await;
    made.map(drop).map_err(Failure::error)
}

pub(crate) async fn login(
    address: &Address,
    username: &str,
    password: &str,
) -> Result<String, Failure> {
    let answer = call(address, "/login", username, password).await?;
    let token: Token =
        serde_json::from_slice(&answer).map_err(|_| again("the answer to a login is no token"))?;
    Ok(token.access_token)
}

fn again(detail: &str) -> Failure {
    Failure::Again(Error::Unreachable(detail.to_owned()), None)
}

async fn call(
    address: &Address,
    path: &str,
    username: &str,
    password: &str,
) -> Result<Bytes, Failure> {
    let exchange = exchange(address, path, username, password);
    let response = tokio::time::timeout(PATIENCE, exchange)
        .await
        .map_err(|_| again("the server takes too long"))??;
    let (parts, body) = response.into_parts();
    if parts.status.is_success() {
        return Ok(body);
    }
    let problem: Result<Problem, _> = serde_json::from_slice(&body);
    let status = parts.status.as_u16();
    let detail = problem.map_or_else(|_| format!("status {status}"), |problem| problem.detail);
    let wait = parts.headers.get(RETRY_AFTER);
    let wait = wait.and_then(|wait| wait.to_str().ok()?.parse().ok());
    let wait = wait.map(Duration::from_secs);
    Err(match status {
        429 => Failure::Again(Error::Wait(wait.unwrap_or_default()), wait),
        408 | 500.. => Failure::Again(Error::Unreachable(detail), wait),
        _ => Failure::Stop(Error::Login(detail)),
    })
}

async fn exchange(
    address: &Address,
    path: &str,
    username: &str,
    password: &str,
) -> Result<Response<Bytes>, Failure> {
    let broken = |error: &dyn std::fmt::Display| again(&error.to_string());
    let stream = address.connect().await.map_err(|error| match error {
        Error::Unreachable(_) => Failure::Again(error, None),
        error => Failure::Stop(error),
    })?;
    let body = serde_json::to_vec(&Account { username, password }).map_err(|e| broken(&e))?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(address.path(path))
        .header(HOST, &address.authority)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| broken(&e))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| broken(&e))?;
    let talk = async {
        let response = sender.send_request(request).await.map_err(|e| broken(&e))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, ANSWER).collect().await;
        let body = body.map_err(|e| broken(&e))?.to_bytes();
        Ok(Response::from_parts(parts, body))
    };
    tokio::pin!(talk);
    tokio::select! {
        biased;
        answer = &mut talk => answer,
        // The connection may be over before its last answer was taken.
        _ = connection => talk.await,
    }
}
