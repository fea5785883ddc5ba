//! When a client tries again, how long it waits, and when it stops.

use std::time::Duration;

use chat_core::Timestamp;
use chat_core::protocol::{Drain, Hello, Ref, Request, ServerFrame};

use super::super::{Config, Machine, Output};
use crate::Error;
use crate::error::Failure;
use crate::events::Incoming;
use crate::options::{Backoff, Room};

const HELLO: &str = r#"{"type":"hello","body":{"version":1,"server":"s","user":3,"features":["post","heads","ping","renew"],
    "limits":{"frame":1024,"text":8192,"data":8192,"name":256,"added":100,"mentions":50,"page":100,"cursors":500,"in_flight":64},
    "heartbeat_ms":1000,"expires_at":"1970-01-01T00:01:40.000Z"}}"#;

fn machine(renewable: bool) -> Machine {
    Machine::new(Config {
        backoff: Backoff::default(),
        outbox: Room {
            items: 2,
            bytes: 4096,
        },
        cursors: Vec::new(),
        token: (!renewable).then(|| "token".to_owned()),
        renewable,
        seed: 1,
    })
}

fn frame(machine: &mut Machine, text: &str, now: u64) {
    let (reference, frame) = ServerFrame::decode(text).unwrap();
    machine.frame(reference, frame, Timestamp::from_millis(0), now);
}

/// A machine with an open socket that was greeted at 0.
fn live(renewable: bool) -> Machine {
    let mut machine = machine(renewable);
    machine.tick(0);
    if renewable {
        machine.token(Ok("token".to_owned()), 0);
    }
    machine.opened(0);
    frame(&mut machine, HELLO, 0);
    machine.outputs();
    machine
}

fn post(text: &str) -> Request {
    let text = format!(
        r#"{{"type":"post","body":{{"key":"01990000-0000-7000-8000-000000000001","to":{{"conversation":5}},"text":"{text}"}}}}"#
    );
    Request::decode(&text).unwrap().1
}

fn retry_in(machine: &mut Machine) -> Option<Duration> {
    machine
        .outputs()
        .into_iter()
        .find_map(|output| match output {
            Output::Emit(Incoming::Disconnected { retry_in, .. }, _) => Some(retry_in),
            _ => None,
        })
}

fn sent(machine: &mut Machine) -> Vec<(Option<Ref>, Request)> {
    let outputs = machine.outputs().into_iter();
    let sent = outputs.filter_map(|output| match output {
        Output::Send(text) => Some(Request::decode(&text).unwrap()),
        _ => None,
    });
    sent.collect()
}

fn stopped(machine: &mut Machine) -> Option<Error> {
    machine
        .outputs()
        .into_iter()
        .find_map(|output| match output {
            Output::Stopped(why) => Some(why),
            _ => None,
        })
}

#[test]
fn waits_grow_at_random_up_to_a_bound() {
    let mut machine = machine(false);
    let mut longest = Duration::ZERO;
    let mut different = std::collections::HashSet::new();
    let mut now = 0;
    for failures in 0..40_u32 {
        machine.tick(now);
        let error = Error::Unreachable(String::new());
        machine.open_failed(Failure::Again(error, None), now);
        let wait = retry_in(&mut machine).unwrap();
        let bound = Duration::from_millis(500 << failures.min(10)).min(Duration::from_secs(30));
        assert!(wait <= bound, "{wait:?} after {failures}");
        longest = longest.max(wait);
        different.insert(wait);
        now = machine.wake().unwrap();
    }
    assert!(longest > Duration::from_secs(15) && different.len() > 30);
}

#[test]
fn a_server_that_stops_says_when_to_come_back() {
    let mut machine = live(false);
    let reconnect_in_ms = 1_800;
    let drain = ServerFrame::Drain(Drain { reconnect_in_ms });
    machine.frame(None, drain, Timestamp::from_millis(0), 5);
    machine.closed(Some((1001, "drain".to_owned())), 10);
    assert_eq!(retry_in(&mut machine), Some(Duration::from_millis(1_800)));
    assert_eq!(machine.wake(), Some(1_810));
}

