//! What of a text is found: its words, and what a searched text asks of them.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::Error;

/// Bytes of a word; what follows is cut off, in messages and in searches alike.
const WORD: usize = 64;
/// Words of a message that are found: more than a text of [`crate::Limits::text`] has. A host's longer one is found by its
/// first.
const WORDS: usize = 4096;
/// Bytes of a searched text.
const TEXT: usize = 512;
/// Words of a searched text.
const ASKED: usize = 64;

/// What of a text is searched for; see [`Query::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    phrases: Vec<Phrase>,
}

/// Words that follow one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// The words, at least one, as [`words`] gives them.
    pub words: Vec<String>,
    /// The last one may go on.
    pub prefix: bool,
}

impl Query {
    /// Reads a searched text. Every word of it must be in a message, in any order; the last one may be the beginning of a word
    /// there. What stands between double quotes, or is written without a space between, must be there in one piece. No other
    /// character means anything.
    ///
    /// # Errors
    /// `Invalid` without a word, and above 512 bytes or 64 words.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > TEXT {
            return Err(Error::invalid("a searched text has at most 512 bytes"));
        }
        let mut phrases = Vec::new();
        let parts: Vec<&str> = text.split('"').collect();
        let last = parts.len() - 1;
        for (number, part) in parts.into_iter().enumerate() {
            // A quote that is still open is no quote yet.
            if number % 2 == 1 && number < last {
                phrases.extend(Phrase::parse(part, false));
            } else {
                let mut pieces = part.split_whitespace().peekable();
                while let Some(piece) = pieces.next() {
                    let prefix = number == last && pieces.peek().is_none();
                    phrases.extend(Phrase::parse(piece, prefix));
                }
            }
        }
        match phrases.iter().map(|phrase| phrase.words.len()).sum() {
            0 => Err(Error::invalid("a search needs a word: letters or digits")),
            1..=ASKED => Ok(Self { phrases }),
            _ => Err(Error::invalid("a search has at most 64 words")),
        }
    }

    /// The phrases, at least one: all of them must be in a text.
    #[must_use]
    pub fn phrases(&self) -> &[Phrase] {
        &self.phrases
    }

    /// Whether a text is one that is searched for.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let words = words(text);
        self.phrases.iter().all(|phrase| phrase.is_in(&words))
    }
}

impl Phrase {
    fn parse(text: &str, prefix: bool) -> Option<Self> {
        let mut pieces = pieces(text);
        let mut phrase = Self {
            words: Vec::new(),
            prefix,
        };
        match pieces.last()?.kind {
            // The pair before it says the same, wherever the run ends in a message.
            Kind::Tail { alone: false } => drop(pieces.pop()),
            // The first of a pair, or the last of a run.
            Kind::Tail { alone: true } => phrase.prefix = true,
            Kind::Word | Kind::Pair => {}
        }
        phrase.words = pieces.into_iter().map(|piece| piece.text).collect();
        Some(phrase)
    }

    fn is_in(&self, words: &[String]) -> bool {
        words.windows(self.words.len()).any(|window| {
            let mut pairs = window.iter().zip(&self.words).rev();
            let last = pairs.next().is_some_and(|(there, asked)| {
                there == asked || self.prefix && there.starts_with(asked.as_str())
            });
            last && pairs.all(|(there, asked)| there == asked)
        })
    }
}

/// The words of a text in their order: runs of letters and digits, whatever their case, form (NFKC) or accents. Scripts
/// that are written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) give every two neighbouring characters,
/// and the last one of a run, so that any part of such a run is found. Symbols and emoji are no words. A word holds neither a
/// space nor an ASCII character other than `a`-`z` and `0`-`9`, and has at most 64 bytes.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    pieces(text).into_iter().map(|piece| piece.text).collect()
}

/// Names what [`words`] makes of texts: an index made by another version is to be made anew.
#[must_use]
pub fn version() -> String {
    let (of_std, of_forms) = (
        char::UNICODE_VERSION,
        unicode_normalization::UNICODE_VERSION,
    );
    format!("1 {of_std:?} {of_forms:?}")
}

struct Piece {
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Pair,
    Tail { alone: bool },
}

fn fold(text: &str) -> impl Iterator<Item = char> {
    // Accents, and marks that choose between forms of one character.
    let is_dropped = |c: &char| matches!(c, '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
    text.nfkd()
        .filter(move |c| !is_dropped(c))
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'ς' { 'σ' } else { c })
        .nfc()
}

/// Whether a letter's script is written without spaces.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

fn pieces(text: &str) -> Vec<Piece> {
    if text.is_ascii() {
        return ascii(text).take(WORDS).collect();
    }
    any_script(text)
}

/// What [`any_script`] gives of a text in ASCII.
fn ascii(text: &str) -> impl Iterator<Item = Piece> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).map(|word| Piece {
        text: word[..word.len().min(WORD)].to_ascii_lowercase(),
        kind: Kind::Word,
    })
}

