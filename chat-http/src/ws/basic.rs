//! The basic profile: what a socket speaks when no subprotocol was asked for. In: messages to post. Out: messages posted,
//! and what was wrong with a frame. Nothing else, as old clients show whatever carries a `conversation_id`.

use std::cell::RefCell;
use std::task::{Context, Poll};

use bytes::Bytes;
use chat_core::protocol::{Close, Outgoing, Ref, sentence};
use chat_core::{
    Actor, Change, Closed, Connection, ConversationId, Delivery, Error, ErrorKind, Event,
    EventKind, Format, Item, LogId, Target, UserId, Write,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::frame;
use crate::problem::{log_internal, table};
use crate::wire::{ErrorFrame, MessageFrame};

/// Characters of a [`Ref`].
const REF: usize = 64;

thread_local! {
    /// What a connection hands over is passed on within one poll: one vector for all sockets of a thread.
    static ITEMS: RefCell<Vec<Item>> = const { RefCell::new(Vec::new()) };
}

/// One client of this profile. Texts go in, whole frames come out.
pub(super) struct Basic {
    me: UserId,
    /// `None` once it is over.
    connection: Option<Connection>,
    format: Format,
    /// Writes handed in so far, …
    submitted: u64,
    /// … those without an outcome yet, …
    in_flight: usize,
    /// … how many of these there may be, …
    in_flight_limit: usize,
    /// … and what the client calls those it named.
    refs: Vec<(u64, Ref)>,
}

impl Basic {
    pub(super) const fn new(
        me: UserId,
        connection: Connection,
        format: Format,
        in_flight_limit: usize,
    ) -> Self {
        Self {
            me,
            connection: Some(connection),
            format,
            submitted: 0,
            in_flight: 0,
            in_flight_limit,
            refs: Vec::new(),
        }
    }

    /// Whether a frame may be handed in now.
    pub(super) const fn may_receive(&self) -> bool {
        self.in_flight < self.in_flight_limit
    }

    /// Takes a frame of the client.
    pub(super) fn receive(&mut self, text: &str, out: &mut Outgoing) {
        let Some(connection) = &self.connection else {
            return;
        };
        match decode(self.me, text) {
            Ok((write, reference)) => {
                let number = self.submitted;
                self.submitted += 1;
                match connection.submit(number, write) {
                    Ok(()) => {
                        self.in_flight += 1;
                        self.refs.extend(reference.map(|named| (number, named)));
                    }
                    Err(error) => refuse(&error, reference.as_ref(), out),
                }
            }
            Err((error, reference)) => {
                refuse(&error, reference.as_ref(), out);
                out.strikes += 1;
            }
        }
    }

    /// Takes what the connection has. Pending when there was nothing.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, out: &mut Outgoing) -> Poll<()> {
        let Some(connection) = &mut self.connection else {
            return Poll::Pending;
        };
        let mut items = ITEMS.take();
        let ready = connection.poll_drain(cx, &mut items);
        for item in items.drain(..) {
            self.item(item, out);
        }
        ITEMS.set(items);
        ready
    }

    fn item(&mut self, item: Item, out: &mut Outgoing) {
        if self.connection.is_none() {
            return;
        }
        match item {
            Item::Event(delivery) => out.frames.extend(event(&delivery, self.format)),
            // Not told in this profile.
            Item::Hidden(_)
            | Item::Live { .. }
            | Item::Signal(_)
            | Item::Receipt(_)
            | Item::Presence(_) => {}
            Item::Done { reference, .. } => {
                self.settle(reference);
            }
            Item::Refused { reference, error } => {
                let named = self.settle(reference);
                refuse(&error, named.as_ref(), out);
            }
            Item::Resync { .. } => self.end(Close::RESUME, out),
            Item::Closed(why) => {
                if why == Closed::Slow {
                    // It did not take what waits; what it loads afresh holds that too.
                    out.frames.clear();
                    out.forget = true;
                }
                self.end(why.into(), out);
            }
        }
    }

    /// A write has its outcome: what its client called it.
    fn settle(&mut self, number: u64) -> Option<Ref> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let at = self.refs.iter().position(|(known, _)| *known == number)?;
        let (_, named) = self.refs.swap_remove(at);
        if self.refs.is_empty() {
            self.refs = Vec::new();
        }
        Some(named)
    }

    fn end(&mut self, why: Close, out: &mut Outgoing) {
        self.connection = None;
        out.close = Some(why);
    }
}

fn refuse(told: &Error, reference: Option<&Ref>, out: &mut Outgoing) {
    out.frames.push(error(told, reference));
    if told.kind() == ErrorKind::RateLimited {
        out.strikes += 1;
    }
}

