//! The tables, and how an older database becomes a newer one.
//!
//! All names begin with `chat_`, so that a host's own tables can stand in the same schema. Texts are compared byte by byte
//! (`COLLATE "C"`), whatever the database's own order is.

use tokio_postgres::{Client, Error, Row};

use crate::error::OpenError;

/// What each version added, in order; the version of a database is how many of them it went through. Steps that were
/// released are never changed, only followed by others.
///
/// - Every table's primary key begins with what a sharded database may spread it by: the log for all that a conversation
///   holds, else the id or name itself.
/// - `chat_head` holds a row of every log, of a user's from the user's first moment on: it is what a group locks.
/// - Rows that every message changes (`chat_head`, `chat_member`) leave room in their pages, so that no index has to learn
///   of the change.
/// - `chat_event.place` is where an entry stands in the feed: the group's number times 2^20, plus a number within the group.
///   See `feed.rs`.
/// - `chat_search` holds the words of messages, `chat_indexed` how far they were taken in. See `search.rs`.
const STEPS: [&str; 3] = [
    r#"
    CREATE TABLE chat_meta(name text COLLATE "C" PRIMARY KEY, number bigint, bytes bytea);
    CREATE TABLE chat_counter(name text COLLATE "C" PRIMARY KEY, last bigint NOT NULL) WITH (fillfactor = 10);
    CREATE TABLE chat_user(user_id bigint PRIMARY KEY, body text NOT NULL);
    CREATE TABLE chat_subject(
        provider text COLLATE "C" NOT NULL, subject text COLLATE "C" NOT NULL, user_id bigint NOT NULL,
        PRIMARY KEY(provider, subject));
    CREATE TABLE chat_suffix(
        suffix text COLLATE "C" NOT NULL, user_id bigint NOT NULL, PRIMARY KEY(suffix, user_id));
    CREATE TABLE chat_credential(user_id bigint PRIMARY KEY, hash text NOT NULL);
    CREATE TABLE chat_login(login bigint PRIMARY KEY, body text NOT NULL);
    CREATE TABLE chat_block(by_id bigint NOT NULL, user_id bigint NOT NULL, PRIMARY KEY(by_id, user_id));
    CREATE TABLE chat_conversation(conversation bigint PRIMARY KEY, body text NOT NULL);
    CREATE TABLE chat_direct(
        a bigint NOT NULL, b bigint NOT NULL, conversation bigint NOT NULL, PRIMARY KEY(a, b));
    CREATE TABLE chat_named(name text COLLATE "C" PRIMARY KEY, conversation bigint NOT NULL);
    CREATE TABLE chat_member(
        conversation bigint NOT NULL, user_id bigint NOT NULL,
        role bigint, ranges text NOT NULL, read bigint NOT NULL, read_ordinal bigint NOT NULL,
        delivered bigint NOT NULL, hidden bigint NOT NULL, muted_until bigint, archived bigint NOT NULL,
        mentions text,
        PRIMARY KEY(conversation, user_id)) WITH (fillfactor = 70);
    CREATE INDEX chat_member_user ON chat_member(user_id);
    CREATE TABLE chat_head(
        log bigint PRIMARY KEY, seq bigint NOT NULL, floor bigint NOT NULL, ordinal bigint NOT NULL,
        message bigint NOT NULL, at bigint NOT NULL) WITH (fillfactor = 50);
    CREATE TABLE chat_event(
        log bigint NOT NULL, seq bigint NOT NULL, place bigint NOT NULL, at bigint NOT NULL,
        actor bigint NOT NULL, ordinal bigint NOT NULL, kind text, revision bigint, text text, data text,
        edited_at bigint, reply_to bigint, mentions text, reactions text,
        PRIMARY KEY(log, seq));
    CREATE INDEX chat_event_place ON chat_event(place);
    CREATE SEQUENCE chat_place MAXVALUE 8796093022207;
    CREATE TABLE chat_reaction(
        conversation bigint NOT NULL, message bigint NOT NULL, user_id bigint NOT NULL, body text NOT NULL,
        PRIMARY KEY(conversation, message, user_id));
    CREATE TABLE chat_done(
        key bytea NOT NULL, author bigint NOT NULL,
        digest bytea NOT NULL, at bigint NOT NULL, conversation bigint, user_id bigint, login bigint,
        first bigint NOT NULL, count bigint NOT NULL,
        PRIMARY KEY(key, author));
    INSERT INTO chat_counter(name, last) VALUES('conversation', 0), ('login', 0), ('user', 0);
"#,
    r#"
    CREATE TABLE chat_search(
        conversation bigint NOT NULL, seq bigint NOT NULL, place bigint NOT NULL, words tsvector NOT NULL,
        PRIMARY KEY(conversation, seq));
    CREATE INDEX chat_search_words ON chat_search USING gin(words) WITH (fastupdate = off);
    CREATE TABLE chat_indexed(
        id bigint PRIMARY KEY, place bigint NOT NULL, version text COLLATE "C" NOT NULL) WITH (fillfactor = 10);
    INSERT INTO chat_indexed(id, place, version) VALUES(0, 0, '');
"#,
    r#"
    ALTER TABLE chat_event ADD COLUMN changed bigint;
    CREATE TABLE chat_parted(
        conversation bigint NOT NULL, user_id bigint NOT NULL, body text NOT NULL,
        PRIMARY KEY(conversation, user_id));
    CREATE TABLE chat_marks(conversation bigint PRIMARY KEY, count bigint NOT NULL) WITH (fillfactor = 50);
"#,
];

