//! Connections that are cut at any moment, so that the outcome of a commit is unknown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chat_core::{ErrorKind, Store};
use chat_store_postgres::PostgresStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{SERVER, url};
use chat_testkit::writes::{commit, group, messages, post, register};

/// Passes connections on to the server. Of what a client sends, the piece that brings the count to zero is the last: it
/// still arrives if `arrives`, but no answer comes back.
async fn proxy(left: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let left = Arc::clone(&left);
            tokio::spawn(async move {
                let server = TcpStream::connect(("127.0.0.1", SERVER.port()))
                    .await
                    .unwrap();
                pass(client, server, &left).await;
            });
        }
    });
    address
}

async fn pass(mut client: TcpStream, mut server: TcpStream, left: &AtomicUsize) {
    let (mut from_client, mut from_server) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            biased;
            read = client.read(&mut from_client) => {
                let Ok(count @ 1..) = read else { return };
                let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(2)).unwrap_or(0);
                // An even number: the piece that is the last one arrives.
                if before != 3 && server.write_all(&from_client[..count]).await.is_err() {
                    return;
                }
                if before == 2 || before == 3 {
                    // Until the server has done what it was told.
                    let _ = server.shutdown().await;
                    while let Ok(1..) = server.read(&mut from_server).await {}
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&from_server[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_settles_what_a_cut_connection_left_open() {
    let url = url();
    let direct = PostgresStore::open(&url).await.unwrap();
    let ada = register(&direct, "ada").await;
    let conversation = group(&direct, &[ada]).await;
    let left = Arc::new(AtomicUsize::new(0));
    let address = proxy(Arc::clone(&left)).await;
    let through = url.replace(
        &format!("127.0.0.1:{}", SERVER.port()),
        &address.to_string(),
    );
    let store = PostgresStore::open(&through).await.unwrap();
    let (mut acknowledged, mut had_happened, mut had_not) = (0, 0, 0);
    for round in 0..60_usize {
        // A connection that knows its statements: then a commit is two pieces, or a few more.
        commit(&store, post(ada, conversation, "before"))
            .await
            .unwrap();
        let write = post(ada, conversation, &round.to_string());
        left.store(2 + round % 6, Ordering::SeqCst);
        let outcome = commit(&store, write.clone()).await;
        left.store(0, Ordering::SeqCst);
        let retried = commit(&direct, write).await.unwrap();
        match outcome {
            Ok(done) => {
                assert!(retried.replayed && retried.first == done.first);
                acknowledged += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                if retried.replayed {
                    had_happened += 1;
                } else {
                    had_not += 1;
                }
            }
        }
    }
    // All three happen, or this tests nothing.
    assert!(
        acknowledged > 0 && had_happened > 0 && had_not > 0,
        "{acknowledged} {had_happened} {had_not}"
    );
    let found = messages(&direct, conversation).await;
    assert_eq!(found.len(), 120);
    for round in 0..60 {
        let text = round.to_string();
        assert_eq!(found.values().filter(|found| **found == text).count(), 1);
    }
    store.close().await.unwrap();
}