#[test]
fn close_codes_say_what_next() {
    for code in [1000, 1002, 1003, 1007, 1009, 4009, 4029] {
        let mut machine = live(true);
        machine.closed(Some((code, String::new())), 1);
        let why = stopped(&mut machine);
        assert!(matches!(why, Some(Error::Ended { code: told, .. }) if told == code));
        assert!(machine.write(post("late"), 2).is_err());
    }
    for code in [1001, 1006, 1011, 1012, 4000, 4008, 4999] {
        let mut machine = live(false);
        machine.closed(Some((code, String::new())), 1);
        machine.tick(machine.wake().unwrap());
        let outputs = machine.outputs();
        let opens = |output: &Output| matches!(output, Output::Open(token) if token == "token");
        assert!(outputs.iter().any(opens), "{code}: {outputs:?}");
    }
    // A fresh token, where there is a way to get one.
    let mut machine = live(true);
    machine.closed(Some((1008, String::new())), 1);
    machine.tick(machine.wake().unwrap());
    let outputs = machine.outputs();
    assert!(matches!(outputs.last(), Some(Output::Token)), "{outputs:?}");
    let mut machine = live(false);
    machine.closed(Some((1008, String::new())), 1);
    assert!(matches!(stopped(&mut machine), Some(Error::Login(_))));
    // The host brought one meanwhile.
    let mut machine = live(false);
    machine.renew("fresh".to_owned(), 1);
    machine.closed(Some((1008, String::new())), 1);
    machine.tick(machine.wake().unwrap());
    let outputs = machine.outputs();
    assert!(matches!(outputs.last(), Some(Output::Open(token)) if token == "fresh"));
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    let mut machine = live(true);
    frame(&mut machine, r#"{"type":"pong","body":{}}"#, 79_000);
    machine.tick(79_000);
    assert!(
        !machine
            .outputs()
            .iter()
            .any(|output| matches!(output, Output::Token))
    );
    frame(
        &mut machine,
        r#"{"type":"signal","body":{"conversation":5,"user":7,"kind":"typing"}}"#,
        80_000,
    );
    machine.tick(80_000);
    let outputs = machine.outputs();
    assert!(outputs.iter().any(|output| matches!(output, Output::Token)));
    machine.token(Ok("fresh".to_owned()), 80_001);
    let sent = sent(&mut machine);
    assert!(matches!(&sent[..], [(_, Request::Renew(renew))] if renew.token == "fresh"));
}

#[test]
fn a_silent_server_is_left() {
    let mut machine = live(false);
    machine.tick(1_000);
    assert!(matches!(&sent(&mut machine)[..], [(_, Request::Ping(_))]));
    machine.tick(1_999);
    assert!(machine.outputs().is_empty());
    machine.tick(2_000);
    assert!(retry_in(&mut machine).is_some());
    // One that does not even greet, too.
    let mut machine = super::retry::machine(false);
    machine.tick(0);
    machine.opened(0);
    machine.outputs();
    machine.tick(machine.wake().unwrap());
    assert!(retry_in(&mut machine).is_some());
}

#[test]
fn a_patient_write_goes_again_with_its_key() {
    let mut machine = live(false);
    machine.write(post("hello"), 10).unwrap();
    let first = sent(&mut machine).remove(0);
    let ticket = match &first.0 {
        Some(Ref::Integer(ticket)) => *ticket,
        other => panic!("{other:?}"),
    };
    let error = format!(
        r#"{{"type":"error","ref":{ticket},"body":{{"code":"rate_limited","detail":"Wait.","retry_after_ms":300}}}}"#
    );
    frame(&mut machine, &error, 100);
    assert!(machine.outputs().is_empty());
    assert_eq!(machine.wake(), Some(400));
    machine.tick(400);
    assert_eq!(sent(&mut machine), vec![first]);
    // Refused for good.
    let error = format!(
        r#"{{"type":"error","ref":{ticket},"body":{{"code":"forbidden","detail":"No."}}}}"#
    );
    frame(&mut machine, &error, 500);
    let outputs = machine.outputs();
    assert!(matches!(
        &outputs[..],
        [Output::Done(_, Err(Error::Refused(_)))]
    ));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let mut machine = live(false);
    // Not offered; too large; more than there is room for.
    machine.call(Request::Inbox(Default::default()), 1).unwrap();
    let outputs = machine.outputs();
    assert!(matches!(
        &outputs[..],
        [Output::Done(_, Err(Error::NotOffered("inbox")))]
    ));
    machine.write(post(&"x".repeat(1024)), 1).unwrap();
    let outputs = machine.outputs();
    assert!(matches!(
        &outputs[..],
        [Output::Done(_, Err(Error::TooLarge { limit: 1024 }))]
    ));
    assert_eq!(machine.write(post(&"x".repeat(4096)), 1), Err(Error::Full));
    machine.write(post("1"), 1).unwrap();
    machine.write(post("2"), 1).unwrap();
    assert_eq!(machine.write(post("3"), 1), Err(Error::Full));
    let ping = Request::Ping(Default::default());
    assert!(matches!(
        machine.write(ping.clone(), 1),
        Err(Error::Invalid(_))
    ));
    assert!(matches!(machine.call(ping, 1), Err(Error::Invalid(_))));
}

#[test]
fn a_frame_that_cannot_be_read_ends_the_session_only() {
    let mut machine = live(false);
    machine.unreadable("no JSON", 1);
    assert!(retry_in(&mut machine).is_some());
    // Another user by a fresh token ends all.
    machine.tick(machine.wake().unwrap());
    let now = 10_000;
    machine.opened(now);
    let (_, hello) = ServerFrame::decode(HELLO).unwrap();
    let ServerFrame::Hello(hello) = hello else {
        panic!("no hello")
    };
    let user = chat_core::UserId::new(4).unwrap();
    let hello = ServerFrame::Hello(Hello { user, ..hello });
    machine.frame(None, hello, Timestamp::from_millis(0), now);
    assert!(matches!(stopped(&mut machine), Some(Error::Login(_))));
}
