//! What is shown. Everything that others wrote passes through [`clean`].

use std::io::Write;

use rustyline::ExternalPrinter;

/// A terminal, or a plain stream of lines.
pub(crate) struct Screen {
    printer: Option<Box<dyn ExternalPrinter>>,
}

impl Screen {
    /// Prints above the line that is being typed.
    pub(crate) fn above_the_line(printer: impl ExternalPrinter + 'static) -> Self {
        Self {
            printer: Some(Box::new(printer)),
        }
    }

    /// Prints lines without colours.
    pub(crate) fn plain() -> Self {
        Self { printer: None }
    }

    /// Shows a line; colours are left out where they cannot be shown.
    pub(crate) fn say(&mut self, line: &str) {
        match &mut self.printer {
            Some(printer) => drop(printer.print(format!("{line}\n"))),
            None => self.raw(&format!("{}\n", without_colours(line))),
        }
    }

    /// What has less weight.
    pub(crate) fn note(&mut self, line: &str) {
        self.say(&format!("\x1b[2m{line}\x1b[0m"));
    }

    /// What went wrong.
    pub(crate) fn error(&mut self, line: &str) {
        self.say(&format!("\x1b[31m✗ {}\x1b[0m", clean(line)));
    }

    /// Takes the line away that was just typed: what was sent is shown as it is stored.
    pub(crate) fn erase(&mut self, rows: usize) {
        if self.printer.is_some() && rows > 0 {
            self.raw(&format!("\x1b[{rows}A\r\x1b[J"));
        }
    }

    fn raw(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        // Nobody to tell when nobody reads.
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
    }
}

/// Our own colours are the only escapes here.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(char) = rest.next() {
        if char == '\x1b' {
            rest.by_ref().find(|char| *char == 'm');
        } else {
            plain.push(char);
        }
    }
    plain
}

/// A text of somebody else, harmless for a terminal: no control character, no escape, nothing that turns the direction of
/// what stands around it. What is taken out leaves a sign.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' => clean.push_str("\n      "),
            '\t' => clean.push_str("    "),
            '\0'..='\x1f' => clean.extend(char::from_u32(0x2400 + u32::from(char))),
            '\x7f' => clean.push('␡'),
            '\u{80}'..='\u{9f}'
            | '\u{200e}' | '\u{200f}' | '\u{61c}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            // Tags and what else is not seen but there.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => clean.push('·'),
            other => clean.push(other),
        }
    }
    clean
}

/// The same in one line of at most so many characters.
pub(crate) fn short(text: &str, most: usize) -> String {
    let line = clean(text).replace("\n      ", " ");
    if line.chars().count() <= most {
        return line;
    }
    let mut short: String = line.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A name in a colour of its own.
pub(crate) fn name(name: &str, id: u64) -> String {
    const COLOURS: [u8; 6] = [32, 33, 34, 35, 92, 94];
    let colour = COLOURS[usize::try_from(id % 6).unwrap_or_default()];
    format!("\x1b[1;{colour}m{}\x1b[0m", short(name, 40))
}

#[cfg(test)]
mod tests {
    use super::{clean, short, without_colours};

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        let evil = "a\x1b[2J\x1b]0;title\x07b\u{9b}31m\r\x08\u{202e}cba\u{2066}\x7f\u{e0041}";
        let clean = clean(evil);
        assert!(!clean.chars().any(char::is_control), "{clean:?}");
        assert!(!clean.contains(['\u{202e}', '\u{2066}', '\u{9b}', '\u{e0041}']));
        assert!(clean.starts_with("a␛[2J␛]0;title␇b"));
        for code in 0..=0x10_ffff_u32 {
            if let Some(char) = char::from_u32(code) {
                let cleaned = super::clean(&char.to_string());
                assert!(
                    char == '\n' || !cleaned.chars().any(char::is_control),
                    "{code:x}"
                );
            }
        }
    }

    #[test]
    fn a_text_of_several_lines_cannot_look_like_several_messages() {
        assert_eq!(clean("one\n12:00 eve  two"), "one\n      12:00 eve  two");
        assert_eq!(short("one\ntwo three", 8), "one two…");
    }

    #[test]
    fn lines_without_colours_are_plain() {
        assert_eq!(without_colours("\x1b[1;32mada\x1b[0m hi"), "ada hi");
    }
}
