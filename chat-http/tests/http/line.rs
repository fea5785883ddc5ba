//! Sockets that the fan-out writes to by itself: what a peer reads, however slowly, is whole frames in order.

use std::time::Duration;

use chat_core::{Limits, Target, Write};
use chat_http::{HttpLimits, ServerLimits};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::client::{Host, Person, frames, masked, memory, soon};

/// A host that lets a peer be slow for as long as it likes.
fn patient(is_native: bool) -> Host {
    let mut limits = Limits::default();
    limits.message_rate = 0.0;
    limits.queue_items = 100_000;
    limits.queue_bytes = 256 << 20;
    let mut http = HttpLimits::default();
    http.strikes = u32::MAX;
    if !is_native {
        // Pings of the server among the frames. On `chat.v1` it is the client that has to be heard.
        http.ping_after = Duration::from_millis(50);
    }
    // The server's side holds little, too: writes are cut anywhere.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (listener, chat) = (socket.listen(8).unwrap(), memory(limits));
    let limits = ServerLimits::default();
    Host::on(listener, chat, |builder| builder.limits(http), limits)
}

/// A bare socket, past its handshake, over a stream that holds little; on `chat.v1` if asked.
async fn narrow(host: &Host, person: &Person, is_native: bool) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = soon(socket.connect(host.address)).await.unwrap();
    let protocol = if is_native {
        "sec-websocket-protocol: chat.v1\r\n"
    } else {
        ""
    };
    let request = format!(
        "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         authorization: Bearer {}\r\n{protocol}\r\n",
        person.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    stream
}

/// What a text frame tells: the text of a message.
fn text_of(payload: &[u8]) -> Option<String> {
    let frame: Value = serde_json::from_slice(payload).expect("a torn frame");
    let text = match frame.get("body") {
        Some(body) => &body["message"]["text"],
        None => &frame["content"],
    };
    text.as_str().map(str::to_owned)
}

/// Messages of all lengths to a peer that reads in fits and starts, and pings meanwhile; a stalled one and a quick one beside it.
async fn reads_all(is_native: bool) {
    const MESSAGES: u64 = 1500;
    let host = patient(is_native);
    let (ada, bob) = (host.person("ada").await, host.person("bob").await);
    let stalled = narrow(&host, &bob, is_native).await;
    let mut quick = host.live(&bob).await;
    let mut stream = narrow(&host, &bob, is_native).await;
    let (mut bytes, mut pings, mut expected) = (Vec::new(), 0u8, Vec::new());
    let mut dice = 1u64;
    let mut roll = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (dice >> 33) % sides
    };
    let mut space = vec![0; 60_000];
    for number in 0..MESSAGES {
        let length = if roll(4) == 0 { roll(8000) } else { roll(300) };
        let text = format!("{number} {}", "x".repeat(usize::try_from(length).unwrap()));
        let write = Write::post(ada.id, Target::Direct(ada.id, bob.id), text.as_str());
        host.chat.commit(write).await.unwrap();
        // Nobody waits for the slow ones.
        let told = quick.json().await;
        assert_eq!(told["content"], text.as_str());
        expected.push(text);
        if roll(50) == 0 {
            stream.write_all(&masked(0x89, &[pings])).await.unwrap();
            pings += 1;
        }
        // Mostly nothing, sometimes a little, now and then all there is.
        let most = match roll(60) {
            0 => space.len(),
            1..10 => usize::try_from(roll(3000)).unwrap(),
            _ => 0,
        };
        if let Ok(read) = stream.try_read(&mut space[..most]) {
            bytes.extend_from_slice(&space[..read]);
        }
    }
    let write = Write::post(ada.id, Target::Direct(ada.id, bob.id), "the last one");
    host.chat.commit(write).await.unwrap();
    expected.push("the last one".to_owned());
    let is_last = |part: &[u8]| part == b"the last one";
    while !bytes[bytes.len().saturating_sub(61_000)..]
        .windows(12)
        .any(is_last)
    {
        let read = soon(stream.read(&mut space)).await.unwrap();
        assert!(read > 0, "ended");
        bytes.extend_from_slice(&space[..read]);
    }
    stream
        .write_all(&masked(0x88, &1000u16.to_be_bytes()))
        .await
        .unwrap();
    soon(stream.read_to_end(&mut bytes)).await.unwrap();
    let (mut texts, mut pongs) = (Vec::new(), Vec::new());
    for (first, payload) in frames(&bytes) {
        match first {
            0x81 => texts.extend(text_of(&payload)),
            0x8a => pongs.push(payload),
            0x88 | 0x89 => {}
            other => panic!("no frame of ours begins with {other}"),
        }
    }
    assert_eq!(texts, expected);
    assert_eq!(pongs, (0..pings).map(|ping| vec![ping]).collect::<Vec<_>>());
    drop(stalled);
}

#[tokio::test]
async fn a_peer_reads_whole_frames_in_order() {
    reads_all(false).await;
}

#[tokio::test]
async fn a_native_peer_reads_whole_frames_in_order() {
    reads_all(true).await;
}
