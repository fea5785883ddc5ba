//! How far a long task is: a bar on a terminal, elsewhere a line every few seconds.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(5);

/// Tells on stderr how far something is.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    begun: Instant,
    told: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            bar: io::stderr().is_terminal().then(ProgressBar::no_length),
            begun: now,
            told: now,
        }
    }

    /// So many things, of so many, if that is known.
    pub(crate) fn at(&mut self, what: &'static str, count: u64, of: Option<u64>) {
        if let Some(bar) = &self.bar {
            let template = match of {
                Some(_) => "{msg} {wide_bar} {human_pos} of {human_len}, {eta} left",
                None => "{msg} {spinner} {human_pos}, {per_sec}",
            };
            if bar.message() != what {
                bar.reset();
                bar.set_message(what);
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style);
                }
            }
            if let Some(of) = of {
                bar.set_length(of);
            }
            bar.set_position(count);
        } else if self.told.elapsed() >= PAUSE {
            self.told = Instant::now();
            let seconds = self.begun.elapsed().as_secs();
            let of = of.map_or_else(String::new, |of| format!(" of {of}"));
            let _ = writeln!(io::stderr(), "{what}: {count}{of} after {seconds} s");
        }
    }
}

/// What is printed next stands on a line of its own.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
