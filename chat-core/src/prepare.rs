//! What is checked before a write goes to the store: sizes, rate, policy. Who may do what is decided there, not here.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{Change, Content, Data, Error, Limits, Write};

/// The keyed hash of what was submitted, if a retry is to be told from something else. Keyed, so that it tells nothing about a
/// text that was erased since.
pub(crate) fn digest(secret: &[u8; 32], write: &Write) -> Result<[u8; 16], Error> {
    if write.key.is_none() {
        return Ok([0; 16]);
    }
    let cannot = |error| Error::internal("a write cannot be encoded").with_source(error);
    let body = serde_json::to_vec(&(&write.target, &write.changes)).map_err(cannot)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret)
        .map_err(|_| Error::internal("the store's secret is unusable"))?;
    mac.update(&body);
    let full = mac.finalize().into_bytes();
    let mut digest = [0; 16];
    digest.copy_from_slice(&full[..16]);
    Ok(digest)
}

/// How many tokens of the message rate a write costs: one a message, one for any other change; marks cost nothing.
pub(crate) fn cost(write: &Write) -> f64 {
    let posts = write
        .changes
        .iter()
        .filter(|change| matches!(change, Change::Post { .. }))
        .count();
    if !write.changes.is_empty() && write.changes.iter().all(Change::is_mark) {
        0.0
    } else {
        f64::from(u32::try_from(posts.max(1)).unwrap_or(u32::MAX))
    }
}

/// Refuses what is too large, in words that say what to mend.
pub(crate) fn check_sizes(write: &Write, limits: &Limits) -> Result<(), Error> {
    if write.changes.len() > limits.changes {
        return Err(too_large("changes", limits.changes, "in one write"));
    }
    let mut added = 0;
    for change in &write.changes {
        match change {
            Change::Post {
                content, mentions, ..
            } => {
                check_content(content, limits)?;
                if mentions.len() > limits.mentions {
                    return Err(too_large("mentions", limits.mentions, "in one message"));
                }
            }
            Change::Edit { content, .. } => check_content(content, limits)?,
            Change::Create {
                title,
                data,
                members,
                ..
            } => {
                check_name(title.as_deref(), limits)?;
                check_data(data.as_ref(), limits)?;
                added += members.len();
            }
            Change::Configure { title, data, .. } => {
                check_name(title.as_deref(), limits)?;
                check_data(data.as_ref(), limits)?;
            }
            Change::Profile { name, data } => {
                check_name(name.as_deref(), limits)?;
                check_data(data.as_ref(), limits)?;
            }
            Change::Register { name } => check_name(Some(name), limits)?,
            Change::Add { .. } => added += 1,
            _ => {}
        }
    }
    if added > limits.added {
        return Err(too_large("members", limits.added, "added by one write"));
    }
    Ok(())
}

fn too_large(what: &str, limit: usize, of: &str) -> Error {
    Error::invalid(format!("at most {limit} {what} {of}"))
}

fn check_content(content: &Content, limits: &Limits) -> Result<(), Error> {
    if content.text.len() > limits.text {
        return Err(too_large("bytes", limits.text, "in a message's text"));
    }
    if content.text.contains('\0') {
        return Err(Error::invalid("a text holds no NUL character"));
    }
    check_data(content.data.as_ref(), limits)
}

fn check_data(data: Option<&Data>, limits: &Limits) -> Result<(), Error> {
    match data {
        Some(data) if data.json().len() > limits.data => {
            Err(too_large("bytes", limits.data, "of data"))
        }
        _ => Ok(()),
    }
}

fn check_name(name: Option<&str>, limits: &Limits) -> Result<(), Error> {
    match name {
        Some(name) if name.len() > limits.name => {
            Err(too_large("bytes", limits.name, "in a name or title"))
        }
        Some(name) if name.chars().any(char::is_control) => Err(Error::invalid(
            "a name or title holds no control characters",
        )),
        _ => Ok(()),
    }
}

/// Waits for a policy, but not for ever: what does not answer refuses.
pub(crate) async fn ask<T>(
    answer: impl Future<Output = Result<T, Error>>,
    timeout: Duration,
) -> Result<T, Error> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::unavailable(
            "the policy did not answer in time; nothing was written",
        )),
    }
}
