//! A bar on stderr, where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

use crate::Outcome;

/// So many steps, each announced as it begins.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(steps: usize) -> Outcome<Self> {
        let style = ProgressStyle::with_template("[{elapsed}] {wide_bar} {pos}/{len} {msg}")?;
        let bar = ProgressBar::new(steps as u64).with_style(style);
        bar.enable_steady_tick(std::time::Duration::from_secs(1));
        Ok(Self(bar))
    }

    pub(crate) fn step(&self, name: &str) {
        self.0.set_message(name.to_owned());
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
