//! Who may do what: the table of `docs/ARCHITECTURE.md`, tried cell by cell.

use super::world::{World, about_self, create, created, to};
use super::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq};
use crate::{
    Actor, Change, Content, ConversationId, ErrorKind, History, Role, Seq, Span, Target, UserId,
    Viewer, Write,
};

/// In a group: what comes of an operation for a stranger, a former member, a member whom another blocks, a member, an
/// admin, the owner, the host. `y`: accepted; `f`: forbidden; `n`: as if it did not exist; `r`: refused, in whatever way;
/// `-`: makes no sense.
const GROUP: &[(&str, &str)] = &[
    ("read", "nyyyyyy"),
    ("mark read", "nnyyyy-"),
    ("post", "nnyyyyy"),
    ("reply", "nnyyyyy"),
    ("react", "nnyyyy-"),
    ("edit own", "nnyyyyy"),
    ("delete own", "nnyyyyy"),
    ("edit another's", "nnffffy"),
    ("delete another's", "nnffyyy"),
    ("pin", "nnffyyy"),
    ("rename", "nnffyyy"),
    ("set history", "nnffyyy"),
    ("add", "nnffyyy"),
    ("remove a member", "nnffyyy"),
    ("remove an admin", "nnfffyy"),
    ("remove the owner", "nnfffr-"),
    ("make an admin", "nnfffyy"),
    ("hand over", "nnfffyy"),
    ("leave", "nnyyyr-"),
    ("leave to a successor", "nnyyyy-"),
    ("hide", "n-yyyy-"),
    ("mute", "n-yyyy-"),
    ("archive", "n-yyyy-"),
];

/// In a direct conversation: for a stranger, either side, one who is blocked by the other, one who blocks the other, the
/// host.
const DIRECT: &[(&str, &str)] = &[
    ("read", "nyyyy"),
    ("mark read", "nyyy-"),
    ("post", "nyfyy"),
    ("start or post", "nyfyy"),
    ("reply", "nyfyy"),
    ("react", "nyfy-"),
    ("edit own", "nyfyy"),
    ("delete own", "nyyyy"),
    ("edit another's", "nfffy"),
    ("delete another's", "nfffy"),
    ("pin", "nyfyy"),
    ("rename", "nffff"),
    ("set history", "nffff"),
    ("add", "nffff"),
    ("remove a member", "nffff"),
    ("make an admin", "nffff"),
    ("leave", "nfff-"),
    ("hide", "nyyy-"),
    ("mute", "nyyy-"),
    ("archive", "nyyy-"),
];

/// In a group that the host manages: for a member, an admin, the owner, the host.
const MANAGED: &[(&str, &str)] = &[
    ("read", "yyyy"),
    ("post", "yyyy"),
    ("delete another's", "fyyy"),
    ("pin", "fyyy"),
    ("rename", "fffy"),
    ("set history", "fffy"),
    ("add", "fffy"),
    ("remove a member", "fffy"),
    ("make an admin", "fffy"),
    ("hand over", "fffy"),
    ("leave", "fff-"),
];

/// Everybody in the table.
struct Cast {
    owner: UserId,
    admin: UserId,
    member: UserId,
    blocked: UserId,
    former: UserId,
    stranger: UserId,
    /// A plain member and an admin, to whom things are done.
    other: UserId,
    other_admin: UserId,
    /// Blocks `blocked`; a member as well.
    blocker: UserId,
    /// To be added.
    newcomer: UserId,
}

/// A conversation in which an operation is tried.
struct Scene<'a> {
    world: &'a World,
    cast: &'a Cast,
    id: ConversationId,
    actor: Actor,
    /// A message of the actor's, if they could write one, and one of another's.
    own: Seq,
    others: Seq,
    /// Two sides of a direct conversation, the actor first if they are one.
    pair: (UserId, UserId),
}

