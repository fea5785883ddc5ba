//! `chat-server import-original`: what the original Python app kept, into a store.
//!
//! Every row goes through the rules that decide all writes, at the time it had in the original, so the result is as sound as
//! if it had all been written here.

mod original;
mod report;
mod writing;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::process::ExitCode;

use chat_auth::{Username, canonical};
use chat_core::rules::Counter;
use chat_core::{
    Actor, Change, ConversationId, Error, Fingerprint, History, LOCAL, Limits, MAX_ID, Target,
    Timestamp, UserId, Write,
};
use chat_store_sqlite::rusqlite;

use self::original::{OldUser, Original};
use self::report::{Odd, Report};
use self::writing::Writing;
use crate::copy::whole;
use crate::progress::Progress;
use crate::serve::say;
use crate::stores::Place;

/// The exit code when all is done, but something was changed or left out.
const NOT_AS_IT_WAS: u8 = 3;

/// Imports everything, and tells what is not as it was.
///
/// # Errors
/// One sentence that says what to mend.
pub(crate) async fn import(from: &Path, to: &Place) -> Result<ExitCode, String> {
    let original = Original::open(from)?;
    let store = to.open().await?;
    let told = |error: Error| format!("{to}: {}", whole(&error));
    let mut import = Import {
        writing: Writing::begin(&*store).await.map_err(told)?,
        report: Report::default(),
        users: BTreeMap::new(),
        talks: HashMap::new(),
        pairs: HashMap::new(),
        made: HashSet::new(),
        messages: 0,
    };
    let failed = |why: Failed| match why {
        Failed::Original(why) => format!("{}: {why}", from.display()),
        Failed::Store(error) => told(error),
    };
    import.all(&original).await.map_err(failed)?;
    let Import {
        writing,
        report,
        users,
        made,
        messages,
        ..
    } = import;
    let fingerprint: Fingerprint = writing.end().await.map_err(told)?;
    store.close().await.map_err(told)?;
    let (users, talks) = (users.len(), made.len());
    say(&format!(
        "Imported {users} users, {talks} conversations and {messages} messages to {to}: {fingerprint}"
    ));
    if report.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    report.lines().for_each(|line| say(&line));
    Ok(ExitCode::from(NOT_AS_IT_WAS))
}

/// Why an import breaks off.
enum Failed {
    /// The original cannot be read on.
    Original(String),
    /// The store says so.
    Store(Error),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Original(format!("it cannot be read: {error}"))
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Where the messages of an old conversation go.
#[derive(Clone, Copy)]
struct Talk {
    /// The lowest old id of the pair's conversations; the new id.
    id: ConversationId,
    a: UserId,
    b: UserId,
}

impl Talk {
    fn is_of_one(self) -> bool {
        self.a == self.b
    }
}

struct Import<'a> {
    writing: Writing<'a>,
    report: Report,
    /// Who is there, and whether the original had them.
    users: BTreeMap<UserId, bool>,
    /// By their old ids.
    talks: HashMap<i64, Talk>,
    pairs: HashMap<(UserId, UserId), ConversationId>,
    /// Those that have begun.
    made: HashSet<ConversationId>,
    messages: u64,
}

