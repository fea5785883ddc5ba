//! The connections that only read: few, opened when first needed.
//!
//! A read runs on a thread where it may block, and a thread that has ended one takes the next that waits. Whoever asks lets
//! others ask too before it looks whether a thread is to be woken: so where many read at once, few are.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use chat_core::Error;
use chat_core::snapshot::Pages;
use rusqlite::Connection;
use tokio::sync::{Notify, oneshot};

use crate::fault::Fault;
use crate::view::View;
use crate::writer::closed;
use crate::{broke_off, open, runtime};

/// How many reads go on at once. Pages come from memory or a local disk: more would only wait for the processors.
const READERS: usize = 4;

/// Connections that nobody reads through now, and what waits to be read.
pub(crate) struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
    waiting: Mutex<Waiting>,
    /// A thread has ended.
    ended: Notify,
    /// Held by every read; whoever wants none takes it for writing.
    pause: RwLock<()>,
    pages: Pages,
}

#[derive(Default)]
struct Waiting {
    /// In the order in which they were asked for.
    reads: VecDeque<Read>,
    /// That take reads until none waits; at most [`READERS`].
    threads: usize,
    is_closed: bool,
}

type Read = Box<dyn FnOnce(&Readers) + Send>;

impl Readers {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self {
            file,
            idle: Mutex::default(),
            waiting: Mutex::default(),
            ended: Notify::new(),
            pause: RwLock::new(()),
            pages: Pages::default(),
        }
    }

    /// Runs a read over one snapshot, which is not older than this call. Dropping the future lets a read that has begun end;
    /// another one does not begin.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&View<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let runtime = runtime()?;
        let (reply, outcome) = oneshot::channel();
        let read = Box::new(move |readers: &Self| {
            if !reply.is_closed() {
                let _ = reply.send(readers.over_snapshot(work));
            }
        });
        self.ask(read)?;
        tokio::task::yield_now().await;
        if let Some(thread) = self.thread() {
            runtime.spawn_blocking(move || thread.run());
        }
        outcome.await.map_err(broke_off)?
    }

    /// Puts a read behind those that wait.
    fn ask(&self, read: Read) -> Result<(), Error> {
        let mut waiting = self.waiting();
        if waiting.is_closed {
            return Err(closed());
        }
        waiting.reads.push_back(read);
        Ok(())
    }

    /// A thread to start, if something waits and there are too few.
    fn thread(self: &Arc<Self>) -> Option<Thread> {
        let mut waiting = self.waiting();
        if waiting.reads.is_empty() || waiting.threads == READERS {
            return None;
        }
        waiting.threads += 1;
        Some(Thread {
            readers: Arc::clone(self),
            has_ended: false,
        })
    }

    fn over_snapshot<T>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _reading = self.pause.read().unwrap_or_else(PoisonError::into_inner);
        let idle = self.idle().pop();
        let db = idle
            .map_or_else(|| open::reader(&self.file), Ok)
            .map_err(Fault::Sql)?;
        // The snapshot begins with the first read in the transaction and ends with it.
        let tx = db.unchecked_transaction().map_err(Fault::Sql)?;
        let result = work(&View::new(&tx, &self.pages));
        let ended = tx.rollback();
        if ended.is_ok() && db.is_autocommit() {
            self.idle().push(db);
        }
        result
    }

    /// Refuses the reads to come, waits for those that were asked for, closes the connections.
    pub(crate) async fn close(self: &Arc<Self>) -> Result<(), Error> {
        let runtime = runtime()?;
        self.waiting().is_closed = true;
        // For reads whose callers left before they started one.
        if let Some(thread) = self.thread() {
            runtime.spawn_blocking(move || thread.run());
        }
        loop {
            let ended = self.ended.notified();
            if self.waiting().threads == 0 {
                break;
            }
            ended.await;
        }
        self.idle().clear();
        Ok(())
    }

    /// Waits for the reads that go on and holds up those to come. Blocks.
    pub(crate) fn pause(&self) -> RwLockWriteGuard<'_, ()> {
        self.pause.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a read could begin now.
    #[cfg(test)]
    pub(crate) fn try_read(&self) -> bool {
        self.pause.try_read().is_ok()
    }

    // Both are whole whatever panicked.
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// One of the threads that read.
struct Thread {
    readers: Arc<Readers>,
    has_ended: bool,
}

impl Thread {
    fn run(mut self) {
        while let Some(read) = self.next() {
            // What panics is told to its caller, as it never answers, and to nobody else. Nothing that it saw is used again: its
            // connection is closed.
            let _ = catch_unwind(AssertUnwindSafe(|| read(&self.readers)));
        }
    }

    /// The next read; when there is none, this thread has ended at that moment, and whoever asks later starts another.
    fn next(&mut self) -> Option<Read> {
        let mut waiting = self.readers.waiting();
        let next = waiting.reads.pop_front();
        if next.is_none() {
            self.has_ended = true;
            waiting.threads -= 1;
            self.readers.ended.notify_waiters();
        }
        next
    }
}

