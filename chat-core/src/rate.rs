//! How often a user may write and search.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::hub::lock;
use crate::{Error, UserId};

/// Users whose buckets are kept before full ones are thrown out.
const KEPT: usize = 1024;

/// A token bucket a user. Only users who wrote lately cost memory: a full bucket is the same as none.
#[derive(Default)]
pub(crate) struct Rates([Mutex<HashMap<UserId, Bucket>>; 8]);

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rates {
    /// Takes `cost` tokens of a user who gets `rate` a second, at most `burst` at once. A rate of 0 refuses nobody.
    ///
    /// # Errors
    /// `RateLimited`, with the time until there are enough.
    pub(crate) fn take(&self, user: UserId, cost: f64, rate: f64, burst: f64) -> Result<(), Error> {
        if rate <= 0.0 || cost <= 0.0 {
            return Ok(());
        }
        let cost = cost.min(burst);
        let now = Instant::now();
        let filled = |bucket: &Bucket| {
            (bucket.tokens + now.saturating_duration_since(bucket.at).as_secs_f64() * rate)
                .min(burst)
        };
        let mut buckets = lock(&self.0[(user.get() % 8) as usize]);
        if buckets.len() >= KEPT && buckets.len().is_power_of_two() && !buckets.contains_key(&user)
        {
            buckets.retain(|_, bucket| filled(bucket) < burst);
        }
        let bucket = buckets.entry(user).or_insert(Bucket {
            tokens: burst,
            at: now,
        });
        let tokens = filled(bucket);
        (bucket.tokens, bucket.at) = (tokens, now);
        if tokens < cost {
            let wait = Duration::from_secs_f64((cost - tokens) / rate);
            return Err(Error::rate_limited(
                "too much in a short time: wait a little",
                wait,
            ));
        }
        bucket.tokens -= cost;
        Ok(())
    }
}