/// The whole table, and what besides follows from blocks.
///
/// # Errors
/// The cells that are otherwise.
pub async fn permissions(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let users = world.users::<10>().await?;
    let [
        owner,
        admin,
        member,
        blocked,
        former,
        stranger,
        other,
        other_admin,
        blocker,
        newcomer,
    ] = users;
    let cast = Cast {
        owner,
        admin,
        member,
        blocked,
        former,
        stranger,
        other,
        other_admin,
        blocker,
        newcomer,
    };
    let block = Change::Block {
        user: blocked,
        on: true,
    };
    world.commit(about_self(blocker, block)).await?;
    let mut wrong = Vec::new();
    let user = Actor::User;
    let actors = [stranger, former, blocked, member, admin, owner].map(user);
    for (operation, row) in GROUP {
        for (actor, cell) in actors.into_iter().chain([Actor::Host]).zip(row.chars()) {
            let scene = group(&world, &cast, actor, false).await?;
            wrong.extend(scene.tries(operation, cell, "a group").await?);
        }
    }
    let actors = [member, admin, owner].map(user);
    for (operation, row) in MANAGED {
        for (actor, cell) in actors.into_iter().chain([Actor::Host]).zip(row.chars()) {
            let scene = group(&world, &cast, actor, true).await?;
            wrong.extend(scene.tries(operation, cell, "a managed group").await?);
        }
    }
    for (operation, row) in DIRECT {
        for (column, cell) in row.chars().enumerate() {
            let scene = direct(&world, &cast, column).await?;
            wrong.extend(
                scene
                    .tries(operation, cell, "a direct conversation")
                    .await?,
            );
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    blocks(&world, &cast).await?;
    Ok(Verdict::Holds)
}

/// A new group of all but the stranger and the newcomer; the former member is one no more.
async fn group<'a>(
    world: &'a World,
    cast: &'a Cast,
    actor: Actor,
    managed: bool,
) -> Result<Scene<'a>, Violation> {
    let members = [
        (cast.admin, Role::Admin),
        (cast.other_admin, Role::Admin),
        (cast.member, Role::Member),
        (cast.blocked, Role::Member),
        (cast.former, Role::Member),
        (cast.other, Role::Member),
        (cast.blocker, Role::Member),
    ];
    let write = if managed {
        let mut all = vec![(cast.owner, Role::Owner)];
        all.extend(members);
        let mut settings = create(&all, History::All);
        if let Change::Create { managed, .. } = &mut settings {
            *managed = true;
        }
        Write::new(Actor::Host, Target::Group, vec![settings])
    } else {
        let settings = create(&members, History::All);
        Write::new(Actor::User(cast.owner), Target::Group, vec![settings])
    };
    let id = created(&world.commit(write).await?)?;
    let writer = if actor == Actor::User(cast.stranger) {
        Actor::User(cast.member)
    } else {
        actor
    };
    let remove = Change::Remove { user: cast.former };
    let setting = vec![
        to(cast.other, id, vec![Change::post("another's")]),
        to(writer, id, vec![Change::post("one's own")]),
        to(Actor::Host, id, vec![remove]),
    ];
    for result in world.group(setting).await? {
        result?;
    }
    Ok(Scene {
        world,
        cast,
        id,
        actor,
        own: 3,
        others: 2,
        pair: (cast.owner, cast.other),
    })
}

/// A direct conversation with two new users for each cell, so that blocks of one cell are not those of another.
async fn direct<'a>(
    world: &'a World,
    cast: &'a Cast,
    column: usize,
) -> Result<Scene<'a>, Violation> {
    let [actor, peer] = world.users().await?;
    let pair = (actor, peer);
    let target = || Target::Direct(actor, peer);
    let (by, whom) = if column == 2 {
        (peer, actor)
    } else {
        (actor, peer)
    };
    let first = world
        .commit(Write::post(peer, target(), "another's"))
        .await?;
    let id = created(&first)?;
    let actor = match column {
        0 => Actor::User(cast.stranger),
        4 => Actor::Host,
        _ => Actor::User(actor),
    };
    let writer = if column == 0 { pair.0.into() } else { actor };
    world.change(writer, id, Change::post("one's own")).await?;
    if column == 2 || column == 3 {
        let block = Change::Block {
            user: whom,
            on: true,
        };
        world.commit(about_self(by, block)).await?;
    }
    Ok(Scene {
        world,
        cast,
        id,
        actor,
        own: 3,
        others: 2,
        pair,
    })
}

