//! Writes to a user: profile, blocks, credentials, logins.

use super::row::tables;
use super::scratch::{Scratch, Stop};
use super::{Counter, Row, RowKey, misplaced, reject};
use crate::limits::fixed;
use crate::{
    Actor, Change, Committed, Error, EventKind, LOCAL, Login, LoginId, Target, Timestamp, User,
    UserId, Write, fold_name,
};

pub(super) fn decide(rows: &mut Scratch<'_>, write: &Write) -> Result<Committed, Stop> {
    let mut changes = &write.changes[..];
    let mut user = match &write.target {
        Target::User(id) => {
            if matches!(write.actor, Actor::User(actor) if actor != *id) {
                return reject(no_user());
            }
            match rows.get::<tables::User>(RowKey::User(*id))? {
                Some(user) => user,
                None => return reject(no_user()),
            }
        }
        Target::Subject { provider, subject } => {
            host_only(write.actor)?;
            find_or_make(rows, provider, subject, &mut changes)?
        }
        _ => return reject(no_user()),
    };
    if changes.is_empty() && matches!(write.target, Target::User(_)) {
        return reject(Error::invalid("a write needs at least one change"));
    }
    let mut opened = None;
    for change in changes {
        match change {
            Change::Profile { name, data } => {
                profile(rows, write.actor, &mut user, name.as_deref(), data.as_ref())?
            }
            Change::Disable { on } => {
                host_only(write.actor)?;
                disable(rows, write.actor, &mut user, *on)?;
            }
            Change::Block { user: whom, on } => block(rows, write.actor, &user, *whom, *on)?,
            Change::SetCredential { expected, hash } => {
                host_only(write.actor)?;
                set_credential(rows, &user, expected.as_deref(), hash)?;
            }
            Change::OpenLogin { expires } => {
                host_only(write.actor)?;
                opened = Some(open_login(rows, &user, *expires)?);
            }
            Change::RevokeLogins { login } => revoke(rows, write.actor, &mut user, *login)?,
            Change::Register { .. } => {
                return reject(Error::invalid(
                    "`register` is the first change to a new user only",
                ));
            }
            other => return misplaced(other),
        }
    }
    Ok(Committed {
        conversation: None,
        user: Some(user.id),
        login: opened,
        first: 0,
        count: 0,
        at: rows.now,
        replayed: false,
        marked: None,
        events: std::mem::take(&mut rows.user_events),
    })
}

fn no_user() -> Error {
    Error::not_found("there is no such user")
}

fn host_only(actor: Actor) -> Result<(), Stop> {
    if actor == Actor::Host {
        Ok(())
    } else {
        reject(Error::forbidden("only the host may do that"))
    }
}

/// The user of a subject; made by a leading `register` or `profile`, which is then done.
fn find_or_make(
    rows: &mut Scratch<'_>,
    provider: &str,
    subject: &str,
    changes: &mut &[Change],
) -> Result<User, Stop> {
    let sound = |text: &str| !text.is_empty() && text.len() <= fixed::KEY;
    if !sound(provider) || !sound(subject) {
        return reject(Error::invalid(
            "a provider and a subject have 1 to 256 bytes each",
        ));
    }
    let key = RowKey::Subject(provider.to_owned(), subject.to_owned());
    let found = rows.get::<tables::Subject>(key.clone())?;
    let registers = matches!(changes.first(), Some(Change::Register { .. }));
    match found {
        Some(_) if registers => reject(Error::conflict("this name is taken")),
        Some(id) => match rows.get::<tables::User>(RowKey::User(id))? {
            Some(user) => Ok(user),
            None => reject(Error::internal("a subject names a user who is not there")),
        },
        None => {
            let (name, data) = match changes.first() {
                Some(Change::Register { name }) => (name.clone(), None),
                Some(Change::Profile { name, data }) => (
                    name.clone().unwrap_or_else(|| subject.to_owned()),
                    data.clone(),
                ),
                _ => (subject.to_owned(), None),
            };
            if matches!(
                changes.first(),
                Some(Change::Register { .. } | Change::Profile { .. })
            ) {
                *changes = &changes[1..];
            }
            sound_name(&name)?;
            let id = UserId::new(rows.next_id(Counter::User)?)?;
            let user = User {
                id,
                provider: provider.to_owned(),
                subject: subject.to_owned(),
                name,
                data,
                disabled: false,
                logins_from: 0,
            };
            rows.put(key, Row::Subject(id));
            for suffix in suffixes(&user.name) {
                rows.put(RowKey::Suffix(suffix, id), Row::Suffix(()));
            }
            save(rows, &user);
            Ok(user)
        }
    }
}

fn save(rows: &mut Scratch<'_>, user: &User) {
    rows.put(RowKey::User(user.id), Row::User(user.clone()));
}