fn any_script(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut word = String::new();
    // The last character of a run without spaces, and whether it is the only one so far.
    let mut tail: Option<(char, bool)> = None;
    for c in fold(text).chain([' ']) {
        let goes_on = !word.is_empty() || tail.is_some();
        let is_letter = c.is_alphanumeric() || goes_on && is_combining_mark(c);
        let is_unspaced = is_letter && (is_unspaced(c) || tail.is_some() && is_combining_mark(c));
        if let Some((before, alone)) = tail.take() {
            let (text, kind) = if is_unspaced {
                (String::from_iter([before, c]), Kind::Pair)
            } else {
                (before.to_string(), Kind::Tail { alone })
            };
            pieces.push(Piece { text, kind });
            if is_unspaced {
                tail = Some((c, false));
            }
        } else if is_unspaced {
            tail = Some((c, true));
        }
        if is_letter && !is_unspaced {
            if word.len() + c.len_utf8() <= WORD {
                word.push(c);
            }
        } else if !word.is_empty() {
            let text = std::mem::take(&mut word);
            let kind = Kind::Word;
            // A run that follows without a space has given nothing yet: its first pair comes with its second character.
            pieces.push(Piece { text, kind });
        }
        if pieces.len() >= WORDS {
            break;
        }
    }
    pieces.truncate(WORDS);
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finds(asked: &str, text: &str) -> bool {
        Query::parse(asked).unwrap().matches(text)
    }

    #[test]
    fn words_are_folded() {
        for (text, expected) in [
            ("Hello, World!", vec!["hello", "world"]),
            (
                "Crème BRÛLÉE ﬁne Ⅻ ｆｕｌｌ",
                vec!["creme", "brulee", "fine", "xii", "full"],
            ),
            ("don't re-use x2", vec!["don", "t", "re", "use", "x2"]),
            ("ΛΌΓΟΣ λόγος", vec!["λογοσ", "λογοσ"]),
            ("東京都 tower", vec!["東京", "京都", "都", "tower"]),
            ("tower東", vec!["tower", "東"]),
            ("が ガ", vec!["が", "ガ"]),
            ("한국어 문장", vec!["한국어", "문장"]),
            ("❤\u{fe0f} 👍 \u{301} <> *", vec![]),
            ("हिन्दी", vec!["हिन्दी"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn all_words_and_the_last_as_a_beginning() {
        assert!(finds("wor HEL", "Hello wor"));
        assert!(!finds("hel wor", "Hello world"), "only the last may go on");
        assert!(finds("hello wor", "World: hello!"));
        assert!(finds("\"hello wor", "world hello"), "an open quote is none");
        assert!(finds("\"hello world\"", "oh hello, world"));
        assert!(!finds("\"hello world\"", "world hello"));
        assert!(
            !finds("\"hello wor\"", "hello world"),
            "quoted words are whole"
        );
        assert!(finds("\"hello world\" o", "oh hello world"));
        assert!(finds("re-u", "we re-use it"));
        assert!(!finds("re-use", "use and re"));
        assert!(!finds("a", "b") && !finds("ab", "a"));
    }

    #[test]
    fn any_part_of_a_run_without_spaces() {
        let text = "私は東京都に住んでいます。ok";
        for asked in [
            "東",
            "京都",
            "東京都",
            "に",
            "す",
            "ます",
            "東 住",
            "\"京\"",
            "私は東京都に住んでいます",
        ] {
            assert!(finds(asked, text), "{asked}");
        }
        for asked in ["東都", "都京", "京東京", "ま す 無"] {
            assert!(!finds(asked, text), "{asked}");
        }
        assert!(finds("ภาษา", "ฉันพูดภาษาไทย"));
    }

    #[test]
    fn no_character_has_a_meaning_of_its_own() {
        for hostile in [
            "a AND b",
            "a OR b",
            "NOT a",
            "a NEAR b",
            "NEAR(a b, 5)",
            "text:a",
            "{a b}: c",
            "^a",
            "a*",
            "a + b",
            "-a",
            "(a",
            "a)",
            "'a'",
            "a\0b",
            "\"a\"\"b",
            "a;--",
            "%_",
            "\\a",
            "\u{80}a",
            "\u{feff}a",
        ] {
            for word in Query::parse(hostile)
                .into_iter()
                .flat_map(|query| query.phrases)
                .flat_map(|phrase| phrase.words)
            {
                assert!(word.chars().all(char::is_alphanumeric), "{hostile}: {word}");
            }
        }
        for nothing in ["", " ", "\"\"", "*", "- +", "\"", "🙂"] {
            assert!(Query::parse(nothing).is_err(), "{nothing}");
        }
        assert!(Query::parse(&"a".repeat(513)).is_err());
        assert!(Query::parse(&"a ".repeat(65)).is_err());
        assert!(Query::parse(&"a ".repeat(64)).is_ok());
    }

    proptest! {
        #[test]
        fn ascii_words_are_those_of_any_script(text in "[ -~\\t\\n]{0,60}|[a-zA-Z0-9]{60,70}|[\\x00-\\x7f]{0,60}") {
            let of = |pieces: Vec<Piece>| pieces.into_iter().map(|piece| (piece.text, piece.kind)).collect::<Vec<_>>();
            prop_assert_eq!(of(pieces(&text)), of(any_script(&text)));
        }

        #[test]
        fn a_word_is_short_and_plain(text in "\\PC{0,60}|[a-zA-Z東京ガ\u{e48}\u{e20} \u{301}]{0,40}") {
            for word in words(&text) {
                prop_assert!(!word.is_empty() && word.len() <= WORD);
                prop_assert!(word.chars().all(|c| !c.is_whitespace() && (!c.is_ascii() || c.is_ascii_lowercase() || c.is_ascii_digit())));
            }
        }

        #[test]
        fn every_word_of_a_text_finds_it(text in "\\PC{0,60}|[a-zA-Z東京ガ\u{e48}\u{e20} \u{301}]{0,40}") {
            for word in text.split_whitespace() {
                if let Ok(query) = Query::parse(word) {
                    prop_assert!(query.matches(&text), "{word}");
                }
                if let Ok(query) = Query::parse(&format!("\"{}\"", word.replace('"', " "))) {
                    prop_assert!(query.matches(&text), "\"{word}\"");
                }
            }
        }
    }
}
