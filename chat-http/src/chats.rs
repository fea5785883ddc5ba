//! Conversations, messages and users, as a viewer may see them. What decides is [`chat_core::Chat`].

use chat_core::{Actor, Change, Span, Target, Write};
use http::{Response, StatusCode};

use crate::body::Body;
use crate::problem::Problem;
use crate::query::{self, Query};
use crate::service::{Call, json};
use crate::wire::{ConversationBody, DoneBody, MessageBody, UserBody};

/// Messages of a page when nothing else is asked for.
const MESSAGES: usize = 50;
/// Conversations of a page when nothing else is asked for; no page is longer.
const CONVERSATIONS: usize = 100;

/// List one's conversations
///
/// The latest activity first.
#[utoipa::path(
    get, path = "/conversations/{id}", tag = "chat",
    params(
        ("id" = u64, Path, minimum = 1, description = "One's own user id."),
        ("before" = Option<String>, Query, description = "The `cursor` of an entry: list what comes after it."),
        ("limit" = Option<u64>, Query, minimum = 1, description = "How many at most; more than 100 means 100."),
    ),
    responses(
        (status = 200, description = "A page.", body = [ConversationBody<'static>]),
        (status = 403, description = "The id is another user's."),
        (status = 422, description = "The id or the query is not as documented."),
    )
)]
pub(crate) async fn conversations(
    call: &Call<'_>,
    query: &Query,
) -> Result<Response<Body>, Problem> {
    let identity = call.identity().await?;
    if query::user(call.param())? != identity.user {
        let detail = "these are not your conversations";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let limit = query.limit(CONVERSATIONS)?;
    let before = query.cursor()?;
    let page = call.inner.chat.inbox(identity.user, before, limit).await?;
    let page: Vec<_> = page.iter().map(ConversationBody::from).collect();
    Ok(json(StatusCode::OK, &page))
}

/// Read messages
///
/// The oldest first; without a query the latest page.
#[utoipa::path(
    get, path = "/messages/{id}", tag = "chat",
    params(
        ("id" = u64, Path, minimum = 1, description = "The conversation."),
        ("before" = Option<u64>, Query, description = "Only messages older than the one with this id."),
        ("after" = Option<u64>, Query, description = "Only messages newer than the one with this id."),
        ("limit" = Option<u64>, Query, minimum = 1, description = "How many at most: 50 unless told, no more than 100."),
    ),
    responses(
        (status = 200, description = "A page.", body = [MessageBody<'static>]),
        (status = 404, description = "There is no such conversation, or none the caller may see."),
        (status = 422, description = "The id or the query is not as documented."),
    )
)]
pub(crate) async fn messages(call: &Call<'_>, query: &Query) -> Result<Response<Body>, Problem> {
    let identity = call.identity().await?;
    let conversation = query::conversation(call.param())?;
    let span = match (query.seq("before")?, query.seq("after")?) {
        (None, None) => Span::Latest,
        (Some(seq), None) => Span::Before(seq),
        (None, Some(seq)) => Span::After(seq),
        (Some(_), Some(_)) => {
            let detail = "ask for messages `before` or `after` one, not both";
            return Err(Problem::field("before", detail));
        }
    };
    let limit = query.limit(MESSAGES)?;
    let chat = &call.inner.chat;
    let page = chat.history(identity.viewer(), conversation, span, limit);
    let page = page.await?;
    let page: Vec<_> = page.iter().map(MessageBody::from).collect();
    Ok(json(StatusCode::OK, &page))
}

/// Find users
///
/// By a part of the username, whatever its case. `%` and `_` are plain characters. The caller is left out.
#[utoipa::path(
    get, path = "/search-users", tag = "chat",
    params(("q" = String, Query, description = "A part of the username; nothing is found by an empty one.")),
    responses(
        (status = 200, description = "At most one page.", body = [UserBody<'static>]),
        (status = 422, description = "`q` is missing."),
        (status = 429, description = "Too many searches."),
    )
)]
pub(crate) async fn search_users(
    call: &Call<'_>,
    query: &Query,
) -> Result<Response<Body>, Problem> {
    let identity = call.identity().await?;
    let part = query.get("q")?;
    let part = part.ok_or_else(|| Problem::field("q", "`q` must be a part of a username"))?;
    let detail = "too many searches; wait a moment";
    call.inner.rates.search_user.check(identity.user, detail)?;
    let users = if part.trim().is_empty() {
        Vec::new()
    } else {
        call.inner.chat.find_users(part).await?
    };
    let others = users.iter().filter(|user| user.id != identity.user);
    let others: Vec<_> = others.map(UserBody::from).collect();
    Ok(json(StatusCode::OK, &others))
}

/// Remove a conversation from one's list
///
/// With its history, for oneself only: the others keep theirs. It comes back with the next message.
#[utoipa::path(
    delete, path = "/conversation/{id}", tag = "chat",
    params(("id" = u64, Path, minimum = 1, description = "The conversation.")),
    responses(
        (status = 200, description = "Removed.", body = DoneBody),
        (status = 403, description = "Sent by a page of another site."),
        (status = 404, description = "There is no such conversation, or none the caller may see."),
        (status = 422, description = "The id is not as documented."),
    )
)]
pub(crate) async fn delete_conversation(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let identity = call.identity().await?;
    let target = Target::Conversation(query::conversation(call.param())?);
    let actor = Actor::User(identity.user);
    let write = Write::new(actor, target, vec![Change::Hide]);
    call.inner.chat.commit(write).await?;
    let message = "The conversation was removed from your list.";
    Ok(json(StatusCode::OK, &DoneBody { message }))
}
