//! What no client should send: each gets a 4xx with a sentence, an error frame, or a close code. Never 500 or silence.

use chat_http::{HttpLimits, ServerLimits};
use proptest::prelude::*;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Host, Person, Reply, Socket, code, masked, read_frames, soon};

fn raw_post(path: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend(body);
    bytes
}

#[tokio::test]
async fn bodies() {
    let host = Host::start().await;
    let deep = "[".repeat(60_000);
    let deep_field = format!(r#"{{"username":{deep}"#);
    for (body, status) in [
        (&b""[..], 400),
        (b"{", 400),
        (b"nonsense", 400),
        (br#"{"username":"ada","password":"secret phrase"} x"#, 400),
        (br#"{"username":"ada","password":"secret phrase"}{}"#, 400),
        (b"{\"username\":\"ada\",\"password\":\"\xff\xfe\"}", 400),
        (b"\xef\xbb\xbf{}", 400),
        (br#"{"username":"\ud800","password":"secret phrase"}"#, 400),
        (br#"{"username":NaN,"password":"secret phrase"}"#, 400),
        (
            br#"{"username":"ada","password":"secret phrase","x":1e}"#,
            400,
        ),
        (deep.as_bytes(), 400),
        (deep_field.as_bytes(), 422),
        (b"null", 400),
        (b"[]", 400),
        (br#"["ada","secret phrase"]"#, 400),
        (b"{}", 422),
        (br#"{"username":"ada"}"#, 422),
        (br#"{"username":1e999,"password":"secret phrase"}"#, 400),
        (br#"{"username":1,"password":"secret phrase"}"#, 422),
        (
            br#"{"username":"ada","username":"bob","password":"secret phrase"}"#,
            422,
        ),
        (br#"{"username":null,"password":"secret phrase"}"#, 422),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = host
            .raw(&raw_post("/register", "application/json", body))
            .await;
        let reply = Reply::parse(&answer);
        assert!((400..500).contains(&reply.status), "{shown}: {answer}");
        reply.problem(reply.status);
        assert_eq!(reply.status, status, "{shown}: {answer}");
        assert!(
            !answer.contains("secret phrase") && !answer.contains("ada"),
            "{shown}: {answer}"
        );
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "",
        "multipart/form-data",
    ] {
        let body = br#"{"username":"ada","password":"secret phrase"}"#;
        let answer = host.raw(&raw_post("/login", kind, body)).await;
        Reply::parse(&answer).problem(415);
    }
    let answer = host
        .raw(b"POST /login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")
        .await;
    Reply::parse(&answer).problem(415);
    let fine = raw_post(
        "/register",
        "Application/JSON; charset=utf-8",
        br#"{"username":"ada","password":"secret phrase"}"#,
    );
    assert_eq!(Reply::parse(&host.raw(&fine).await).status, 201);
}

#[tokio::test]
async fn long_bodies() {
    let host = Host::start().await;
    let long = vec![b' '; 70_000];
    Reply::parse(
        &host
            .raw(&raw_post("/login", "application/json", &long))
            .await,
    )
    .problem(413);
    // Says so before it sends any: answered at once.
    let claims = b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n";
    Reply::parse(&host.raw(claims).await).problem(413);
    let mut chunked = b"POST /login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..20 {
        chunked.extend(b"1000\r\n");
        chunked.extend([b' '; 0x1000]);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    Reply::parse(&host.raw(&chunked).await).problem(413);
    let long_password = json!({"username": "ada", "password": "x".repeat(60_000)});
    let reply = host.post("/login", long_password).await;
    assert!((400..500).contains(&reply.status), "{}", reply.status);
}

#[tokio::test]
async fn slow_heads_and_bodies_are_cut() {
    let mut limits = HttpLimits::default();
    limits.body_time = std::time::Duration::from_millis(200);
    let mut server = ServerLimits::default();
    server.head_time = std::time::Duration::from_millis(200);
    let host = Host::with(|builder| builder.limits(limits), server).await;
    let half = b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
    Reply::parse(&host.raw(half).await).problem(408);
    // Nobody to tell: the connection ends.
    assert_eq!(host.raw(b"GET /healthz HTTP/1.1\r\nhost").await, "");
    assert_eq!(host.raw(b"").await, "");
}

#[tokio::test]
async fn long_heads() {
    let host = Host::start().await;
    let path = format!("/search-users?q={}", "a".repeat(9000));
    host.call("GET", &path).send().await.problem(414);
    let mut many = host.call("GET", "/healthz");
    for number in 0..120 {
        many = many.header(&format!("x-{number}"), "1");
    }
    many.send().await.problem(431);

    let huge = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(1 << 20));
    Reply::parse(&host.raw(huge.as_bytes()).await).problem(431);
    let headers: String = (0..5000)
        .map(|number| format!("x-{number}: 1\r\n"))
        .collect();
    let many = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    Reply::parse(&host.raw(many.as_bytes()).await).problem(431);
    let path = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(65_535));
    let answer = Reply::parse(&host.raw(path.as_bytes()).await);
    answer.problem(answer.status);
    assert!(matches!(answer.status, 414 | 431), "{}", answer.status);
    // The server is as good as before.
    assert_eq!(host.call("GET", "/healthz").send().await.status, 200);
}

#[tokio::test]
async fn requests_cannot_be_smuggled() {
    let mut limits = ServerLimits::default();
    limits.head_time = std::time::Duration::from_millis(300);
    let host = Host::with(|builder| builder, limits).await;
    let inner = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    for head in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "content-length: 4\r\ncontent-length: 5\r\n",
        "content-length: 4, 5\r\n",
        "content-length: -1\r\n",
        "content-length: +4\r\n",
        "content-length: 0x4\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: \x0bchunked\r\n",
        "transfer-encoding : chunked\r\n",
        "x: a\r\n continued\r\ncontent-length: 4\r\n",
    ] {
        let bytes = format!(
            "POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{head}\r\n0\r\n\r\n{inner}"
        );
        let answer = host.raw(bytes.as_bytes()).await;
        let status = Reply::parse(&answer).status;
        assert!((400..500).contains(&status), "{head}: {answer}");
        assert!(!answer.contains("200 OK"), "{head}: {answer}");
    }
    for nonsense in [
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\x16\x03\x01\x02\x00",
        "GET / HTTP/1.1\r\nhost: \x01\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = host.raw(nonsense.as_bytes()).await;
        // Of what never becomes a request there is nothing to answer.
        if !answer.is_empty() {
            Reply::parse(&answer).problem(400);
        }
    }
    let bad = host.raw(b"GET / HTTP/1.1\r\nbad header\r\n\r\n").await;
    Reply::parse(&bad).problem(400);
    // In absolute form, as proxies send it; and for the server as a whole.
    let absolute = host
        .raw(b"GET http://x/healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    assert!(absolute.contains("200 OK"), "{absolute}");
    let star = host
        .raw(b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    Reply::parse(&star).problem(404);
}

#[tokio::test]
async fn ids_and_queries() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    for id in [
        "0",
        "-1",
        "1.0",
        "1e3",
        "abc",
        "9007199254740992",
        "99999999999999999999",
        "%31",
        "1%00",
        "01",
    ] {
        host.get(&format!("/messages/{id}"), &ada)
            .await
            .problem(422);
        host.get(&format!("/conversations/{id}"), &ada)
            .await
            .problem(422);
        host.get(&format!("/v1/users/{id}"), &ada)
            .await
            .problem(422);
        let delete = host.call("DELETE", &format!("/conversation/{id}"));
        delete.bearer(&ada).send().await.problem(422);
    }
    for query in [
        "limit=0",
        "limit=-1",
        "limit=1e9",
        "limit=x",
        "limit=",
        "before=-1",
        "before=x",
        "before=1.5",
        "before=99999999999999999999",
        "before=1&after=1",
        "before=1&before=2",
        "after=%ff",
        "%",
    ] {
        host.get(&format!("/messages/1?{query}"), &ada)
            .await
            .problem(422);
    }
    for cursor in [
        "x",
        "1",
        "1.",
        ".1",
        "1.0",
        "-1.1",
        "99999999999999999999.1",
        "1.1.1",
        "%00",
    ] {
        let path = format!("/conversations/1?before={cursor}");
        host.get(&path, &ada).await.problem(422);
    }
    // Forged, but of the right form: within one's own list.
    let page = host
        .get("/conversations/1?before=9999999999999.5", &ada)
        .await;
    assert_eq!((page.status, page.json()), (200, json!([])));
    for query in ["q=%ff", "q=a&q=b", "q=%zz"] {
        host.get(&format!("/search-users?{query}"), &ada)
            .await
            .problem(422);
    }
    let nul = host.get("/search-users?q=%00", &ada).await;
    assert_eq!((nul.status, nul.json()), (200, json!([])));
}

#[tokio::test]
async fn handshakes() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let path = format!("/ws/{}", ada.token);
    let lines = [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
    ];
    let ask = async |method: &str, version: &str, replaced: usize, by: &str| {
        let mut lines = lines.map(str::to_owned);
        if let Some(line) = lines.get_mut(replaced) {
            *line = by.to_owned();
        }
        let lines = lines.join("\r\n").replace("\r\n\r\n", "\r\n");
        let request = format!("{method} {path} {version}\r\nhost: x\r\n{lines}\r\n\r\n");
        let mut stream = tokio::net::TcpStream::connect(host.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = soon(stream.read_to_end(&mut answer)).await;
        Reply::parse(&String::from_utf8_lossy(&answer))
    };
    let reply = ask("GET", "HTTP/1.1", 9, "").await;
    assert_eq!(reply.status, 101);
    // The example of RFC 6455 for another key; this one computed apart.
    assert_eq!(
        reply.header("sec-websocket-accept"),
        Some("ICX+Yqv66kxgM0FcWaLWlFLwTAI=")
    );
    assert_eq!(ask("GET", "HTTP/1.0", 9, "").await.status, 426);
    assert_eq!(ask("HEAD", "HTTP/1.1", 9, "").await.status, 426);
    ask("POST", "HTTP/1.1", 9, "").await.problem(405);
    for (at, by, status) in [
        (0, "connection: close", 426),
        (0, "x: y", 426),
        (1, "upgrade: h2c", 426),
        (1, "x: y", 426),
        (2, "sec-websocket-version: 8", 426),
        (2, "x: y", 426),
        (
            2,
            "sec-websocket-version: 13\r\nsec-websocket-version: 13",
            426,
        ),
        (3, "x: y", 400),
        (3, "sec-websocket-key: short", 400),
        (3, "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAAA=", 400),
        (3, "sec-websocket-key: AAAAAAAAAAAAAAAAAAAA!!==", 400),
        (
            3,
            "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
            400,
        ),
    ] {
        let reply = ask("GET", "HTTP/1.1", at, by).await;
        reply.problem(status);
        if at == 2 {
            assert_eq!(reply.header("sec-websocket-version"), Some("13"));
        }
    }
    // A subprotocol that is not spoken is not chosen.
    let reply = host
        .upgrade(&path, "sec-websocket-protocol: chat.v9, x\r\n")
        .await;
    assert_eq!(
        (reply.status, reply.header("sec-websocket-protocol")),
        (101, None)
    );
}

/// A host that does not wait long for the answer to a Close.
async fn impatient() -> Host {
    let mut limits = HttpLimits::default();
    limits.close_wait = std::time::Duration::from_millis(200);
    Host::with(|builder| builder.limits(limits), ServerLimits::default()).await
}

/// What a socket answers to bytes, then to a frame that is in order.
async fn answer(host: &Host, person: &Person, bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut stream = host.bare(person).await;
    // The server may have closed before all is written.
    let _ = stream.write_all(bytes).await;
    let _ = stream
        .write_all(&masked(0x88, &1000u16.to_be_bytes()))
        .await;
    read_frames(&mut stream).await
}

#[tokio::test]
async fn broken_frames_are_closed_with_a_code() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let mut unmasked = masked(0x81, b"hello");
    unmasked.splice(1..6, [5]);
    let huge = [
        0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
    ];
    let overflow = [
        0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
    ];
    let large = masked(0x81, &vec![b'x'; 65_537]);
    let mut pieces = masked(0x01, &vec![b'x'; 40_000]);
    pieces.extend(masked(0x80, &vec![b'x'; 40_000]));
    for (what, bytes, expected) in [
        ("unmasked", unmasked, 1002),
        ("huge length", huge.to_vec(), 1009),
        ("length overflow", overflow.to_vec(), 1009),
        ("large frame", large, 1009),
        ("large message of small frames", pieces, 1009),
        ("binary", masked(0x82, b"x"), 1003),
        ("reserved bits", masked(0xf1, b"x"), 1002),
        ("reserved opcode", masked(0x83, b"x"), 1002),
        ("reserved control", masked(0x8b, b"x"), 1002),
        ("long ping", masked(0x89, &[0; 126]), 1002),
        ("fragmented ping", masked(0x09, b"x"), 1002),
        ("continuation of nothing", masked(0x80, b"x"), 1002),
        (
            "text inside a message",
            [masked(0x01, b"x"), masked(0x81, b"x")].concat(),
            1002,
        ),
        ("no UTF-8", masked(0x81, b"\xff\xfe"), 1007),
        (
            "lone surrogate as bytes",
            masked(0x81, b"\xed\xa0\x80"),
            1007,
        ),
        ("close code of one byte", masked(0x88, b"x"), 1002),
        (
            "close reason that is no UTF-8",
            masked(0x88, b"\x03\xe8\xff"),
            1007,
        ),
        ("endless fragments", masked(0x00, b"").repeat(5000), 1002),
        (
            "endless empty fragments",
            [masked(0x01, b""), masked(0x00, b"").repeat(5000)].concat(),
            4029,
        ),
    ] {
        let frames = soon(answer(&host, &ada, &bytes)).await;
        let (first, payload) = frames.last().unwrap_or_else(|| panic!("{what}: silence"));
        assert_eq!((*first, code(payload)), (0x88, expected), "{what}");
    }
    // A close code that nobody may send is not sent back.
    for bad in [0u16, 999, 1005, 1006, 1015, 5000] {
        let frames = answer(&host, &ada, &masked(0x88, &bad.to_be_bytes())).await;
        let (first, payload) = frames.last().unwrap();
        assert_eq!((*first, code(payload)), (0x88, 1002), "{bad}");
    }
    assert_eq!(
        answer(&host, &ada, &masked(0x88, b"")).await,
        [(0x88, vec![])]
    );
}

#[tokio::test]
async fn bad_frames_are_answered_until_they_are_a_flood() {
    let host = impatient().await;
    let ada = host.person("ada").await;
    let mut socket = host.live(&ada).await;
    for bad in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"to":2}"#,
        "\u{0}",
        r#"{"to":1e999,"content":"a"}"#,
    ] {
        socket.send(bad).await;
        let frame = socket.json().await;
        assert_eq!(
            (&frame["type"], &frame["code"]),
            (&json!("error"), &json!("invalid")),
            "{bad}"
        );
        assert!(frame.get("conversation_id").is_none());
    }
    let mut flood = host.bare(&ada).await;
    let frames = masked(0x81, b"{}").repeat(10_000);
    let (mut read, mut write) = flood.split();
    let send = async {
        let _ = write.write_all(&frames).await;
    };
    let mut said = Vec::new();
    let receive = async {
        let _ = read.read_to_end(&mut said).await;
    };
    soon(async { tokio::join!(send, receive) }).await;
    let close = said
        .windows(6)
        .any(|window| window == [0x88, 7, 0x0f, 0xbd, b'f', b'l']);
    assert!(close, "no 4029 among {} bytes", said.len());
}

#[tokio::test]
async fn pings_without_reading_cost_nothing_more() {
    let host = impatient().await;
    let ada = host.person("ada").await;
    let mut stream = host.bare(&ada).await;
    let pings = masked(0x89, &[7; 125]).repeat(1000);
    // Until the server has had enough, or takes no more.
    let flood = async { while stream.write_all(&pings).await.is_ok() {} };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), flood).await;
    let frames = read_frames(&mut stream).await;
    assert!(frames.len() < 300, "{} answers to a flood", frames.len());
    let mut socket = host.live(&ada).await;
    socket.send("x").await;
    assert_eq!(socket.json().await["code"], "invalid");
}

#[tokio::test]
async fn a_peer_that_only_sends_is_not_read_for_ever() {
    let mut limits = HttpLimits::default();
    limits.strikes = u32::MAX;
    limits.dead_after = std::time::Duration::MAX;
    let host = Host::with(|builder| builder.limits(limits), ServerLimits::default()).await;
    let ada = host.person("ada").await;
    let mut stream = host.narrow(&ada, None).await.0.into_inner();
    // Each of these has to be answered, and no answer is taken.
    let pings = masked(0x89, &[7; 125]).repeat(1000);
    let mut sent = 0;
    // Whatever the systems on both sides hold: a server that reads on holds more.
    let patience = std::time::Duration::from_secs(2);
    while tokio::time::timeout(patience, stream.write_all(&pings))
        .await
        .is_ok()
    {
        sent += pings.len();
        assert!(
            sent < 100 << 20,
            "{sent} bytes taken from a peer that takes none"
        );
    }
}

/// All that a socket says to some text frames, however it ends.
async fn says(socket: &mut Socket, frames: &[String]) -> usize {
    let mut answers = 0;
    for frame in frames {
        socket.send(frame).await;
        assert!(socket.message().await.is_some());
        answers += 1;
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Any text is answered by a frame, any bytes at all by a close at last.
    #[test]
    fn anything_gets_an_answer(
        texts in prop::collection::vec("[^\u{0}]{0,40}|\\{\"to\":[0-9]{1,3},\"content\":\".{0,9}\"\\}", 0..8),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        first in prop::option::of(any::<u8>()),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let host = Host::start().await;
            let ada = host.person("ada").await;
            host.person("bob").await;
            let mut socket = host.live(&ada).await;
            assert_eq!(says(&mut socket, &texts).await, texts.len());
            let mut sent = match first {
                Some(first) => masked(first, &bytes),
                None => bytes,
            };
            // Enough to complete any header and overrun any length that is allowed.
            sent.extend(masked(0x88, b""));
            sent.extend(vec![0; 140_000]);
            let frames = answer(&host, &ada, &sent).await;
            let last = frames.last().expect("silence");
            assert_eq!(last.0, 0x88, "no close at last");
            assert_eq!(host.call("GET", "/healthz").send().await.status, 200);
        });
    }
}
