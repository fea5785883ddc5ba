//! Built-in users from registering to logging out, over a whole chat in memory.

#![allow(clippy::unwrap_used, clippy::panic)]

mod forge;
mod meddling;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chat_auth::{Auth, AuthError, Cost, Field, HashPool, Hasher, Jwt, Secret};
use chat_core::kv::MemoryStore;
use chat_core::{
    Accounts, Actor, Authenticator, Change, Chat, Claims, Closed, ErrorKind, Identity, Item, LOCAL,
    LoginId, Target, Timestamp, TokenService, UserId, Write,
};

use meddling::{Meddling, StaleAccounts};

const PASSWORD: &str = "correct horse battery";
/// Of the password "kurz": passlib's bcrypt_sha256.
const LEGACY: &str =
    "$bcrypt-sha256$v=2,t=2b,r=4$umr9ykEFcKNKr4tum4..su$Ic3KAfQocN4Tgo3QF0rqYLsLAAxr7ia";
/// Of the password "correct horse battery staple".
const LEGACY_LONG: &str =
    "$bcrypt-sha256$2b,4$SEslHfGI4YpTzkUd9G49lu$gMm07SCEtS21yfP3c6yYodq4TzI.s0i";

fn jwt() -> Jwt {
    Jwt::new(&Secret::from_bytes(forge::secret()).unwrap()).unwrap()
}

fn pool() -> HashPool {
    let cheap = Cost {
        memory: 64,
        passes: 1,
        lanes: 1,
    };
    HashPool::new(Hasher::new(cheap).unwrap())
}

fn start() -> (Chat, Auth) {
    let chat = Chat::builder(MemoryStore::new()).build();
    let auth = Auth::new(chat.clone(), jwt()).passwords(pool());
    (chat, auth)
}

async fn host(chat: &Chat, user: UserId, change: Change) {
    let write = Write::new(Actor::Host, Target::User(user), vec![change]);
    chat.commit(write).await.unwrap();
}

async fn hash_of(chat: &Chat, name: &str) -> String {
    chat.account(name).await.unwrap().unwrap().hash
}

