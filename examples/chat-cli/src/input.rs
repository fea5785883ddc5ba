//! What is typed. The line is edited in a thread of its own; the terminal is raw only while a line is being read, and is
//! restored whatever ends it.

use std::borrow::Cow;
use std::sync::mpsc as std_mpsc;
use std::thread;

use rustyline::completion::Completer;
use rustyline::config::Config;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};
use tokio::sync::mpsc;
use unicode_width::UnicodeWidthStr;

use crate::screen::Screen;

/// What came from the keyboard.
pub(crate) enum Typed {
    /// A whole line, and how many rows of the terminal it took.
    Line(String, usize),
    /// Something is being typed that is no command.
    Typing,
    /// Nothing more will come.
    End,
}

struct Prompt {
    text: String,
    secret: bool,
}

/// The keyboard.
pub(crate) struct Keyboard {
    typed: mpsc::UnboundedReceiver<Typed>,
    prompts: std_mpsc::Sender<Prompt>,
}

/// Called by the editor with every key.
struct Keys {
    typed: mpsc::UnboundedSender<Typed>,
    secret: bool,
}

impl Helper for Keys {}
impl Validator for Keys {}
impl Completer for Keys {
    type Candidate = String;
}

impl Hinter for Keys {
    type Hint = String;

    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        if !self.secret && !line.trim().is_empty() && !line.starts_with('/') {
            let _ = self.typed.send(Typed::Typing);
        }
        None
    }
}

impl Highlighter for Keys {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.secret {
            Cow::Owned("•".repeat(line.width()))
        } else {
            Cow::Borrowed(line)
        }
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Owned(format!("\x1b[1;36m{prompt}\x1b[0m"))
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        self.secret
    }
}

impl Keyboard {
    /// Opens the terminal.
    pub(crate) fn open() -> Result<(Self, Screen), ReadlineError> {
        let config = Config::builder().auto_add_history(false).build();
        let mut editor: Editor<Keys, DefaultHistory> = Editor::with_config(config)?;
        let (send, typed) = mpsc::unbounded_channel();
        let secret = false;
        editor.set_helper(Some(Keys {
            typed: send.clone(),
            secret,
        }));
        // Without a terminal, lines are read and written as they are.
        let screen = match editor.create_external_printer() {
            Ok(printer) => Screen::above_the_line(printer),
            Err(_) => Screen::plain(),
        };
        let (prompts, asked) = std_mpsc::channel();
        thread::spawn(move || read(editor, &asked, &send));
        Ok((Self { typed, prompts }, screen))
    }

    /// Lets a line be typed behind this prompt.
    pub(crate) fn prompt(&self, text: &str) {
        let prompt = Prompt {
            text: text.to_owned(),
            secret: false,
        };
        let _ = self.prompts.send(prompt);
    }

    /// What is typed next.
    pub(crate) async fn next(&mut self) -> Typed {
        self.typed.recv().await.unwrap_or(Typed::End)
    }

    /// Asks for one line; `None` when there is none.
    pub(crate) async fn ask(&mut self, prompt: &str, secret: bool) -> Option<String> {
        let text = prompt.to_owned();
        let _ = self.prompts.send(Prompt { text, secret });
        loop {
            match self.next().await {
                Typed::Line(line, _) => return Some(line),
                Typed::Typing => {}
                Typed::End => return None,
            }
        }
    }
}

fn read(
    mut editor: Editor<Keys, DefaultHistory>,
    asked: &std_mpsc::Receiver<Prompt>,
    typed: &mpsc::UnboundedSender<Typed>,
) {
    while let Ok(prompt) = asked.recv() {
        if let Some(keys) = editor.helper_mut() {
            keys.secret = prompt.secret;
        }
        let Ok(line) = editor.readline(&prompt.text) else {
            // Ctrl-C, Ctrl-D, or no terminal any more.
            let _ = typed.send(Typed::End);
            return;
        };
        if !prompt.secret && !line.trim().is_empty() {
            let _ = editor.add_history_entry(line.as_str());
        }
        let columns = editor
            .dimensions()
            .map_or(0, |(columns, _)| usize::from(columns));
        let width = prompt.text.width() + line.width();
        let rows = width.checked_div(columns).map_or(0, |rows| rows + 1);
        if typed.send(Typed::Line(line, rows)).is_err() {
            return;
        }
    }
}
