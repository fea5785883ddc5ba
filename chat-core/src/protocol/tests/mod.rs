//! The golden frames, which clients in other languages are written against: read, and written again as they were.

mod sessions;
mod transcripts;

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::MAX_ID;

const CLIENT: &str = include_str!("../../../../docs/protocol/client-frames.json");
const SERVER: &str = include_str!("../../../../docs/protocol/server-frames.json");
const REFUSED: &str = include_str!("../../../../docs/protocol/refused-frames.json");

#[derive(serde::Deserialize)]
struct Golden {
    name: String,
    frame: Value,
}

fn goldens(text: &str) -> Vec<Golden> {
    serde_json::from_str(text).unwrap()
}

fn words(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_client_frame_has_a_golden_one() {
    let mut seen = BTreeSet::new();
    for golden in goldens(CLIENT) {
        let (reference, frame) = Request::decode(&golden.frame.to_string())
            .unwrap_or_else(|bad| panic!("{}: {bad:?}", golden.name));
        let again: Value = serde_json::from_str(&frame.encode(reference.as_ref())).unwrap();
        assert_eq!(again, golden.frame, "{}", golden.name);
        seen.insert(frame.word().to_owned());
    }
    assert_eq!(seen, words(Request::TYPES));
}

#[test]
fn every_server_frame_kind_and_reply_has_a_golden_one() {
    let (mut types, mut kinds, mut replies) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for golden in goldens(SERVER) {
        let text = golden.frame.to_string();
        let (reference, frame) =
            ServerFrame::decode(&text).unwrap_or_else(|error| panic!("{}: {error}", golden.name));
        let again: Value = serde_json::from_slice(&frame.encode(reference.as_ref())).unwrap();
        assert_eq!(again, golden.frame, "{}", golden.name);
        types.insert(frame.word().to_owned());
        let kind = golden.frame["body"]["kind"].as_str().map(str::to_owned);
        match frame {
            ServerFrame::Event(_) => kinds.extend(kind),
            ServerFrame::Reply(_) => replies.extend(kind),
            _ => {}
        }
    }
    assert_eq!(types, words(ServerFrame::TYPES));
    assert_eq!(kinds, words(What::KINDS));
    assert_eq!(replies, words(Reply::KINDS));
}

#[test]
fn clients_pass_over_what_they_do_not_know() {
    let decode = |text: &str| ServerFrame::decode(text).unwrap().1;
    assert_eq!(
        decode(r#"{"type":"later","body":[1]}"#),
        ServerFrame::Unknown
    );
    let event = r#"{"type":"event","new":1,"body":{"log":{"user":3},"seq":4,"kind":"later","at":"2026-11-22T16:40:00Z","actor":null,"x":[]}}"#;
    let ServerFrame::Event(event) = decode(event) else {
        panic!("not an event")
    };
    assert_eq!((event.seq, &event.what), (4, &What::Unknown));
    assert!(event.by.is_some());
    let reply = decode(r#"{"type":"reply","ref":1,"body":{"kind":"later","x":1}}"#);
    assert_eq!(reply, ServerFrame::Reply(Reply::Unknown));
    let error = decode(r#"{"type":"error","body":{"code":"later","detail":"?","x":1}}"#);
    let ServerFrame::Error(error) = error else {
        panic!("not an error")
    };
    assert_eq!(error.code, Code::Unknown);
}

/// What is refused, and in which words.
#[test]
fn bad_frames_are_refused_by_field() {
    #[derive(serde::Deserialize)]
    struct Refused {
        text: String,
        error: ErrorBody,
        r#ref: Option<Ref>,
    }
    let all: Vec<Refused> = serde_json::from_str(REFUSED).unwrap();
    assert!(all.len() > 30);
    for case in all {
        let bad = Request::decode(&case.text).expect_err(&case.text);
        assert_eq!(bad.error, case.error, "{}", case.text);
        assert_eq!(bad.reference, case.r#ref, "{}", case.text);
    }
}

#[test]
fn data_is_kept_as_it_came() {
    let text = r#"{"type":"post","body":{"key":"01990000000070008000000000000001","to":{"user":2},"text":"","data":{"b":1.0,"a":[1e2, 10000000000000000000000]}}}"#;
    let (_, frame) = Request::decode(text).unwrap();
    let Request::Post(post) = &frame else {
        panic!("not a post")
    };
    let data = r#"{"b":1.0,"a":[1e2, 10000000000000000000000]}"#;
    assert_eq!(post.data.as_ref().unwrap().json(), data);
    assert!(frame.encode(None).contains(data));
}

#[test]
fn data_that_some_reader_could_not_take_is_refused() {
    let post = |data: &str| {
        let text = format!(
            r#"{{"type":"post","ref":7,"body":{{"key":"01990000000070008000000000000001","to":{{"user":2}},"text":"a","data":{data}}}}}"#
        );
        Request::decode(&text)
    };
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(post(&nested(100)).is_ok());
    assert!(post(r#""[[[\"[[[""#).is_ok());
    for bad in [
        nested(101).as_str(),
        &nested(30_000),
        "1e999",
        r#"{"a":-1e400}"#,
        r#""\ud800""#,
    ] {
        let refused = post(bad).expect_err(bad);
        assert_eq!(refused.error.field.as_deref(), Some("data"));
        assert_eq!(refused.reference, Some(Ref::Integer(7)));
    }
}

#[test]
fn keys_are_uuids_of_version_7() {
    let text = "01990000-0000-7000-8000-00000000000a";
    let key = WriteKey::parse(text).unwrap();
    assert_eq!(key.to_string(), text);
    assert_eq!(
        WriteKey::parse(&text.replace('-', "").to_uppercase()),
        Some(key)
    );
    for bad in [
        "",
        "01990000-0000-4000-8000-00000000000a",
        "01990000-0000-7000-0000-00000000000a",
        "01990000-0000-7000-8000-00000000000",
        "0199000000-00-7000-8000-00000000000a",
        "01990000-0000-7000-8000-00000000000g",
        "019900000000700080000000000000ä",
    ] {
        assert_eq!(WriteKey::parse(bad), None, "{bad}");
    }
    let new = WriteKey::generate();
    assert_eq!(WriteKey::parse(&new.to_string()), Some(new));
}

#[test]
fn times_have_milliseconds() {
    let text = |millis| Time(crate::Timestamp::from_millis(millis)).to_string();
    assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
    assert_eq!(text(1_795_365_600_100), "2026-11-22T16:40:00.100Z");
    assert_eq!(text(i64::MAX), "1970-01-01T00:00:00.000Z");
    let read = |text: &str| {
        serde_json::from_str::<Time>(text)
            .map(|time| time.0.millis())
            .ok()
    };
    assert_eq!(read(r#""2026-11-22T16:40:00.1Z""#), Some(1_795_365_600_100));
    assert_eq!(
        read(r#""2026-11-22T17:40:00.1+01:00""#),
        Some(1_795_365_600_100)
    );
    for bad in [
        r#""""#,
        r#""2026-11-22""#,
        "5",
        "null",
        r#""2026-13-22T17:40:00Z""#,
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

#[test]
fn no_integer_loses_a_digit() {
    let log = |after: u64| {
        let text = format!(r#"{{"type":"log","body":{{"log":{{"user":3}},"after":{after}}}}}"#);
        Request::decode(&text)
    };
    assert!(log(MAX_ID).is_ok());
    let bad = log(MAX_ID + 1).unwrap_err();
    assert_eq!(bad.error.field.as_deref(), Some("after"));
}

#[test]
fn sentences_begin_and_end_like_sentences() {
    assert_eq!(sentence("the name is taken"), "The name is taken.");
    assert_eq!(sentence("`q` must be a text"), "`q` must be a text.");
    assert_eq!(sentence("Done."), "Done.");
    assert_eq!(sentence(""), ".");
}
