//! Where passwords are hashed: away from async threads, few at a time.

use std::fmt;
use std::sync::Arc;

use chat_core::{Error, PasswordCheck, PasswordHasher};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Hashes and checks passwords on blocking threads, at most so many at once, with at most so many callers waiting.
///
/// One call takes tens of milliseconds of a core and, with [`crate::Hasher`], 19 MiB. So the memory in use is bounded by
/// `at_once` × 19 MiB (× 256 MiB should all of them check the costliest older hashes), and the time until an answer by
/// (`at_once` + `waiting`) ÷ `at_once` hashes. A caller that goes away frees its place in the queue, but a hash that has begun
/// keeps its own until it is done.
#[derive(Clone)]
pub struct HashPool {
    hasher: Arc<dyn PasswordHasher>,
    /// Those waiting and those running.
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl HashPool {
    /// Callers that wait, unless said otherwise.
    const WAITING: usize = 64;

    /// A pool with one place for each core and 64 waiting.
    pub fn new(hasher: impl PasswordHasher) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with(hasher, cores, Self::WAITING)
    }

    /// A pool with other bounds; at least one place.
    pub fn with(hasher: impl PasswordHasher, at_once: usize, waiting: usize) -> Self {
        let at_once = at_once.clamp(1, 1024);
        Self {
            hasher: Arc::new(hasher),
            places: Arc::new(Semaphore::new(at_once + waiting.min(1 << 20))),
            running: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// See [`PasswordHasher::hash`]. Call it on a tokio runtime.
    ///
    /// # Errors
    /// `Busy` when too many wait; besides, what the hasher says.
    pub async fn hash(&self, password: &str) -> Result<String, Error> {
        let password = Zeroizing::new(password.to_owned());
        self.run(move |hasher| hasher.hash(&password)).await
    }

    /// See [`PasswordHasher::verify`]. Call it on a tokio runtime.
    ///
    /// # Errors
    /// `Busy` when too many wait; besides, what the hasher says.
    pub async fn verify(
        &self,
        password: &str,
        hash: Option<String>,
    ) -> Result<PasswordCheck, Error> {
        let password = Zeroizing::new(password.to_owned());
        self.run(move |hasher| hasher.verify(&password, hash.as_deref()))
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn PasswordHasher) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let stopped = |_| Error::internal("the password pool stopped");
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Error::busy("too many people log in at this moment: try again in a few seconds")
        })?;
        let turn = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(stopped)?;
        let hasher = Arc::clone(&self.hasher);
        tokio::task::spawn_blocking(move || {
            // Held by the work, not by who waits for it: dropping that future does not stop this thread.
            let _held = (place, turn);
            work(&*hasher)
        })
        .await
        .map_err(|e| Error::internal("a password could not be hashed").with_source(e))?
    }
}

impl fmt::Debug for HashPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPool")
            .field("free", &self.places.available_permits())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::Instant;

    use chat_core::ErrorKind;

    use super::*;

    /// A hasher that holds everybody until the gate opens, and counts.
    #[derive(Default)]
    struct Held {
        open: Mutex<bool>,
        opened: Condvar,
        inside: AtomicUsize,
        most: AtomicUsize,
        done: AtomicUsize,
    }

    impl Held {
        fn open(&self) {
            *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.opened.notify_all();
        }
    }

    struct Shared(Arc<Held>);

    impl PasswordHasher for Shared {
        fn hash(&self, password: &str) -> Result<String, Error> {
            let inside = self.0.inside.fetch_add(1, Ordering::SeqCst) + 1;
            self.0.most.fetch_max(inside, Ordering::SeqCst);
            let mut open = self.0.open.lock().unwrap();
            while !*open {
                open = self.0.opened.wait(open).unwrap();
            }
            drop(open);
            self.0.inside.fetch_sub(1, Ordering::SeqCst);
            self.0.done.fetch_add(1, Ordering::SeqCst);
            assert_ne!(password, "break");
            Ok(password.len().to_string())
        }

        fn verify(&self, _: &str, _: Option<&str>) -> Result<PasswordCheck, Error> {
            Ok(PasswordCheck::Wrong)
        }
    }

    /// Lets everybody go when a test ends, however it ends.
    struct Opens<'a>(&'a Held);

    impl Drop for Opens<'_> {
        fn drop(&mut self) {
            self.0.open();
        }
    }

    async fn until(condition: impl Fn() -> bool) {
        let begin = Instant::now();
        while !condition() {
            assert!(begin.elapsed().as_secs() < 20, "it never comes so far");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn few_at_once_few_waiting_then_busy() {
        let held = Arc::new(Held::default());
        let _opens = Opens(&held);
        let pool = HashPool::with(Shared(Arc::clone(&held)), 2, 3);
        let tasks: Vec<_> = (0..5)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move { pool.hash("password").await })
            })
            .collect();
        let inside = || held.inside.load(Ordering::SeqCst);
        until(|| pool.places.available_permits() == 0 && inside() == 2).await;
        let error = pool.hash("password").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        held.open();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), "8");
        }
        assert_eq!(held.most.load(Ordering::SeqCst), 2);
        assert_eq!(pool.hash("again").await.unwrap(), "5");
    }

    #[tokio::test]
    async fn who_goes_away_frees_the_queue_but_not_a_running_hash() {
        let held = Arc::new(Held::default());
        let _opens = Opens(&held);
        let pool = HashPool::with(Shared(Arc::clone(&held)), 1, 1);
        let start = || {
            let pool = pool.clone();
            tokio::spawn(async move { pool.hash("password").await })
        };
        let running = start();
        until(|| held.inside.load(Ordering::SeqCst) == 1).await;
        let waiting = start();
        until(|| pool.places.available_permits() == 0).await;
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(pool.places.available_permits(), 1);
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        assert_eq!(pool.places.available_permits(), 1);
        assert_eq!(pool.running.available_permits(), 0);
        held.open();
        assert_eq!(pool.hash("next").await.unwrap(), "4");
        assert_eq!(held.done.load(Ordering::SeqCst), 2);
        assert_eq!(held.most.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_hasher_that_panics_takes_nobody_along() {
        let held = Arc::new(Held::default());
        held.open();
        let pool = HashPool::with(Shared(held), 1, 0);
        let error = pool.hash("break").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert_eq!(pool.hash("whole").await.unwrap(), "5");
    }

    #[test]
    fn hashing_blocks_no_async_thread() {
        // One async thread: were the hash on it, nobody could open the gate.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let held = Arc::new(Held::default());
        let pool = HashPool::with(Shared(Arc::clone(&held)), 1, 0);
        runtime.block_on(async {
            let task = tokio::spawn(async move { pool.hash("password").await });
            until(|| held.inside.load(Ordering::SeqCst) == 1).await;
            held.open();
            task.await.unwrap().unwrap();
        });
    }
}
