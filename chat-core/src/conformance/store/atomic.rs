//! Law 4: all of a write or nothing of it.

use crate::conformance::world::{World, create, refused, to};
use crate::conformance::{Fixture, Outcome, Verdict, ensure_eq};
use crate::{Actor, Change, Error, ErrorKind, History, Role, Target, Viewer, Write};

/// A write whose last change is refused changes nothing: no log, no row, no list, no id that others would notice.
///
/// # Errors
/// How it was broken.
pub async fn all_or_nothing(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [owner, member, other] = world.users().await?;
    let id = world.group_of(owner, &[member]).await?;
    let message = world.post(member, id, "first").await?;
    let before = world.picture(&[owner, member, other], &[id]).await?;
    let react = Change::React {
        message,
        emoji: "+".into(),
        on: true,
    };
    let edit = Change::Edit {
        message,
        revision: None,
        content: "changed".into(),
    };
    let refused_edit = Change::Edit {
        message,
        revision: Some(7),
        content: "outdated".into(),
    };
    let add = Change::Add {
        user: other,
        role: Role::Member,
    };
    let rename = Change::Configure {
        title: Some("Renamed".into()),
        data: None,
        history: Some(History::Joined),
    };
    let hand_over = Change::SetRole {
        user: member,
        role: Role::Owner,
    };
    let nobody = Change::Remove { user: owner };
    let writes = [
        to(
            member,
            id,
            vec![
                Change::post("second"),
                react.clone(),
                edit,
                Change::Delete { message },
                Change::Read { seq: 3 },
                Change::Hide,
                add.clone(),
            ],
        ),
        to(
            owner,
            id,
            vec![
                Change::post("third"),
                add,
                rename,
                Change::Pin { message, on: true },
                hand_over,
                nobody,
                refused_edit.clone(),
            ],
        ),
        to(member, id, vec![Change::Leave { successor: None }, react]),
        Write::new(
            Actor::User(owner),
            Target::Group,
            vec![
                create(&[(member, Role::Member)], History::All),
                refused_edit.clone(),
            ],
        ),
        Write::new(
            Actor::User(owner),
            Target::Direct(owner, other),
            vec![Change::post("hello"), refused_edit],
        ),
    ];
    for (n, write) in writes.into_iter().enumerate() {
        refused(
            &format!("write {n}, whose last change is refused"),
            world.commit(write).await,
            &[
                ErrorKind::Forbidden,
                ErrorKind::Conflict,
                ErrorKind::NotFound,
                ErrorKind::Invalid,
            ],
        )?;
        let after = world.picture(&[owner, member, other], &[id]).await?;
        ensure_eq!(after, before, "what refused write {n} left");
    }
    let seq = world.post(member, id, "second").await?;
    ensure_eq!(seq, 3, "the next seq");
    Ok(Verdict::Holds)
}

/// A refused write of a group fails alone: those before and after it are committed, and what it would have changed is not
/// what the next one sees.
///
/// # Errors
/// How it was broken.
pub async fn refused_alone(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [owner, member, other] = world.users().await?;
    let id = world.group_of(owner, &[member]).await?;
    let add = Change::Add {
        user: other,
        role: Role::Member,
    };
    let forbidden = Change::Pin {
        message: 2,
        on: true,
    };
    let results = world
        .group(vec![
            to(owner, id, vec![Change::post("two")]),
            // Adds one member, then fails: so the next, by that one, has to fail as well.
            to(
                owner,
                id,
                vec![
                    add.clone(),
                    Change::Remove { user: owner },
                    forbidden.clone(),
                ],
            ),
            to(other, id, vec![Change::post("not yet")]),
            to(member, id, vec![Change::post("lost"), forbidden]),
            to(owner, id, vec![add]),
            to(other, id, vec![Change::post("four")]),
        ])
        .await?;
    let kinds: Vec<_> = results
        .iter()
        .map(|r| r.as_ref().err().map(Error::kind))
        .collect();
    ensure_eq!(kinds[0], None, "the first");
    crate::conformance::ensure!(
        kinds[1].is_some(),
        "an owner removed themselves and went on"
    );
    ensure_eq!(kinds[2], Some(ErrorKind::NotFound), "a stranger's");
    ensure_eq!(kinds[3], Some(ErrorKind::Forbidden), "a member's pin");
    ensure_eq!(
        (kinds[4], kinds[5]),
        (None, None),
        "those after refused ones"
    );
    let log = world.log(Viewer::All, id).await?;
    ensure_eq!(log.len(), 4, "the log");
    let seen = world.read(other, id).await?;
    ensure_eq!(seen, vec![2, 4], "messages");
    Ok(Verdict::Holds)
}
