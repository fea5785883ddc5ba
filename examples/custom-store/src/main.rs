//! A store over an engine of one's own choice: redb, in this one file. `cargo run -p chat-example-custom-store`
//!
//! `tests/laws.rs` beside it tries all laws of the chat on it.

use std::ops::Range;
use std::path::Path;

use chat_core::kv::{Batch, Engine, KvStore, Pairs};
use chat_core::{Chat, Error, Span, Target, Viewer, Write};
use redb::{Database, DatabaseError, ReadableDatabase, TableDefinition};

/// One table is all it takes: from bytes to bytes, in the order of unsigned bytes.
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("chat");

/// A redb database as an engine.
#[derive(Debug)]
pub(crate) struct Redb(Database);

impl Redb {
    /// Opens the database in a file, or makes it there. redb itself refuses a second opener, and repairs what a crash left.
    ///
    /// # Errors
    /// What redb says.
    pub(crate) fn open(file: &Path) -> Result<Self, Error> {
        Self::over(Database::create(file).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => Error::busy("it is open already"),
            error => failed(error),
        })?)
    }

    /// Over a database that was opened in another way.
    ///
    /// # Errors
    /// What redb says.
    pub(crate) fn over(db: Database) -> Result<Self, Error> {
        let engine = Self(db);
        // A table comes into being when it is first opened for writing; reads need it.
        engine.write(Batch::new()).map_err(failed)?;
        Ok(engine)
    }

    /// One transaction. `commit` waits until it is on disk and then lets readers see it: redb's default durability.
    fn write(&self, batch: Batch) -> Result<(), redb::Error> {
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in batch {
                match value {
                    Some(value) => table.insert(&key[..], &value[..])?,
                    None => table.remove(&key[..])?,
                };
            }
        }
        Ok(transaction.commit()?)
    }

    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    fn page(
        &self,
        range: Range<&[u8]>,
        backward: bool,
        limit: usize,
    ) -> Result<Pairs, redb::Error> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        let mut range = table.range::<&[u8]>(range)?;
        let mut pairs = Pairs::new();
        while pairs.len() < limit {
            let next = if backward {
                range.next_back()
            } else {
                range.next()
            };
            let Some((key, value)) = next.transpose()? else {
                break;
            };
            pairs.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(pairs)
    }
}

/// Whatever goes wrong: nobody knows whether it happened. redb's errors name no keys and values.
fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unavailable("the database does not answer").with_source(error)
}

impl Engine for Redb {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.read(key).map_err(failed)
    }

    fn scan(&self, range: Range<&[u8]>, backward: bool, limit: usize) -> Result<Pairs, Error> {
        self.page(range, backward, limit).map_err(failed)
    }

    fn apply(&mut self, batch: Batch) -> Result<(), Error> {
        self.write(batch).map_err(failed)
    }
}

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout)]
async fn main() -> Result<(), Error> {
    let file = std::env::args().nth(1).unwrap_or("chat.redb".into());
    let chat = Chat::builder(KvStore::open(Redb::open(Path::new(&file))?)?).build();

    let ann = chat.enroll("example", "ann", "Ann").await?;
    let bob = chat.enroll("example", "bob", "Bob").await?;
    let write = Write::post(ann, Target::Direct(ann, bob), "Kept by redb.");
    let sent = chat.commit(write).await?;

    // One more each time that it is run.
    if let Some(conversation) = sent.conversation {
        let history = chat.history(Viewer::User(bob), conversation, Span::Latest, 50);
        for message in history.await? {
            println!("{}: {:?}", message.seq, message.text());
        }
    }
    Ok(())
}
