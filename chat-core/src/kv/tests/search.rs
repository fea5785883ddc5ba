//! The index of words: what is left of erased ones, and what it refuses.

use super::*;
use crate::search::{Query, SearchPage};
use crate::{Change, Search};

async fn index(store: &impl Search) {
    while store.index(100).await.unwrap() > 0 {}
}

async fn find(store: &impl Search, user: UserId, text: &str) -> Result<SearchPage, Error> {
    let query = Query::parse(text).unwrap();
    store.find(Viewer::User(user), query, None, None, 20).await
}

#[tokio::test]
async fn erased_words_leave_nothing_behind() {
    let disk = disk(&[]);
    let store = Plain::open(&disk);
    let (user, id) = begin(&store).await;
    let holds = |part: &str| {
        let disk = disk.lock().unwrap();
        let pairs = disk.data.scan(&[]..&[0xff], false, usize::MAX).unwrap();
        let is_in = |bytes: &[u8]| bytes.windows(part.len()).any(|w| w == part.as_bytes());
        pairs.iter().any(|(key, value)| is_in(key) || is_in(value))
    };
    for text in ["qzxsecret one", "qzxsecret two"] {
        let message = commit(&store, post(user, id, text)).await.unwrap().first;
        index(&store).await;
        assert!(holds("qzxsecret"));
        let change = if text.ends_with("one") {
            Change::Delete { message }
        } else {
            Change::Edit {
                message,
                revision: None,
                content: "plain".into(),
            }
        };
        let target = Target::Conversation(id);
        let erase = prepared(Actor::User(user), target, change);
        commit(&store, erase).await.unwrap();
        index(&store).await;
        assert!(!holds("qzxsecret"), "{text}");
    }
    assert_eq!(find(&store, user, "plain").await.unwrap().messages.len(), 1);
}

#[tokio::test]
async fn many_words_are_kept_in_parts() {
    let disk = disk(&[]);
    let store = Probe::<64>::open(&disk);
    let (user, id) = begin(&store).await;
    let long: String = (10..90).map(|n| format!("word{n} ")).collect();
    let message = commit(&store, post(user, id, &long)).await.unwrap().first;
    let parts = || {
        let range = codec::words_of(id, message);
        let disk = disk.lock().unwrap();
        let pairs = disk.data.scan(&range.start..&range.end, false, usize::MAX);
        pairs.unwrap().len()
    };
    let hits = async |text: &str| find(&store, user, text).await.unwrap().messages.len();
    index(&store).await;
    // 8 bytes, and 80 words of 6 and a space.
    assert_eq!(parts(), 568_usize.div_ceil(64));
    assert_eq!(hits("word89 word10 word4").await, 1);
    assert_eq!(hits("word89 word90").await, 0);
    let edit = Change::Edit {
        message,
        revision: None,
        content: "word10 alone".into(),
    };
    let target = Target::Conversation(id);
    let edit = prepared(Actor::User(user), target, edit);
    commit(&store, edit).await.unwrap();
    index(&store).await;
    assert_eq!(parts(), 1);
    assert_eq!(hits("word10 alo").await, 1);
    assert_eq!(hits("word89").await, 0);
    let range = codec::words_beginning(id, "word");
    let words = disk.lock().unwrap();
    let words = words.data.scan(&range.start..&range.end, false, 99);
    assert_eq!(words.unwrap().len(), 1);
}

#[tokio::test]
async fn another_versions_index_is_made_anew() {
    let disk = disk(&[]);
    let store = Plain::open(&disk);
    let (user, id) = begin(&store).await;
    commit(&store, post(user, id, "alpha")).await.unwrap();
    index(&store).await;
    let batch = Batch::from([
        (Place::Indexed.encode(), Some(b"12345678another".to_vec())),
        (Place::Word(id, "beta".into(), 2).encode(), Some(vec![0; 8])),
    ]);
    disk.lock().unwrap().data.apply(batch).unwrap();
    assert!(
        find(&store, user, "alpha")
            .await
            .unwrap()
            .messages
            .is_empty()
    );
    index(&store).await;
    assert_eq!(find(&store, user, "alpha").await.unwrap().messages.len(), 1);
    let stale = Place::Word(id, "beta".into(), 2).encode();
    assert_eq!(disk.lock().unwrap().data.get(&stale).unwrap(), None);
}

#[tokio::test]
async fn too_much_to_read_is_refused() {
    let store = MemoryStore::new();
    let (user, id) = begin(&store).await;
    let text: String = (0..1100).map(|n| format!("a{n} ")).collect();
    for _ in 0..20 {
        commit(&store, post(user, id, &text)).await.unwrap();
    }
    index(&store).await;
    let refused = find(&store, user, "a").await;
    assert_eq!(kind(refused), Some(ErrorKind::Invalid));
    assert_eq!(
        find(&store, user, "a17 a18").await.unwrap().messages.len(),
        20
    );
}
