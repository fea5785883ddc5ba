//! Rounds of measuring, and what they come to.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Outcome;
use crate::machine::Cost;

/// One round.
#[derive(Debug)]
pub(crate) struct Window {
    /// How many: messages of `pairs`, deliveries of `fanout` and `mixed`, sockets of `storm`.
    pub(crate) count: u64,
    /// What it cost.
    pub(crate) cost: Cost,
    /// Microseconds each took.
    pub(crate) latencies: Histogram<u64>,
    /// Frames that the loader's reads found at once, on average.
    pub(crate) frames_a_read: f64,
}

impl Window {
    pub(crate) fn new() -> Outcome<Self> {
        Ok(Self {
            count: 0,
            cost: Cost::default(),
            // Up to a minute, to three digits.
            latencies: Histogram::new_with_max(60_000_000, 3)?,
            frames_a_read: 0.0,
        })
    }

    pub(crate) fn took(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.latencies.saturating_record(micros);
    }

    pub(crate) fn rate(&self) -> f64 {
        self.count as f64 / self.cost.seconds.max(f64::MIN_POSITIVE)
    }

    fn cpu_a_million(&self) -> f64 {
        self.cost.server / self.count.max(1) as f64 * 1e6
    }
}

/// The medians of some rounds of one server.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// A second.
    pub(crate) rate: f64,
    /// The slowest round …
    pub(crate) lowest: f64,
    /// … and the fastest.
    pub(crate) highest: f64,
    /// CPU seconds of the server for a million.
    pub(crate) cpu_a_million: f64,
    /// Microseconds that half of the messages took at most, …
    pub(crate) p50: f64,
    /// … 99 of 100, …
    pub(crate) p99: f64,
    /// … 999 of 1,000 …
    pub(crate) p999: f64,
    /// … and all: the longest stall.
    pub(crate) longest: f64,
    /// Frames that a read of the loader found.
    pub(crate) frames_a_read: f64,
    /// The server's own use of its core, 0 to 1 (more where it is not pinned).
    pub(crate) server_busy: f64,
    /// The loader's. Near 1, the loader is what was measured.
    pub(crate) loader_busy: f64,
    /// Everybody else's use of the whole machine. Far from 0, others are what was measured.
    pub(crate) others_busy: f64,
    /// The server's resident memory at the end of a round, in KiB.
    pub(crate) resident: f64,
}

/// The rounds of one server in short.
pub(crate) fn summary(windows: &[Window]) -> Summary {
    let of = |figure: &dyn Fn(&Window) -> f64| median(windows.iter().map(figure));
    let percentile = |part: f64| of(&|window| window.latencies.value_at_quantile(part) as f64);
    let rates = || windows.iter().map(Window::rate);
    Summary {
        rate: of(&Window::rate),
        lowest: rates().fold(f64::INFINITY, f64::min),
        highest: rates().fold(0.0, f64::max),
        cpu_a_million: of(&Window::cpu_a_million),
        p50: percentile(0.5),
        p99: percentile(0.99),
        p999: percentile(0.999),
        longest: percentile(1.0),
        frames_a_read: of(&|window| window.frames_a_read),
        server_busy: of(&|window| window.cost.server / window.cost.seconds),
        loader_busy: of(&|window| window.cost.loader),
        others_busy: of(&|window| window.cost.others),
        resident: of(&|window| window.cost.resident as f64),
    }
}

/// The middle one; of an even number, the lower of the two. 0 of none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len().saturating_sub(1) / 2;
    figures.get(middle).copied().unwrap_or(0.0)
}

/// The median of what each round of one came to beside the same round of another.
pub(crate) fn ratio(ours: &[Window], floor: &[Window]) -> f64 {
    let pairs = ours.iter().zip(floor);
    median(pairs.map(|(ours, floor)| ours.rate() / floor.rate()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median([]), 0.0);
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 3.0, 2.0]), 2.0);
    }

    #[test]
    fn rounds_are_compared_with_their_own_floor() {
        let window = |count| {
            let mut window = Window::new().unwrap();
            window.count = count;
            window.cost.seconds = 1.0;
            window
        };
        // The machine was slow in the second round, for both.
        let (ours, floor) = (
            [window(50), window(5), window(60)],
            [window(100), window(10), window(100)],
        );
        assert_eq!(ratio(&ours, &floor), 0.5);
    }
}