impl Scene<'_> {
    /// Tries an operation; says so when it does not come to what its cell says.
    async fn tries(
        &self,
        operation: &str,
        cell: char,
        place: &str,
    ) -> Result<Option<String>, Violation> {
        if cell == '-' {
            return Ok(None);
        }
        let kind = self.comes_to(operation).await?;
        let found = match kind {
            None => 'y',
            Some(_) if cell == 'r' => 'r',
            Some(ErrorKind::Forbidden) => 'f',
            Some(ErrorKind::NotFound) => 'n',
            // The host is kept from nothing by rights: what it cannot do, the model has no place for.
            Some(ErrorKind::Invalid | ErrorKind::Conflict) if self.actor == Actor::Host => 'f',
            Some(_) => '?',
        };
        let who = self.who();
        let wrong = || format!("`{operation}` in {place} by {who}: {kind:?}, expected `{cell}`");
        Ok((found != cell).then(wrong))
    }

    fn who(&self) -> &'static str {
        let cast = self.cast;
        let Actor::User(user) = self.actor else {
            return "the host";
        };
        let names = [
            (cast.stranger, "a stranger"),
            (cast.former, "a former member"),
            (cast.blocked, "one who is blocked"),
            (cast.member, "a member"),
            (cast.admin, "an admin"),
            (cast.owner, "the owner"),
        ];
        names
            .into_iter()
            .find(|(other, _)| *other == user)
            .map_or("one side", |(_, name)| name)
    }

    /// Tries an operation; how it was refused, if it was.
    async fn comes_to(&self, operation: &str) -> Result<Option<ErrorKind>, Violation> {
        if operation == "read" {
            return self.reads().await;
        }
        let mut target = Target::Conversation(self.id);
        if operation == "start or post" {
            target = Target::Direct(self.pair.1, self.pair.0);
        }
        let Some(change) = self.change(operation) else {
            return Err(Violation::new(format!("no such operation: {operation}")));
        };
        let write = Write::new(self.actor, target, vec![change]);
        let before = self.world.log(Viewer::All, self.id).await?;
        let result = self.world.commit(write).await;
        if result.is_err() {
            let after = self.world.log(Viewer::All, self.id).await?;
            ensure_eq!(after, before, "what a refused `{operation}` left");
        }
        Ok(result.err().map(|error| error.kind()))
    }

    async fn reads(&self) -> Result<Option<ErrorKind>, Violation> {
        let (store, id) = (&self.world.store, self.id);
        let viewer = match self.actor {
            Actor::Host => Viewer::All,
            Actor::User(user) => Viewer::User(user),
        };
        let history = store.history(viewer, id, Span::Latest, 10).await.map(drop);
        let log = store.log(viewer, id.into(), 0, 10).await.map(drop);
        let kinds = [history, log].map(|result| result.err().map(|error| error.kind()));
        ensure_eq!(kinds[0], kinds[1], "history and log answer differently");
        Ok(kinds[0])
    }

    fn change(&self, operation: &str) -> Option<Change> {
        let cast = self.cast;
        let content = || Content::from("text");
        let configure = |title: Option<&str>, history| Change::Configure {
            title: title.map(str::to_owned),
            data: None,
            history,
        };
        let edit = |message| Change::Edit {
            message,
            revision: None,
            content: content(),
        };
        let set_role = |user, role| Change::SetRole { user, role };
        // In a direct conversation there is only the other side to do things to.
        let other = if self.pair.0 == cast.owner {
            cast.other
        } else {
            self.pair.1
        };
        Some(match operation {
            "mark read" => Change::Read { seq: 2 },
            "post" | "start or post" => Change::post(content()),
            "reply" => Change::Post {
                content: content(),
                reply_to: Some(self.others),
                mentions: Vec::new(),
            },
            "react" => Change::React {
                message: self.others,
                emoji: "+".into(),
                on: true,
            },
            "edit own" => edit(self.own),
            "delete own" => Change::Delete { message: self.own },
            "edit another's" => edit(self.others),
            "delete another's" => Change::Delete {
                message: self.others,
            },
            "pin" => Change::Pin {
                message: self.others,
                on: true,
            },
            "rename" => configure(Some("Renamed"), None),
            "set history" => configure(None, Some(History::Joined)),
            "add" => Change::Add {
                user: cast.newcomer,
                role: Role::Member,
            },
            "remove a member" => Change::Remove { user: other },
            "remove an admin" => Change::Remove {
                user: cast.other_admin,
            },
            "remove the owner" => Change::Remove { user: cast.owner },
            "make an admin" => set_role(other, Role::Admin),
            "hand over" => set_role(other, Role::Owner),
            "leave" => Change::Leave { successor: None },
            "leave to a successor" => Change::Leave {
                successor: (self.actor == Actor::User(cast.owner)).then_some(other),
            },
            "hide" => Change::Hide,
            "mute" => Change::Mute {
                until: Some(crate::Timestamp::from_millis(1 << 42)),
            },
            "archive" => Change::Archive { on: true },
            _ => return None,
        })
    }
}