/// The runtime was over before the thread began.
impl Drop for Thread {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut waiting = self.readers.waiting();
        waiting.threads -= 1;
        if waiting.threads == 0 {
            // Nobody is left to take them: their callers learn that it broke off.
            let left = std::mem::take(&mut waiting.reads);
            self.readers.ended.notify_waiters();
            drop(waiting);
            drop(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use chat_core::ErrorKind;
    use tempfile::TempDir;
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn readers() -> (TempDir, Arc<Readers>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chat.db");
        drop(open::open(&file, &crate::Options::default()).unwrap());
        (folder, Arc::new(Readers::new(file)))
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread()
            .max_blocking_threads(READERS)
            .build()
            .unwrap()
    }

    /// Has all threads read until this is dropped.
    async fn hold_all(readers: &Arc<Readers>) -> Vec<mpsc::Sender<()>> {
        let mut held = Vec::new();
        for _ in 0..READERS {
            held.push(hold(readers).await);
        }
        held
    }

    /// Asks for a read that lasts until this is dropped, and waits until it has begun.
    async fn hold(readers: &Arc<Readers>) -> mpsc::Sender<()> {
        let (end, wait) = mpsc::channel();
        let (begin, begun) = oneshot::channel();
        let readers = Arc::clone(readers);
        tokio::spawn(async move {
            let read = readers.read(move |_| {
                let _ = begin.send(());
                let _ = wait.recv();
                Ok(())
            });
            read.await.unwrap();
        });
        begun.await.unwrap();
        end
    }

    #[test]
    fn all_that_is_asked_for_is_read_by_few() {
        let (_folder, readers) = readers();
        runtime().block_on(async {
            let held = hold_all(&readers).await;
            let asked: Vec<_> = (0..100)
                .map(|number| {
                    let readers = Arc::clone(&readers);
                    tokio::spawn(async move { readers.read(move |_| Ok(number)).await })
                })
                .collect();
            while readers.waiting().reads.len() < asked.len() {
                tokio::task::yield_now().await;
            }
            assert_eq!(readers.waiting().threads, READERS);
            // Closing waits for them, and lets nobody else in.
            let closing = Arc::clone(&readers);
            let closing = tokio::spawn(async move { closing.close().await });
            while !readers.waiting().is_closed {
                tokio::task::yield_now().await;
            }
            let late = readers.read(|_| Ok(())).await;
            assert_eq!(late.unwrap_err().kind(), ErrorKind::Unavailable);
            assert!(!closing.is_finished());
            drop(held);
            for (number, read) in asked.into_iter().enumerate() {
                assert_eq!(read.await.unwrap().unwrap(), number);
            }
            closing.await.unwrap().unwrap();
            assert!(readers.idle().is_empty());
        });
    }

    #[test]
    fn who_no_longer_waits_is_not_read_for() {
        let (_folder, readers) = readers();
        runtime().block_on(async {
            let held = hold_all(&readers).await;
            let (tell, told) = mpsc::channel();
            let asking = Arc::clone(&readers);
            let gone = tokio::spawn(async move { asking.read(move |_| Ok(tell.send(()))).await });
            while readers.waiting().reads.is_empty() {
                tokio::task::yield_now().await;
            }
            gone.abort();
            assert!(gone.await.unwrap_err().is_cancelled());
            drop(held);
            readers.close().await.unwrap();
            assert!(told.recv().is_err(), "it was read");
        });
    }

    #[test]
    fn a_read_that_panics_takes_no_other_along() {
        let (_folder, readers) = readers();
        runtime().block_on(async {
            let held = hold_all(&readers).await;
            let ask = |breaks: bool| {
                let readers = Arc::clone(&readers);
                let read = async move {
                    let work = move |_: &View<'_>| {
                        assert!(!breaks, "as it is meant to");
                        Ok(())
                    };
                    readers.read(work).await
                };
                tokio::spawn(read)
            };
            // As many as would end all threads, before the others.
            let broken: Vec<_> = (0..READERS).map(|_| ask(true)).collect();
            let asked: Vec<_> = (0..READERS).map(|_| ask(false)).collect();
            while readers.waiting().reads.len() < 2 * READERS {
                tokio::task::yield_now().await;
            }
            drop(held);
            for read in broken {
                let error = read.await.unwrap().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable);
            }
            for read in asked {
                read.await.unwrap().unwrap();
            }
            readers.close().await.unwrap();
        });
    }

    #[test]
    fn threads_that_never_began_leave_nobody_waiting() {
        let (_folder, readers) = readers();
        let (tell, told) = mpsc::channel::<()>();
        let mut threads = Vec::new();
        for number in 0..=READERS {
            let tell = tell.clone();
            readers.ask(Box::new(move |_| drop(tell))).unwrap();
            let thread = readers.thread();
            assert_eq!(thread.is_some(), number < READERS);
            threads.extend(thread);
        }
        drop(tell);
        threads.pop();
        assert_eq!(
            readers.waiting().reads.len(),
            READERS + 1,
            "others are left"
        );
        drop(threads);
        assert!(told.recv().is_err());
        runtime().block_on(async {
            assert_eq!(readers.read(|_| Ok(2)).await.unwrap(), 2);
            readers.close().await.unwrap();
        });
    }
}