/// A frame of the client: posts a message.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Raw` reads in two steps")]
pub(crate) struct SendFrame {
    /// To whom, when `conversation_id` is null: the direct conversation is found or made. Ignored with an id.
    #[schema(minimum = 1, example = 2)]
    to: Option<u64>,
    /// Where.
    #[schema(minimum = 1)]
    conversation_id: Option<u64>,
    /// Plain text.
    #[schema(example = "hello")]
    content: String,
    /// Comes back in the error frame about this frame.
    r#ref: Option<Ref>,
}

/// A frame in its first step: each field is read by itself, so that an error can say which one is wrong.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default)]
    to: Option<&'a RawValue>,
    #[serde(borrow, default)]
    conversation_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    r#ref: Option<&'a RawValue>,
}

/// What is wrong with a frame, and the `ref` it had.
type Bad = (Error, Option<Ref>);

/// Reads a frame of a user.
fn decode(me: UserId, text: &str) -> Result<(Write, Option<Ref>), Bad> {
    let whole = "a frame must be one JSON object with `to` or `conversation_id`, and `content`";
    // Serde takes a list for a struct, too.
    let raw = Some(text).filter(|text| text.trim_ascii_start().starts_with('{'));
    let raw: Option<Raw<'_>> = raw.and_then(|text| serde_json::from_str(text).ok());
    let raw = raw.ok_or_else(|| (Error::invalid(whole), None))?;
    let reference: Option<Ref> = read(
        raw.r#ref,
        "`ref` must be an integer or a string of at most 64 characters",
    )
    .map_err(|error| (error, None))?;
    if let Some(Ref::Text(text)) = &reference
        && text.chars().count() > REF
    {
        let detail = "`ref` must not be longer than 64 characters";
        return Err((Error::invalid(detail), None));
    }
    match write(me, &raw) {
        Ok(write) => Ok((write, reference)),
        Err(error) => Err((error, reference)),
    }
}

fn write(me: UserId, raw: &Raw<'_>) -> Result<Write, Error> {
    let detail = "`conversation_id` must be null or an integer from 1 to 2^53-1";
    let conversation: Option<ConversationId> = read(raw.conversation_id, detail)?;
    let target = match conversation {
        Some(conversation) => Target::Conversation(conversation),
        None => {
            let detail = "`to` must be a user's id while `conversation_id` is null";
            let to = read(raw.to, detail)?.ok_or_else(|| Error::invalid(detail))?;
            Target::Direct(me, to)
        }
    };
    let detail = "`content` must be a string";
    let content: Option<String> = read(raw.content, detail)?;
    let content = content.ok_or_else(|| Error::invalid(detail))?;
    // A client of this profile has no key to name again.
    Ok(Write {
        actor: Actor::User(me),
        target,
        key: None,
        changes: vec![Change::post(content)],
    })
}

/// A field in its second step.
fn read<'a, T: Deserialize<'a>>(
    raw: Option<&'a RawValue>,
    detail: &'static str,
) -> Result<Option<T>, Error> {
    let value = raw.map(|raw| serde_json::from_str(raw.get()));
    value.transpose().map_err(|_| Error::invalid(detail))
}

/// The frame of an event, encoded by the first socket that asks; `None` for what this profile does not tell.
pub(super) fn event(delivery: &Delivery, format: Format) -> Option<Bytes> {
    let event = &delivery.event;
    let is_told = matches!(event.kind, EventKind::Posted) && event.message.is_some();
    let is_told = is_told && matches!(event.log, LogId::Conversation(_));
    is_told.then(|| delivery.frame(format, encode))
}

fn encode(event: &Event) -> Bytes {
    let frame = event.message.as_ref().map(MessageFrame::from);
    // Strings, numbers and JSON that was read before: always serializes.
    frame::text(&serde_json::to_vec(&frame).unwrap_or_default())
}