async fn refused(auth: &Auth, token: &str) {
    let error = auth.authenticate(token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    let forged = auth.authenticate("forged").await.unwrap_err();
    assert_eq!(error.to_string(), forged.to_string());
}

#[tokio::test]
async fn registers_logs_in_and_out() {
    let (chat, auth) = start();
    let user = auth.register(" Zoë ", PASSWORD).await.unwrap();
    assert_eq!((&*user.name, &*user.subject), ("Zoë", "zoë"));
    assert_eq!(user.provider, LOCAL);
    assert!(hash_of(&chat, "zoë").await.starts_with("$argon2id$"));

    let before = Timestamp::now();
    let session = auth.login("ZOE\u{308}", PASSWORD).await.unwrap();
    assert_eq!((&session.user, session.identity.user), (&user, user.id));
    let lasts = |since: Timestamp| session.expires.millis() - since.millis();
    assert!(lasts(before) > 86_399_000 && lasts(Timestamp::now()) <= 86_400_000);

    let identity = auth.authenticate(&session.token).await.unwrap();
    assert_eq!(identity, session.identity);
    assert_eq!(identity.expires, Some(session.expires));
    let (login, _) = chat.login(identity.login.unwrap()).await.unwrap().unwrap();
    assert_eq!(login.expires, session.expires);

    auth.logout(&identity).await.unwrap();
    refused(&auth, &session.token).await;
    auth.logout(&identity).await.unwrap();
    auth.logout(&Identity::of(user.id)).await.unwrap();
    let unknown = Identity {
        login: LoginId::new(999).ok(),
        ..identity
    };
    auth.logout(&unknown).await.unwrap();
}

#[tokio::test]
async fn a_name_is_given_once_whatever_it_looks_like() {
    let (_, auth) = start();
    auth.register("copa", PASSWORD).await.unwrap();
    for name in ["copa", "COPA", "ｃｏｐａ", " copa ", "сора"] {
        let error = auth.register(name, PASSWORD).await.unwrap_err();
        assert!(matches!(error, AuthError::Taken), "{name}");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    // Many at once: the store decides, after all of them were told that the name is free.
    let all = (0..8).map(|_| {
        let auth = auth.clone();
        tokio::spawn(async move { auth.register("Bob", PASSWORD).await })
    });
    let mut made = 0;
    for one in all.collect::<Vec<_>>() {
        match one.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => assert!(matches!(error, AuthError::Taken)),
        }
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn says_which_field_to_mend() {
    let (_, auth) = start();
    for (name, password, wrong) in [
        ("аdmin", PASSWORD, Field::Username),
        ("ADMIN", PASSWORD, Field::Username),
        ("a\u{200b}b", PASSWORD, Field::Username),
        ("", "", Field::Username),
        ("alice", "short", Field::Password),
        ("alice", &"x".repeat(1025), Field::Password),
    ] {
        match auth.register(name, password).await.unwrap_err() {
            AuthError::Field { field, error } => {
                assert_eq!((field, error.kind()), (wrong, ErrorKind::Invalid));
                let sentence = error.to_string();
                assert!(password.is_empty() || !sentence.contains(password));
            }
            error => panic!("{error:?}"),
        }
    }
    assert!(auth.register("alice", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn who_cannot_log_in_is_told_nothing() {
    let (chat, auth) = start();
    let alice = auth.register("alice", PASSWORD).await.unwrap();
    let blocked = auth.register("blocked", PASSWORD).await.unwrap();
    host(&chat, blocked.id, Change::Disable { on: true }).await;
    let long = "x".repeat(2 << 20);
    for (name, password) in [
        ("alice", "wrong password"),
        ("alice", ""),
        ("alice", &long),
        ("alice", "correct horse battery "),
        ("nobody", PASSWORD),
        ("blocked", PASSWORD),
        ("blocked", "wrong password"),
        ("", PASSWORD),
        ("a\0lice", PASSWORD),
        (&long, PASSWORD),
        ("' OR 1=1 --", PASSWORD),
    ] {
        let error = auth.login(name, password).await.unwrap_err();
        assert!(matches!(error, AuthError::Wrong));
        let error = chat_core::Error::from(error);
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert_eq!(error.to_string(), "the username or the password is wrong");
    }
    assert_eq!(auth.login("alice", PASSWORD).await.unwrap().user, alice);
}

#[tokio::test]
async fn an_unknown_user_costs_one_hash_like_a_wrong_password() {
    let (chat, _) = start();
    let counting = meddling::Counting::new();
    let auth = Auth::new(chat, jwt()).passwords(HashPool::new(counting.clone()));
    auth.register("alice", PASSWORD).await.unwrap();
    for (name, known) in [
        ("alice", true),
        ("nobody", false),
        ("admin", false),
        ("", false),
    ] {
        let before = counting.verified(known);
        assert!(auth.login(name, "wrong password").await.is_err());
        assert_eq!(counting.verified(known), before + 1, "{name}");
    }
    assert_eq!(counting.hashed(), 1);
}

#[tokio::test]
async fn the_host_may_give_out_reserved_names_and_they_can_log_in() {
    let (chat, auth) = start();
    chat.register("support", "Support", LEGACY).await.unwrap();
    assert!(auth.login("Support", "kurz").await.is_ok());
}

#[tokio::test]
async fn every_token_trick_is_refused() {
    let (chat, auth) = start();
    // Users 1 to 7 and logins 1 to 99, so that the forger's token is right but for its trick.
    for n in 1..=7 {
        auth.register(&format!("user{n}"), PASSWORD).await.unwrap();
    }
    let seven = UserId::new(7).unwrap();
    let expires = Timestamp::now().plus_millis(7_200_000);
    for _ in 1..=99 {
        host(&chat, seven, Change::OpenLogin { expires }).await;
    }
    let forge = forge::Forge::new(&forge::secret());
    let now = Timestamp::now();
    let good = auth.authenticate(&forge.good(now)).await.unwrap();
    assert_eq!(good.user, seven);
    for (trick, token) in forge.tricks(now) {
        let error = auth.authenticate(&token).await.err();
        let error = error.unwrap_or_else(|| panic!("accepted: {trick}"));
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{trick}");
    }

    // Signed by us, and still not good: no such login, somebody else's, one that is not there yet, a user who is not there.
    let tokens = jwt();
    for (user, login) in [(7, 100), (6, 99), (8, 99), (7, 1 << 50)] {
        let claims = Claims {
            user: UserId::new(user).unwrap(),
            login: LoginId::new(login).unwrap(),
            issued: now,
            expires,
        };
        refused(&auth, &tokens.issue(&claims).unwrap()).await;
    }
    // A token that outlives its login is good until the login ends.
    let longer = Claims {
        user: seven,
        login: LoginId::new(99).unwrap(),
        issued: now,
        expires: now.plus_millis(86_400_000),
    };
    let identity = auth.authenticate(&tokens.issue(&longer).unwrap()).await;
    assert_eq!(identity.unwrap().expires, Some(expires));
    // Disabled: at once.
    host(&chat, seven, Change::Disable { on: true }).await;
    refused(&auth, &forge.good(now)).await;
    host(&chat, seven, Change::Disable { on: false }).await;
    refused(&auth, &forge.good(now)).await;
}

#[tokio::test]
async fn a_login_that_expired_is_refused() {
    let (chat, auth) = start();
    let user = auth.register("alice", PASSWORD).await.unwrap();
    let past = Timestamp::now().plus_millis(-1);
    host(&chat, user.id, Change::OpenLogin { expires: past }).await;
    let claims = Claims {
        user: user.id,
        login: LoginId::new(1).unwrap(),
        issued: past.plus_millis(-60_000),
        expires: past.plus_millis(3_600_000),
    };
    refused(&auth, &jwt().issue(&claims).unwrap()).await;
}

/// Waits for the connection to end.
async fn closed(connection: &mut chat_core::Connection) -> Closed {
    let mut items = Vec::new();
    loop {
        let wait = connection.drain(&mut items);
        tokio::time::timeout(Duration::from_secs(30), wait)
            .await
            .unwrap();
        for item in items.drain(..) {
            if let Item::Closed(why) = item {
                return why;
            }
        }
    }
}

#[tokio::test]
async fn ending_a_login_closes_its_connections_and_no_others() {
    let (chat, auth) = start();
    auth.register("alice", PASSWORD).await.unwrap();
    let one = auth.login("alice", PASSWORD).await.unwrap();
    let two = auth.login("alice", PASSWORD).await.unwrap();
    let mut first = chat.connect(one.identity).await.unwrap();
    let mut second = chat.connect(two.identity).await.unwrap();

    auth.logout(&one.identity).await.unwrap();
    assert_eq!(closed(&mut first).await, Closed::LoggedOut);
    assert!(auth.authenticate(&two.token).await.is_ok());
    assert!(chat.connect(one.identity).await.is_err());

    let three = auth
        .change_password(&two.identity, PASSWORD, "another password")
        .await
        .unwrap();
    assert_eq!(closed(&mut second).await, Closed::LoggedOut);
    assert!(chat.connect(three.identity).await.is_ok());
}

#[tokio::test]
async fn changing_the_password_ends_all_other_logins() {
    let (chat, auth) = start();
    auth.register("alice", PASSWORD).await.unwrap();
    let one = auth.login("alice", PASSWORD).await.unwrap();
    let two = auth.login("alice", PASSWORD).await.unwrap();
    let change = |current, new| auth.change_password(&one.identity, current, new);

    let error = change("wrong password", "another password").await;
    assert!(matches!(error, Err(AuthError::Wrong)));
    let error = change(PASSWORD, "short").await;
    let field = Field::Password;
    assert!(matches!(error, Err(AuthError::Field { field: f, .. }) if f == field));
    assert!(auth.authenticate(&two.token).await.is_ok());

    let new = change(PASSWORD, "another password").await.unwrap();
    refused(&auth, &one.token).await;
    refused(&auth, &two.token).await;
    assert!(auth.authenticate(&new.token).await.is_ok());
    assert!(auth.login("alice", PASSWORD).await.is_err());
    assert!(auth.login("alice", "another password").await.is_ok());

    // The login that asked has ended: it may not ask again, whatever it knows.
    let error = change("another password", "third password").await;
    assert!(matches!(error, Err(AuthError::Other(e)) if e.kind() == ErrorKind::Forbidden));

    // A user of another provider has no password here.
    let target = Target::Subject {
        provider: "company".into(),
        subject: "alice".into(),
    };
    let changes = vec![Change::Register { name: "Al".into() }];
    let made = chat.commit(Write::new(Actor::Host, target, changes)).await;
    let stranger = Identity::of(made.unwrap().user.unwrap());
    let error = auth
        .change_password(&stranger, "another password", "third password")
        .await;
    assert!(matches!(error, Err(AuthError::Other(e)) if e.kind() == ErrorKind::Invalid));
    assert!(auth.login("alice", "another password").await.is_ok());
}

#[tokio::test]
async fn a_legacy_hash_is_replaced_at_the_next_login() {
    let (chat, auth) = start();
    let user = chat.register("old", "Old", LEGACY_LONG).await.unwrap();
    let expires = Timestamp::now().plus_millis(3_600_000);
    host(&chat, user.id, Change::OpenLogin { expires }).await;
    let error = auth.login("old", "correct horse battery stable").await;
    assert!(matches!(error, Err(AuthError::Wrong)));
    assert_eq!(hash_of(&chat, "old").await, LEGACY_LONG);

    let password = "correct horse battery staple";
    let one = auth.login("old", password).await.unwrap();
    let hash = hash_of(&chat, "old").await;
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    let two = auth.login("old", password).await.unwrap();
    assert_eq!(hash_of(&chat, "old").await, hash, "once");
    for session in [one, two] {
        assert!(auth.authenticate(&session.token).await.is_ok());
    }
    let before = chat.login(LoginId::new(1).unwrap()).await.unwrap();
    let (login, user) = before.unwrap();
    assert!(login.is_live(&user, Timestamp::now()), "no login ended");
    // Too short for a new hash: the old one stays.
    chat.register("short", "Short", LEGACY).await.unwrap();
    for _ in 0..2 {
        assert!(auth.login("short", "kurz").await.is_ok());
    }
    assert_eq!(hash_of(&chat, "short").await, LEGACY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_logins_of_a_legacy_user_at_once_all_succeed() {
    let (chat, auth) = start();
    chat.register("old", "Old", LEGACY_LONG).await.unwrap();
    let all: Vec<_> = (0..16)
        .map(|_| {
            let auth = auth.clone();
            tokio::spawn(async move { auth.login("old", "correct horse battery staple").await })
        })
        .collect();
    for one in all {
        let session = one.await.unwrap().unwrap();
        assert!(auth.authenticate(&session.token).await.is_ok());
    }
}

#[tokio::test]
async fn no_login_is_opened_by_a_password_that_was_just_changed() {
    let (chat, auth) = start();
    let user = auth.register("alice", PASSWORD).await.unwrap();
    let new = pool().hash("another password").await.unwrap();
    // After the old password was looked up and before the login is opened, it is changed.
    let stale = StaleAccounts::new(chat.clone(), user.id, new);
    let late = auth.clone().accounts(stale);
    let error = late.login("alice", PASSWORD).await;
    assert!(matches!(error, Err(AuthError::Wrong)));
    assert!(late.login("alice", "another password").await.is_ok());
}

#[tokio::test]
async fn of_two_who_change_a_password_one_wins() {
    let (chat, auth) = start();
    let user = auth.register("alice", PASSWORD).await.unwrap();
    let session = auth.login("alice", PASSWORD).await.unwrap();
    let new = pool().hash("another password").await.unwrap();
    let late = auth
        .clone()
        .accounts(StaleAccounts::new(chat.clone(), user.id, new));
    let error = late
        .change_password(&session.identity, PASSWORD, "third password")
        .await;
    assert!(matches!(error, Err(AuthError::Other(e)) if e.kind() == ErrorKind::Conflict));
    assert!(auth.login("alice", "another password").await.is_ok());
}

#[tokio::test]
async fn renewing_opens_a_login_and_leaves_the_old_one() {
    let (chat, auth) = start();
    auth.register("alice", PASSWORD).await.unwrap();
    let one = auth.login("alice", PASSWORD).await.unwrap();
    let two = auth.renew(&one.identity).await.unwrap();
    assert_ne!(one.identity.login, two.identity.login);
    for session in [&one, &two] {
        assert!(auth.authenticate(&session.token).await.is_ok());
    }
    auth.logout(&one.identity).await.unwrap();
    assert!(auth.authenticate(&two.token).await.is_ok());
    let error = auth.renew(&one.identity).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    let next = LoginId::new(two.identity.login.unwrap().get() + 1).unwrap();
    assert_eq!(chat.login(next).await.unwrap(), None, "none was opened");
}

#[tokio::test]
async fn no_renewal_outlives_the_end_of_all_logins() {
    let store = Arc::new(Meddling::new());
    let chat = Chat::builder(Arc::clone(&store)).build();
    let auth = Auth::new(chat.clone(), jwt()).passwords(pool());
    auth.register("alice", PASSWORD).await.unwrap();
    let session = auth.login("alice", PASSWORD).await.unwrap();
    assert!(auth.renew(&session.identity).await.is_ok());
    // All logins are ended just before the new one is opened.
    store.revoke_first.store(true, Ordering::SeqCst);
    let error = auth.renew(&session.identity).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(!store.revoke_first.load(Ordering::SeqCst), "it came so far");
}

#[tokio::test]
async fn nobody_gets_in_while_the_store_does_not_answer() {
    let store = Arc::new(Meddling::new());
    let chat = Chat::builder(Arc::clone(&store)).build();
    let auth = Auth::new(chat, jwt()).passwords(pool());
    auth.register("alice", PASSWORD).await.unwrap();
    let session = auth.login("alice", PASSWORD).await.unwrap();
    store.down.store(true, Ordering::SeqCst);
    for kind in [
        auth.authenticate(&session.token).await.unwrap_err().kind(),
        auth.login("alice", PASSWORD).await.unwrap_err().kind(),
        auth.login("nobody", PASSWORD).await.unwrap_err().kind(),
        auth.register("bob", PASSWORD).await.unwrap_err().kind(),
        auth.renew(&session.identity).await.unwrap_err().kind(),
        auth.logout(&session.identity).await.unwrap_err().kind(),
    ] {
        assert_eq!(kind, ErrorKind::Unavailable);
    }
    store.down.store(false, Ordering::SeqCst);
    assert!(auth.authenticate(&session.token).await.is_ok());
}

#[tokio::test]
async fn a_lifetime_is_kept_and_bounded() {
    let (_, auth) = start();
    auth.register("alice", PASSWORD).await.unwrap();
    let short = auth.clone().lifetime(Duration::from_secs(90));
    let before = Timestamp::now();
    let session = short.login("alice", PASSWORD).await.unwrap();
    let lasts = |since: Timestamp| session.expires.millis() - since.millis();
    assert!(lasts(before) > 89_000 && lasts(Timestamp::now()) <= 90_000);
    assert_eq!(
        session.expires.millis() % 1000,
        0,
        "the token says the same"
    );
    let endless = auth.clone().lifetime(Duration::MAX);
    let error = endless.login("alice", PASSWORD).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn shows_neither_token_nor_secret() {
    let (_, auth) = start();
    auth.register("alice", PASSWORD).await.unwrap();
    let session = auth.login("alice", PASSWORD).await.unwrap();
    let shown = format!("{session:?} {session:#?} {auth:?}");
    for part in session.token.split('.') {
        assert!(!shown.contains(part));
    }
}
