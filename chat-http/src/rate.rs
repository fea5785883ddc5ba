//! Rate limits of what comes before the chat: logins, registrations, searches. Message rates live in `chat-core`.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use governor::clock::{Clock, MonotonicClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::problem::Problem;

/// How many keys a limiter remembers. Each takes some 50 bytes.
const KEYS: usize = 100_000;

/// How often something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How often at once.
    pub burst: u32,
    /// How long until one more is allowed.
    pub every: Duration,
}

impl Rate {
    /// A rate.
    #[must_use]
    pub const fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every }
    }
}

/// The rates of everything that is limited here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rates {
    /// Logins to one account, failed or not: 10 at once, then one every 6 s. Nobody is locked out for good.
    pub login_account: Rate,
    /// Logins and password changes from one address: 30 at once, then one every 2 s.
    pub login_address: Rate,
    /// Registrations from one address: 10 at once, then one every 60 s.
    pub register_address: Rate,
    /// Searches of one user: 20 at once, then 5 a second.
    pub search_user: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            login_account: Rate::new(10, Duration::from_secs(6)),
            login_address: Rate::new(30, Duration::from_secs(2)),
            register_address: Rate::new(10, Duration::from_secs(60)),
            search_user: Rate::new(20, Duration::from_millis(200)),
        }
    }
}

/// The limiters behind [`Rates`].
pub(crate) struct Limiters {
    pub(crate) login_account: Limiter,
    pub(crate) login_address: Limiter,
    pub(crate) register_address: Limiter,
    pub(crate) search_user: Limiter,
}

impl Limiters {
    pub(crate) fn new(rates: Option<&Rates>) -> Self {
        let limiter = |rate: fn(&Rates) -> Rate| Limiter::new(rates.map(rate), KEYS);
        Self {
            login_account: limiter(|rates| rates.login_account),
            login_address: limiter(|rates| rates.login_address),
            register_address: limiter(|rates| rates.register_address),
            search_user: limiter(|rates| rates.search_user),
        }
    }
}

/// A rate for each key. Keys are kept as keyed hashes: what somebody typed into a login form is not kept at all.
pub(crate) struct Limiter {
    rate: Option<RateLimiter<u64, HashMapStateStore<u64>, MonotonicClock>>,
    hasher: RandomState,
    keys: usize,
    swept: Mutex<Instant>,
}

impl Limiter {
    /// Without a rate it lets everything pass.
    fn new(rate: Option<Rate>, keys: usize) -> Self {
        let quota = rate.and_then(|rate| {
            let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
            Some(Quota::with_period(rate.every)?.allow_burst(burst))
        });
        Self {
            rate: quota
                .map(|quota| RateLimiter::new(quota, HashMapStateStore::default(), MonotonicClock)),
            hasher: RandomState::new(),
            keys,
            swept: Mutex::new(Instant::now()),
        }
    }

    /// Counts one more; how long to wait when it is one too many.
    pub(crate) fn take(&self, key: impl Hash) -> Result<(), Duration> {
        let Some(rate) = &self.rate else {
            return Ok(());
        };
        let mut key = self.hasher.hash_one(key);
        if rate.len() >= self.keys {
            self.sweep(rate);
            if rate.len() >= self.keys {
                // More keys in use than are remembered: the rest share some buckets. Nobody gets in unlimited.
                key %= 64;
            }
        }
        rate.check_key(&key)
            .map_err(|until| until.wait_time_from(MonotonicClock.now()))
    }

    /// The same, told as a problem.
    pub(crate) fn check(&self, key: impl Hash, detail: &'static str) -> Result<(), Problem> {
        self.take(key)
            .map_err(|wait| Problem::too_often(detail, wait))
    }

    /// Forgets keys whose bucket is full again; at most once a second, as it looks at all of them.
    fn sweep(&self, rate: &RateLimiter<u64, HashMapStateStore<u64>, MonotonicClock>) {
        let Ok(mut swept) = self.swept.lock() else {
            return;
        };
        if swept.elapsed() >= Duration::from_secs(1) {
            rate.retain_recent();
            *swept = Instant::now();
        }
    }
}

/// What counts as one address: an IPv4 address, or the /64 that an IPv6 user usually has to themselves.
pub(crate) fn address_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(keys: usize) -> Limiter {
        Limiter::new(Some(Rate::new(2, Duration::from_secs(3600))), keys)
    }

    #[test]
    fn each_key_has_its_own_bucket() {
        let limiter = limiter(100);
        assert!(limiter.take("a").is_ok());
        assert!(limiter.take("a").is_ok());
        let wait = limiter.take("a").unwrap_err();
        assert!(wait > Duration::from_secs(1700) && wait <= Duration::from_secs(3600));
        assert!(limiter.take("b").is_ok());
    }

    #[test]
    fn a_flood_of_keys_is_bounded_and_still_limited() {
        let limiter = limiter(100);
        let passed = (0..10_000).filter(|key| limiter.take(key).is_ok()).count();
        let rate = limiter.rate.as_ref().unwrap();
        assert!(rate.len() <= 164, "{}", rate.len());
        assert!(passed <= 100 + 64 * 2, "{passed}");
    }

    #[test]
    fn without_a_rate_everything_passes() {
        let limiter = Limiter::new(None, 1);
        assert!((0..1000).all(|_| limiter.take("a").is_ok()));
    }

    #[test]
    fn addresses_of_one_user_are_one() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
    }
}