impl Import<'_> {
    async fn all(&mut self, original: &Original) -> Result<(), Failed> {
        let mut progress = Progress::new();
        let users = original.users()?;
        let names = names(&users);
        for (count, user) in (1..).zip(&users) {
            self.user(user, &names).await?;
            progress.at("Users", count, Some(users.len() as u64));
        }
        let conversations = original.conversations()?;
        for (id, a, b) in conversations {
            self.conversation(id, a, b).await?;
        }

        let (mut times, unknown) = original.times()?;
        for id in unknown {
            self.report.note(Odd::Time, id);
        }
        times.sort_unstable();
        let all = times.len() as u64;
        for (count, &(micros, id)) in (1..).zip(&times) {
            let at = Timestamp::from_millis(micros.div_euclid(1000));
            self.message(original, id, at).await?;
            progress.at("Messages", count, Some(all));
        }
        // Their time is not known: at the end of every list.
        let first = times.first().map_or_else(Timestamp::now, |(micros, _)| {
            Timestamp::from_millis(micros.div_euclid(1000))
        });
        let mut talks: Vec<Talk> = self.talks.values().copied().collect();
        talks.sort_unstable_by_key(|talk| talk.id);
        talks.dedup_by_key(|talk| talk.id);
        for &talk in &talks {
            if !self.made.contains(&talk.id) {
                self.write(talk, Actor::User(talk.a), Vec::new(), first)
                    .await?;
            }
        }
        self.finish(&talks).await
    }

    /// Users who are known by nothing but an id, cursors, counters.
    async fn finish(&mut self, talks: &[Talk]) -> Result<(), Failed> {
        let now = Timestamp::now();
        for talk in talks.iter().filter(|talk| self.made.contains(&talk.id)) {
            for user in [talk.a, talk.b] {
                if self.users.get(&user) == Some(&true) {
                    let (target, seq) = (Target::Conversation(talk.id), MAX_ID);
                    let read = Write::new(Actor::User(user), target, vec![Change::Read { seq }]);
                    self.writing.commit(read, now).await?;
                }
            }
        }
        let known: Vec<UserId> = self.users.keys().copied().collect();
        for &user in known.iter().filter(|user| !self.users[*user]) {
            let change = Change::Disable { on: true };
            let disable = Write::new(Actor::Host, Target::User(user), vec![change]);
            self.writing.commit(disable, now).await?;
        }
        let last = known.last().map_or(0, |user| user.get());
        self.writing.set_counter(Counter::User, last);
        let last = self.made.iter().max().map_or(0, |id| id.get());
        self.writing.set_counter(Counter::Conversation, last);
        Ok(())
    }

    async fn user(&mut self, user: &OldUser, names: &Names) -> Result<(), Failed> {
        let Some(id) = user_id(Some(user.id)) else {
            self.report.note(Odd::UserId, user.id);
            return Ok(());
        };
        let old = user.name.as_deref().unwrap_or_default();
        let name = names.of(user);
        if name != old {
            self.report
                .note(Odd::Renamed, format!("{id} ({old:?} is {name:?} now)"));
        }
        let mut changes = vec![Change::Register { name: name.clone() }];
        match &user.hash {
            Some(hash) if hash.starts_with("$bcrypt-sha256$") => {
                let (expected, hash) = (None, hash.clone());
                changes.push(Change::SetCredential { expected, hash });
            }
            _ => self.report.note(Odd::Password, id),
        }
        self.register(id, &name, changes).await?;
        self.users.insert(id, true);
        Ok(())
    }

    async fn register(
        &mut self,
        id: UserId,
        name: &str,
        changes: Vec<Change>,
    ) -> Result<(), Failed> {
        let target = Target::Subject {
            provider: LOCAL.to_owned(),
            subject: canonical(name),
        };
        self.writing.set_counter(Counter::User, id.get() - 1);
        let register = Write::new(Actor::Host, target, changes);
        self.writing.commit(register, Timestamp::now()).await?;
        Ok(())
    }

    async fn conversation(
        &mut self,
        old: i64,
        a: Option<i64>,
        b: Option<i64>,
    ) -> Result<(), Failed> {
        let id = u64::try_from(old)
            .ok()
            .and_then(|id| ConversationId::new(id).ok());
        let (Some(id), Some(a), Some(b)) = (id, user_id(a), user_id(b)) else {
            self.report.note(Odd::Conversation, old);
            return Ok(());
        };
        for user in [a, b] {
            if !self.users.contains_key(&user) {
                self.report.note(Odd::Missing, user);
                let name = stand_in(user.get());
                let change = Change::Register { name: name.clone() };
                self.register(user, &name, vec![change]).await?;
                self.users.insert(user, false);
            }
        }
        let (a, b) = (a.min(b), a.max(b));
        let id = *self.pairs.entry((a, b)).or_insert(id);
        let talk = Talk { id, a, b };
        if id.get().cast_signed() != old {
            self.report.note(Odd::Merged, format!("{old} (into {id})"));
        } else if talk.is_of_one() {
            self.report.note(Odd::OfOne, old);
        }
        self.talks.insert(old, talk);
        Ok(())
    }

    async fn message(&mut self, original: &Original, id: i64, at: Timestamp) -> Result<(), Failed> {
        let message = original.message(id)?;
        let talk = message.conversation.and_then(|id| self.talks.get(&id));
        let Some(&talk) = talk else {
            self.report.note(Odd::Nowhere, id);
            return Ok(());
        };
        let sender = user_id(message.sender).filter(|user| [talk.a, talk.b].contains(user));
        let Some(sender) = sender else {
            self.report.note(Odd::Sender, id);
            return Ok(());
        };
        if message.mended {
            self.report.note(Odd::Mended, id);
        }
        let parts = parts(&message.text, Limits::default().text);
        if parts.is_empty() {
            self.report.note(Odd::Empty, id);
            return Ok(());
        }
        if parts.len() > 1 {
            self.report
                .note(Odd::Long, format!("{id} ({} parts)", parts.len()));
        }
        let posts = parts.into_iter().map(Change::post).collect();
        self.write(talk, Actor::User(sender), posts, at).await?;
        self.messages += 1;
        Ok(())
    }

    /// Writes to a conversation, and makes it first if this is the first time.
    async fn write(
        &mut self,
        talk: Talk,
        actor: Actor,
        mut changes: Vec<Change>,
        at: Timestamp,
    ) -> Result<(), Failed> {
        let target = if !self.made.insert(talk.id) {
            Target::Conversation(talk.id)
        } else {
            self.writing
                .set_counter(Counter::Conversation, talk.id.get() - 1);
            if talk.is_of_one() {
                changes.insert(
                    0,
                    Change::Create {
                        title: Some("Notes".into()),
                        data: None,
                        managed: false,
                        history: History::All,
                        members: Vec::new(),
                    },
                );
                Target::Group
            } else {
                Target::Direct(talk.a, talk.b)
            }
        };
        let write = Write::new(actor, target, changes);
        self.writing.commit(write, at).await?;
        Ok(())
    }
}

