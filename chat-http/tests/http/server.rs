//! Connections: how many, for how long, and how they end.

use chat_core::Target;
use chat_core::Write;
use chat_http::ServerLimits;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Host, Reply, soon};

#[tokio::test]
async fn connections_are_counted() {
    let mut limits = ServerLimits::default();
    limits.connections = 3;
    // This machine is not counted by its address, but in all it is.
    limits.per_address = 0;
    let host = Host::with(|builder| builder, limits).await;
    let ada = host.person("ada").await;
    let first = host.live(&ada).await;
    let _second = host.live(&ada).await;
    let mut third = TcpStream::connect(host.address).await.unwrap();
    // Sure to be accepted: it was answered.
    third
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    soon(third.read_u8()).await.unwrap();
    let refused = Reply::parse(&host.raw(b"").await);
    refused.problem(503);
    assert_eq!(refused.header("retry-after"), Some("10"));
    let length: usize = refused.header("content-length").unwrap().parse().unwrap();
    assert_eq!(length, refused.body.len());
    // A place is free again once a socket is gone.
    drop(first);
    loop {
        let reply = Reply::parse(
            &host
                .raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .await,
        );
        if reply.status == 200 {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stopping_loses_nothing() {
    let mut host = Host::start().await;
    let ada = host.person("ada").await;
    let bob = host.person("bob").await;
    let mut socket = host.live(&ada).await;
    let mut other = host.live(&bob).await;
    // A request that is being sent when the server is told to stop.
    let mut slow = TcpStream::connect(host.address).await.unwrap();
    let body = json!({"username": "ada", "password": "wrong one"}).to_string();
    let head = format!(
        "POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut idle = TcpStream::connect(host.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut piece = [0; 15];
    soon(idle.read_exact(&mut piece)).await.unwrap();
    let write = Write::post(ada.id, Target::Direct(ada.id, bob.id), "last words");
    host.chat.commit(write).await.unwrap();
    host.stop();

    assert_eq!(other.json().await["content"], "last words");
    assert_eq!(other.closed().await, (1001, "drain".to_owned()));
    assert_eq!(socket.json().await["content"], "last words");
    assert_eq!(socket.closed().await, (1001, "drain".to_owned()));
    drop((socket, other));
    let mut rest = Vec::new();
    soon(idle.read_to_end(&mut rest)).await.unwrap();
    // What was begun is answered.
    slow.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(slow.read_to_string(&mut answer)).await.unwrap();
    let reply = Reply::parse(&answer);
    assert!(matches!(reply.status, 401 | 503), "{answer}");
    reply.problem(reply.status);
    let address = host.address;
    host.stopped().await;
    assert!(TcpStream::connect(address).await.is_err());
}
