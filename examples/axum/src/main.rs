//! A shop with customers, logins and orders of its own, who chat about their orders. `cargo run -p chat-example-axum`
//!
//! The chat stands in the shop's router under `/chat`; what it can do is told at `/chat/docs`. The shop tells it who somebody is
//! ([`Authenticator`]), what may be said ([`Policy`]), and which conversations there are: one for each order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::routing::{post, put};
use chat_core::kv::MemoryStore;
use chat_core::{
    Actor, Authenticator, Change, Chat, Error, History, Identity, Policy, Reach, Role, Target,
    Verdict, Write,
};
use chat_http::{BuildError, Http};
use tokio::net::TcpListener;
use uuid::Uuid;

/// The cookie of the shop's own login.
const COOKIE: &str = "shop_session";

/// Somebody with an account at the shop.
#[derive(Clone)]
struct Person {
    id: Uuid,
    name: String,
}

/// The shop: its accounts, and who is logged in by the secret of their cookie. A real one has a database.
#[derive(Clone)]
struct Shop {
    accounts: Arc<Mutex<HashMap<String, Person>>>,
    sessions: Arc<Mutex<HashMap<String, Person>>>,
    chat: Chat,
}

/// Whom the chat asks who presents a cookie.
#[async_trait::async_trait]
impl Authenticator for Shop {
    async fn authenticate(&self, secret: &str) -> Result<Identity, Error> {
        let person = lock(&self.sessions).get(secret).cloned();
        let person = person.ok_or_else(|| Error::forbidden("log in at the shop first"))?;
        // The chat numbers its users; it finds them again by the shop's own ids.
        let subject = person.id.to_string();
        let user = match self.chat.user_by_subject("shop", &subject).await? {
            Some(user) => user.id,
            None => self.chat.enroll("shop", &subject, &person.name).await?,
        };
        let mut identity = Identity::of(user);
        if person.name == "support" {
            // Reads every conversation, and is a member of none.
            identity.reach = Reach::All;
        }
        Ok(identity)
    }
}

/// In this shop one speaks politely.
struct Polite;

#[async_trait::async_trait]
impl Policy for Polite {
    async fn check(&self, write: &Write) -> Result<Verdict, Error> {
        let mut changes = write.changes.clone();
        for change in &mut changes {
            if let Change::Post { content, .. } | Change::Edit { content, .. } = change {
                content.text = content.text.replace("damn", "very");
            }
        }
        Ok(Verdict::Replace(changes))
    }
}

/// The shop's login: the body is a name, and everybody is believed. Yours goes here.
async fn login(State(shop): State<Shop>, name: String) -> [(HeaderName, String); 1] {
    let mut accounts = lock(&shop.accounts);
    let person = accounts.entry(name.clone()).or_insert_with(|| Person {
        id: Uuid::new_v4(),
        name,
    });
    let secret = Uuid::new_v4().to_string();
    let cookie = format!("{COOKIE}={secret}; HttpOnly; SameSite=Strict; Path=/");
    lock(&shop.sessions).insert(secret, person.clone());
    [(header::SET_COOKIE, cookie)]
}

/// Ends all logins of whoever asks. What the chat has open for them is closed at once.
async fn logout(State(shop): State<Shop>, headers: HeaderMap) -> Result<StatusCode, Refusal> {
    let (person, identity) = shop.who(&headers).await?;
    lock(&shop.sessions).retain(|_, other| other.id != person.id);
    shop.chat.disconnect(identity.user, None);
    Ok(StatusCode::NO_CONTENT)
}

/// An order, and with it a conversation: found by the order's number, kept by the shop alone (`managed`).
async fn order(
    State(shop): State<Shop>,
    Path(number): Path<u64>,
    headers: HeaderMap,
) -> Result<String, Refusal> {
    let (person, identity) = shop.who(&headers).await?;
    let name = format!("order-{}-{number}", person.id);
    let create = Change::Create {
        title: Some(format!("Order {number}")),
        data: None,
        managed: true,
        history: History::All,
        members: vec![(identity.user, Role::Member)],
    };
    let thanks = Change::post("Thank you! Ask us anything about your order here.");
    // The host writes this itself: no permission, rate or policy stands in its way.
    let write = Write::new(Actor::Host, Target::Key(name), vec![create, thanks]);
    let written = shop.chat.commit(write).await.map_err(refusal)?;
    Ok(written
        .conversation
        .map_or_else(String::new, |id| id.to_string()))
}

type Refusal = (StatusCode, String);

fn refusal(error: Error) -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

impl Shop {
    fn new() -> Self {
        Self {
            accounts: Arc::default(),
            sessions: Arc::default(),
            chat: Chat::builder(MemoryStore::new()).policy(Polite).build(),
        }
    }

    /// Who asks, as the shop and as the chat know them.
    async fn who(&self, headers: &HeaderMap) -> Result<(Person, Identity), Refusal> {
        let cookies = headers
            .get(header::COOKIE)
            .and_then(|cookies| cookies.to_str().ok());
        let mut pairs = cookies.into_iter().flat_map(|cookies| cookies.split("; "));
        let secret = pairs.find_map(|pair| pair.strip_prefix(COOKIE)?.strip_prefix('='));
        let person = secret.and_then(|secret| lock(&self.sessions).get(secret).cloned());
        let (Some(secret), Some(person)) = (secret, person) else {
            return Err((StatusCode::UNAUTHORIZED, "log in first".to_owned()));
        };
        let identity = self.authenticate(secret).await.map_err(refusal)?;
        Ok((person, identity))
    }

    /// The shop's routes, and the chat beside them.
    fn router(self, origin: &str) -> Result<Router, BuildError> {
        let chat = Http::builder(self.chat.clone())
            .v1(Arc::new(self.clone()))
            .cookie(COOKIE)
            .public_url(origin)
            .build()?;
        Ok(Router::new()
            .route("/login", post(login))
            .route("/logout", post(logout))
            .route("/orders/{number}", put(order))
            .with_state(self)
            .nest_service("/chat", chat))
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shop = Shop::new();
    let chat = shop.chat.clone();
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let router = shop.router("http://127.0.0.1:3000")?;
    let stopped = async move {
        let _ = tokio::signal::ctrl_c().await;
        // Sockets are told to come back later; axum itself does not wait for them.
        let _ = chat.drain(Duration::from_secs(10)).await;
    };
    Ok(axum::serve(listener, router)
        .with_graceful_shutdown(stopped)
        .await?)
}

#[cfg(test)]
mod tests;