fn user_id(id: Option<i64>) -> Option<UserId> {
    UserId::new(u64::try_from(id?).ok()?).ok()
}

/// The name of somebody whose own cannot be kept.
fn stand_in(id: u64) -> String {
    format!("user{id}")
}

/// A text in parts that messages may hold; none when it is empty.
fn parts(text: &str, limit: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.floor_char_boundary(limit));
        if !part.trim().is_empty() {
            parts.push(part.to_owned());
        }
        rest = after;
    }
    parts
}

/// Which names users get.
struct Names {
    /// By canonical name: whose it is, the lowest id first.
    owners: HashMap<String, i64>,
}

fn names(users: &[OldUser]) -> Names {
    let mut owners = HashMap::new();
    for user in users {
        if let Some(name) = usable(user) {
            owners.entry(canonical(&name)).or_insert(user.id);
        }
    }
    Names { owners }
}

/// A user's name as it is shown, if it can be one.
fn usable(user: &OldUser) -> Option<String> {
    let name = user.name.as_deref()?;
    // The rules for new names do not count for old ones: whoever can be looked up at a login keeps theirs.
    let name = Username::parse(name).map_or_else(|_| name.trim().to_owned(), |n| n.as_str().into());
    let form = canonical(&name);
    let sound = |text: &str| {
        !text.trim().is_empty() && text.len() <= 256 && !text.contains(char::is_control)
    };
    (sound(&name) && sound(&form)).then_some(name)
}

impl Names {
    fn of(&self, user: &OldUser) -> String {
        let own = usable(user);
        let is_own = |name: &String| self.owners.get(&canonical(name)) == Some(&user.id);
        if let Some(name) = own.as_ref().filter(|name| is_own(name)) {
            return name.clone();
        }
        let base = own.filter(|name| name.len() < 200);
        let first = base.map_or_else(
            || stand_in(user.id.unsigned_abs()),
            |name| format!("{name}-{}", user.id),
        );
        // Ids differ, so with a few more characters it is nobody's.
        let mut name = first;
        while self.owners.contains_key(&canonical(&name)) {
            name.push('-');
            name.push_str(&user.id.to_string());
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::{OldUser, names, parts};

    #[test]
    fn long_texts_fall_into_parts_that_are_whole() {
        assert_eq!(parts("aé", 2), ["a", "é"]);
        assert_eq!(parts("abc", 3), ["abc"]);
        assert!(parts(" \n", 3).is_empty());
        assert_eq!(parts("ab    cd", 2), ["ab", "cd"]);
    }

    #[test]
    fn names_that_count_as_the_same_are_told_apart() {
        let user = |id, name: &str| OldUser {
            id,
            name: Some(name.to_owned()),
            hash: None,
        };
        let users = [
            user(1, "Anna"),
            user(2, "anna"),
            user(3, "ANNA-2"),
            user(4, " "),
            user(5, "admin"),
            user(6, "user4"),
        ];
        let names = names(&users);
        let got: Vec<_> = users.iter().map(|user| names.of(user)).collect();
        assert_eq!(
            got,
            ["Anna", "anna-2-2", "ANNA-2", "user4-4", "admin", "user4"]
        );
    }
}
