//! Reading the totals that test runners print.

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Count {
    /// Adds what a line reports, if it is one of the closing lines of cargo test, nextest, vitest or node (TAP or spec).
    pub(crate) fn read(&mut self, line: &str) {
        let line = without_colours(line);
        let (line, is_indented) = (line.trim(), line.starts_with(' '));
        if line.starts_with("Tests ") || !is_indented && line.starts_with("test result:") {
            self.passed += before(line, "passed");
            self.failed += before(line, "failed");
        } else if line.starts_with("Summary [") {
            self.passed += before(line, "passed");
            self.failed += before(line, "failed") + before(line, "timed");
        } else if let Some(total) = ["# ", "ℹ "].iter().find_map(|mark| line.strip_prefix(mark)) {
            self.passed += after(total, "pass ");
            self.failed += after(total, "fail ");
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// The number that stands before a word; 0 without one.
fn before(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line
        .split(|c: char| c.is_whitespace() || ",;()".contains(c))
        .filter(|part| !part.is_empty())
        .collect();
    words
        .windows(2)
        .find(|pair| pair[1] == word)
        .and_then(|pair| pair[0].parse().ok())
        .unwrap_or(0)
}

/// The number that is all that follows a word; 0 without one.
fn after(line: &str, word: &str) -> u64 {
    line.strip_prefix(word)
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

/// The line without ANSI colour sequences (ESC [ … m).
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((text, sequence)) = rest.split_once('\u{1b}') {
        plain.push_str(text);
        rest = sequence.split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::Count;

    fn count(text: &str) -> (u64, u64) {
        let mut count = Count::default();
        text.lines().for_each(|line| count.read(line));
        (count.passed, count.failed)
    }

    #[test]
    fn totals_of_every_runner_are_read() {
        let cargo = "running 3 tests\ntest a ... ok\n\
            test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(count(cargo), (7, 1));
        assert_eq!(
            count(
                "     Summary [   0.013s] 4 tests run: 1 passed, 2 failed, 1 timed out, 3 skipped"
            ),
            (1, 3)
        );
        assert_eq!(
            count(" Test Files  1 failed | 2 passed (3)\n      Tests  1 failed | 9 passed (10)"),
            (9, 1)
        );
        assert_eq!(count("# tests 3\n# pass 2\n# fail 1"), (2, 1));
        assert_eq!(count("ℹ tests 3\nℹ pass 2\nℹ fail 1"), (2, 1));
    }

    #[test]
    fn colours_hide_nothing() {
        assert_eq!(
            count(
                "\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[32m12 passed\u{1b}[39m\u{1b}[22m (12)"
            ),
            (12, 0)
        );
    }

    /// nextest shows, indented, what a test printed that failed, and counts it itself.
    #[test]
    fn a_failing_test_counts_once() {
        let nextest = "  stdout ───\n\n    running 1 test\n    test a ... FAILED\n\n    \
            test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.01s\n\n\
            \x20    Summary [   0.013s] 8 tests run: 7 passed, 1 failed, 0 skipped";
        assert_eq!(count(nextest), (7, 1));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(count("all 12 passed, says a test\n# passing 3"), (0, 0));
    }
}