/// The version that this program writes.
const VERSION: i64 = STEPS.len() as i64;

/// Whoever changes the tables of a schema holds this lock: several processes may start at once. The number means nothing.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7163384719235261561 # current_schema()::regnamespace::oid::bigint)";

/// Refuses a database that texts do not fit in, and warns of one that loses what was acknowledged.
pub(crate) async fn check(client: &Client) -> Result<(), OpenError> {
    let settings = "SELECT current_setting('server_encoding'), current_setting('fsync')";
    let settings = client.query_one(settings, &[]).await?;
    let (encoding, fsync): (String, String) = (settings.try_get(0)?, settings.try_get(1)?);
    if encoding != "UTF8" {
        return Err(OpenError::Encoding { found: encoding });
    }
    if fsync != "on" {
        tracing::warn!(
            "the database runs with fsync = off: a power cut takes acknowledged messages away"
        );
    }
    Ok(())
}

/// Brings a database to this program's version, all or nothing, and gives a new one its secret.
pub(crate) async fn migrate(client: &Client, secret: &[u8; 32]) -> Result<(), OpenError> {
    client
        .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
        .await?;
    client.batch_execute(LOCK).await?;
    let from = version(client).await?;
    for step in STEPS.iter().skip(usize::try_from(from).unwrap_or(0)) {
        client.batch_execute(step).await?;
    }
    if from == 0 {
        let insert = "INSERT INTO chat_meta(name, bytes) VALUES('secret', $1)";
        client.execute(insert, &[&&secret[..]]).await?;
    }
    crate::search::prepare(client).await?;
    if from < VERSION {
        let set = "INSERT INTO chat_meta(name, number) VALUES('schema', $1)
                   ON CONFLICT(name) DO UPDATE SET number = excluded.number";
        client.execute(set, &[&VERSION]).await?;
    }
    Ok(client.batch_execute("COMMIT").await?)
}

/// The version found; 0 for a schema without tables of ours.
async fn version(client: &Client) -> Result<i64, OpenError> {
    let ours = "SELECT relname::text FROM pg_class
                WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
                    AND relname LIKE 'chat\\_%'
                ORDER BY relname <> 'chat_meta', relname LIMIT 1";
    let Some(found) = client.query_opt(ours, &[]).await? else {
        return Ok(0);
    };
    let table: String = found.try_get(0)?;
    let foreign = || OpenError::Foreign {
        table: table.clone(),
    };
    if table != "chat_meta" {
        return Err(foreign());
    }
    let number = "SELECT number FROM chat_meta WHERE name = 'schema'";
    let read = |row: Option<Row>| row.and_then(|row| row.try_get::<_, i64>(0).ok());
    match client.query_opt(number, &[]).await.map(read) {
        Ok(Some(found)) if found > VERSION => Err(OpenError::Newer {
            found,
            known: VERSION,
        }),
        Ok(Some(found)) if found > 0 => Ok(found),
        Ok(_) => Err(foreign()),
        // No such column: somebody else's table.
        Err(error) if names_nothing(&error) => Err(foreign()),
        Err(error) => Err(error.into()),
    }
}

fn names_nothing(error: &Error) -> bool {
    error.code().is_some_and(|code| code.code() == "42703")
}