/// The frame about a frame.
fn error(error: &Error, reference: Option<&Ref>) -> Bytes {
    if error.kind() == ErrorKind::Internal {
        log_internal(error);
    }
    let wait = error.retry_after().map(|wait| wait.as_millis());
    let frame = ErrorFrame {
        r#type: "error",
        code: table(error.kind()).1,
        detail: sentence(&error.to_string()).into(),
        r#ref: reference,
        retry_after_ms: wait.map(|millis| u64::try_from(millis).unwrap_or(u64::MAX)),
    };
    frame::text(&serde_json::to_vec(&frame).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn me() -> UserId {
        UserId::new(1).unwrap()
    }

    fn detail(text: &str) -> (String, Option<Ref>) {
        let (error, reference) = decode(me(), text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        (error.to_string(), reference)
    }

    #[test]
    fn a_frame_says_where() {
        let target = |text: &str| decode(me(), text).unwrap().0.target;
        let two = UserId::new(2).unwrap();
        let direct = Target::Direct(me(), two);
        assert_eq!(
            target(r#"{"to":2,"conversation_id":null,"content":"a"}"#),
            direct
        );
        assert_eq!(target(r#"{"to":2,"content":"a"}"#), direct);
        let seven = Target::Conversation(ConversationId::new(7).unwrap());
        assert_eq!(
            target(r#"{"to":2,"conversation_id":7,"content":"a"}"#),
            seven
        );
        assert_eq!(
            target(r#"{"to":"?","conversation_id":7,"content":"a"}"#),
            seven
        );
        assert_eq!(
            target(r#" {"id":9,"sender_id":3,"conversation_id":7,"content":"a","to":[]} "#),
            seven
        );
    }

    #[test]
    fn a_frame_keeps_its_ref() {
        let reference = |text: &str| decode(me(), text).unwrap().1;
        assert_eq!(
            reference(r#"{"to":2,"content":"a","ref":-3}"#),
            Some(Ref::Integer(-3))
        );
        assert_eq!(
            reference(r#"{"to":2,"content":"a","ref":"\u00e4"}"#),
            Some(Ref::Text("ä".to_owned()))
        );
        assert_eq!(reference(r#"{"to":2,"content":"a","ref":null}"#), None);
        assert_eq!(
            detail(r#"{"to":0,"content":"a","ref":5}"#).1,
            Some(Ref::Integer(5))
        );
    }

    #[test]
    fn bad_frames_say_which_field() {
        let deep = format!(
            r#"{{"to":2,"content":{}1{}}}"#,
            "[".repeat(20_000),
            "]".repeat(20_000)
        );
        for (text, field) in [
            ("", "JSON object"),
            ("null", "JSON object"),
            ("[]", "JSON object"),
            ("\"a\"", "JSON object"),
            (r#"{"to":2,"content":"a"} x"#, "JSON object"),
            (r#"{"to":2,"content":"a"}{}"#, "JSON object"),
            (r#"{"to":2,"content":"a","content":"b"}"#, "JSON object"),
            (r#"{"to":2,"content":"a","x":NaN}"#, "JSON object"),
            (r#"{"content":"a"}"#, "`to`"),
            (r#"{"to":0,"content":"a"}"#, "`to`"),
            (r#"{"to":-1,"content":"a"}"#, "`to`"),
            (r#"{"to":1.0,"content":"a"}"#, "`to`"),
            (r#"{"to":1e999,"content":"a"}"#, "`to`"),
            (r#"{"to":"2","content":"a"}"#, "`to`"),
            (r#"{"to":9007199254740992,"content":"a"}"#, "`to`"),
            (
                r#"{"conversation_id":0,"content":"a"}"#,
                "`conversation_id`",
            ),
            (
                r#"{"conversation_id":"7","content":"a"}"#,
                "`conversation_id`",
            ),
            (r#"{"to":2}"#, "`content`"),
            (r#"{"to":2,"content":null}"#, "`content`"),
            (r#"{"to":2,"content":5}"#, "`content`"),
            (r#"{"to":2,"content":"\ud800"}"#, "`content`"),
            (r#"{"to":2,"content":"a","ref":1.5}"#, "`ref`"),
            (r#"{"to":2,"content":"a","ref":1e999}"#, "`ref`"),
            (r#"{"to":2,"content":"a","ref":{}}"#, "`ref`"),
            (deep.as_str(), "`content`"),
        ] {
            let said = detail(text).0;
            let shown: String = text.chars().take(80).collect();
            assert!(said.contains(field), "{shown}: {said}");
        }
        let long = format!(r#"{{"to":2,"content":"a","ref":"{}"}}"#, "ä".repeat(65));
        assert_eq!(detail(&long).1, None);
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in ".*") {
            if let Err((bad, reference)) = decode(me(), &text) {
                prop_assert!(!error(&bad, reference.as_ref()).is_empty());
            }
        }

        #[test]
        fn any_json_gets_an_answer(to in ".{0,8}", id in ".{0,8}", content in ".{0,8}", name in ".{0,8}") {
            let text = format!(r#"{{"to":{to},"conversation_id":{id},"content":{content},"ref":{name}}}"#);
            if let Err((bad, reference)) = decode(me(), &text) {
                prop_assert!(!error(&bad, reference.as_ref()).is_empty());
            }
        }
    }
}