/// Who is blocked cannot start a conversation with who blocks them, nor draw them into a group, nor mention them.
async fn blocks(world: &World, cast: &Cast) -> Result<(), Violation> {
    let (by, blocked) = (cast.blocker, cast.blocked);
    let kind = |result: Result<crate::Committed, crate::Error>| result.err().map(|e| e.kind());
    let start = Write::post(blocked, Target::Direct(by, blocked), "hello");
    let forbidden = Some(ErrorKind::Forbidden);
    ensure_eq!(
        kind(world.commit(start).await),
        forbidden,
        "starting with a blocker"
    );
    let found = vec![create(&[(by, Role::Member)], History::All)];
    let found = Write::new(Actor::User(blocked), Target::Group, found);
    ensure_eq!(
        kind(world.commit(found).await),
        forbidden,
        "a group with a blocker"
    );
    let id = world.group_of(blocked, &[]).await?;
    let add = || Change::Add {
        user: by,
        role: Role::Member,
    };
    let added = world.change(blocked, id, add()).await;
    ensure_eq!(kind(added), forbidden, "adding a blocker");
    // Others may add them; then they share a group, and what is written there is read there.
    let add_admin = Change::Add {
        user: cast.admin,
        role: Role::Admin,
    };
    world.change(blocked, id, add_admin).await?;
    world.change(cast.admin, id, add()).await?;
    let mention = Change::Post {
        content: "you two".into(),
        reply_to: None,
        mentions: vec![cast.admin, by, cast.stranger],
    };
    let seq = world.change(blocked, id, mention).await?.last();
    let seen = world.history(Viewer::User(by), id).await?;
    let mentions: Vec<_> = seen
        .into_iter()
        .filter(|message| message.seq == seq)
        .map(|message| message.mentions)
        .collect();
    let expected = vec![vec![cast.admin]];
    ensure_eq!(mentions, expected, "who is mentioned by one who is blocked");
    for (user, expected) in [(by, vec![]), (cast.admin, vec![seq])] {
        let member = world.store.entry(user, id).await?.member;
        ensure_eq!(member.mentions, expected, "unread mentions of {user}");
    }
    // The one who blocks may write, and taking the block back opens the conversation for both.
    let theirs = Write::post(by, Target::Direct(by, blocked), "hello");
    ensure_eq!(
        kind(world.commit(theirs).await),
        None,
        "a blocker's message"
    );
    let unblock = Change::Block {
        user: blocked,
        on: false,
    };
    world.commit(about_self(by, unblock)).await?;
    let start = Write::post(blocked, Target::Direct(by, blocked), "hello");
    ensure_eq!(kind(world.commit(start).await), None, "after the block");
    Ok(())
}