fn sound_name(name: &str) -> Result<(), Stop> {
    // Search keeps a name once from each of its characters on, so this bounds rows and their keys for the host too.
    if name.len() > fixed::NAME {
        return reject(Error::invalid("a name has at most 256 bytes"));
    }
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return reject(Error::invalid(
            "a name has at least one visible and no control character",
        ));
    }
    Ok(())
}

/// What of a name search finds: its folded form from each character on.
fn suffixes(name: &str) -> Vec<String> {
    let folded = fold_name(name);
    folded
        .char_indices()
        .take(fixed::SUFFIXES)
        .map(|(at, _)| folded[at..].to_owned())
        .collect()
}

fn profile(
    rows: &mut Scratch<'_>,
    actor: Actor,
    user: &mut User,
    name: Option<&str>,
    data: Option<&crate::Data>,
) -> Result<(), Stop> {
    let before = user.clone();
    if let Some(name) = name {
        // A built-in user's name is what they log in with and what search shows: only the host may let the two differ.
        if user.provider == LOCAL && name != user.name {
            host_only(actor)?;
        }
        sound_name(name)?;
        name.clone_into(&mut user.name);
    }
    if let Some(data) = data {
        user.data = Some(data.clone());
    }
    if *user == before {
        return Ok(());
    }
    if user.name != before.name {
        for suffix in suffixes(&before.name) {
            rows.take_away(RowKey::Suffix(suffix, user.id));
        }
        for suffix in suffixes(&user.name) {
            rows.put(RowKey::Suffix(suffix, user.id), Row::Suffix(()));
        }
    }
    save(rows, user);
    rows.tell(user.id, actor, EventKind::Profile)
}

fn disable(rows: &mut Scratch<'_>, actor: Actor, user: &mut User, on: bool) -> Result<(), Stop> {
    if user.disabled == on {
        return Ok(());
    }
    user.disabled = on;
    save(rows, user);
    rows.tell(user.id, actor, EventKind::Profile)?;
    if on {
        revoke(rows, actor, user, None)
    } else {
        Ok(())
    }
}

fn block(
    rows: &mut Scratch<'_>,
    actor: Actor,
    user: &User,
    whom: UserId,
    on: bool,
) -> Result<(), Stop> {
    if whom == user.id {
        return reject(Error::invalid("nobody blocks themselves"));
    }
    rows.user_exists(whom)?;
    let key = RowKey::Block(user.id, whom);
    if rows.has(key.clone())? == on {
        return Ok(());
    }
    if on {
        rows.put(key, Row::Block(()));
    } else {
        rows.take_away(key);
    }
    rows.tell(user.id, actor, EventKind::Blocked { user: whom, on })
}

fn set_credential(
    rows: &mut Scratch<'_>,
    user: &User,
    expected: Option<&str>,
    hash: &str,
) -> Result<(), Stop> {
    let key = RowKey::Credential(user.id);
    if let Some(expected) = expected
        && rows.get::<tables::Credential>(key.clone())?.as_deref() != Some(expected)
    {
        return reject(Error::conflict("the password was changed meanwhile"));
    }
    rows.put(key, Row::Credential(hash.to_owned()));
    Ok(())
}

fn open_login(rows: &mut Scratch<'_>, user: &User, expires: Timestamp) -> Result<LoginId, Stop> {
    if user.disabled {
        return reject(Error::forbidden("this user is disabled"));
    }
    let id = LoginId::new(rows.next_id(Counter::Login)?)?;
    let login = Login {
        id,
        user: user.id,
        at: rows.now,
        expires,
        revoked: false,
    };
    rows.put(RowKey::Login(id), Row::Login(login));
    Ok(id)
}

fn revoke(
    rows: &mut Scratch<'_>,
    actor: Actor,
    user: &mut User,
    login: Option<LoginId>,
) -> Result<(), Stop> {
    let kind = match login {
        Some(id) => {
            let own = rows
                .get::<tables::Login>(RowKey::Login(id))?
                .filter(|login| login.user == user.id);
            let Some(mut login) = own else {
                return reject(Error::not_found("there is no such login"));
            };
            if login.revoked {
                return Ok(());
            }
            login.revoked = true;
            rows.put(RowKey::Login(id), Row::Login(login));
            EventKind::LoginsRevoked {
                login: Some(id),
                before: 0,
            }
        }
        None => {
            let before = rows
                .get::<tables::Counter>(RowKey::Counter(Counter::Login))?
                .unwrap_or(0)
                + 1;
            user.logins_from = before;
            save(rows, user);
            EventKind::LoginsRevoked {
                login: None,
                before,
            }
        }
    };
    rows.tell(user.id, actor, kind)
}
