//! Laws of search broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chat_core::kv::MemoryStore;
use chat_core::{Chat, ErrorKind, SearchCursor, SearchPage, UserId, Viewer};

use crate::store::{Fault, Faulty};
use crate::{With, mutations};

mutations! {
    search::found_after_commit: With(Idle);
    search::found_in_ranges_only: With(ForSomebodyElse);
    search::follows_edits_and_deletions: With(Unedited);
    search::index_outlives_reopening: With(Forgetful::default());
    search::many_index_at_once: With(EverySeventh);
    search::pages_have_no_holes: With(BeginsLate);
    search::agrees_with_a_scan: With(EverySeventh);
}

/// Nothing is taken into the index.
#[derive(Clone)]
struct Idle;

impl Fault for Idle {
    fn indexes(&self) -> bool {
        false
    }
}

/// Everybody finds what the first user may see.
#[derive(Clone)]
struct ForSomebodyElse;

impl Fault for ForSomebodyElse {
    fn search_viewer(&self, viewer: Viewer) -> Viewer {
        match viewer {
            Viewer::User(_) => UserId::new(1).map_or(viewer, Viewer::User),
            Viewer::All => viewer,
        }
    }
}

/// What was edited is not found.
#[derive(Clone)]
struct Unedited;

impl Fault for Unedited {
    fn search_page(&self, _: Option<SearchCursor>, page: &mut SearchPage) {
        page.messages.retain(|message| message.revision == 0);
    }
}

/// Once it was reopened, an index has lost what it held.
#[derive(Clone, Default)]
struct Forgetful(Arc<AtomicBool>);

impl Fault for Forgetful {
    fn reopened(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
    fn search_page(&self, _: Option<SearchCursor>, page: &mut SearchPage) {
        if self.0.load(Ordering::Relaxed) {
            page.messages.clear();
        }
    }
}

/// Every seventh message is left out.
#[derive(Clone)]
struct EverySeventh;

impl Fault for EverySeventh {
    fn search_page(&self, _: Option<SearchCursor>, page: &mut SearchPage) {
        page.messages.retain(|message| message.seq % 7 != 0);
    }
}

/// Each page but the first begins one message late.
#[derive(Clone)]
struct BeginsLate;

impl Fault for BeginsLate {
    fn search_page(&self, before: Option<SearchCursor>, page: &mut SearchPage) {
        if before.is_some() && !page.messages.is_empty() {
            page.messages.remove(0);
        }
    }
}

/// There is no index.
#[derive(Clone)]
struct Without;

impl Fault for Without {
    fn searches(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_store_without_an_index_says_so() {
    let chat = Chat::builder(Faulty::new(MemoryStore::new(), Without)).build();
    let found = chat.search(Viewer::All, "words", None, None, 20).await;
    let error = found.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("no index"), "{error}");
}
