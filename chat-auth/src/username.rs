//! Usernames: which are allowed, and which are the same.

use std::collections::HashSet;
use std::sync::LazyLock;

use chat_core::{Error, fold_name};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_security::general_security_profile::{GeneralSecurityProfile, IdentifierType};
use unicode_security::{MixedScript, RestrictionLevel, RestrictionLevelDetection, skeleton};

/// Characters of the longest username.
pub const MAX_USERNAME: usize = 32;
/// Bytes of input that is looked at: enough for the longest name however it is composed, little enough to normalise.
const MAX_INPUT: usize = 1024;
/// Bytes of the longest subject a store keeps.
const MAX_SUBJECT: usize = 256;
/// What may stand between letters and digits.
const JOINERS: &str = " _-.'@+";
/// Marks on one letter: enough for every script in use.
const MARKS: usize = 4;

/// Names that only the host gives out: those of the service, and those that mean everybody or nobody.
const RESERVED: [&str; 30] = [
    "admin",
    "administrator",
    "all",
    "anonymous",
    "bot",
    "channel",
    "chat",
    "deleted",
    "everyone",
    "help",
    "helpdesk",
    "here",
    "host",
    "me",
    "mod",
    "moderator",
    "nobody",
    "null",
    "official",
    "operator",
    "owner",
    "root",
    "security",
    "server",
    "service",
    "staff",
    "superuser",
    "support",
    "system",
    "undefined",
];

/// A username that may be registered.
///
/// - **Characters**: letters, marks and digits of scripts in use today, and ` _-.'@+`. So no controls, no private or unassigned
///   characters, nothing invisible, no symbols, no other white space, nothing that changes the direction of text.
/// - **Form**: NFKC (full-width, styled and compatibility characters become plain ones) without white space around it, 1 to 32
///   characters, at least one letter or digit, single spaces only, marks only on letters and digits and at most four each.
/// - **Scripts**: one, or those written together: Latin with one other, the mixtures of Japanese, Korean and Chinese. Latin,
///   Cyrillic and Greek do not mix (UTS #39, "moderately restrictive").
/// - **Reserved** are `admin`, `root`, `support` and others, and what looks like them.
///
/// Two names of the same [canonical form](canonical) are the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Username {
    display: String,
    canonical: String,
}

impl Username {
    /// Checks a name that somebody wants.
    ///
    /// # Errors
    /// `Invalid` with a sentence for them.
    pub fn parse(input: &str) -> Result<Self, Error> {
        if input.len() > MAX_INPUT {
            return Err(too_long());
        }
        let nfkc: String = input.nfkc().collect();
        let display = nfkc.trim_matches(' ');
        if display.chars().count() > MAX_USERNAME {
            return Err(too_long());
        }
        if let Some(bad) = display.chars().find(|&c| !is_allowed(c)) {
            let code = u32::from(bad);
            return Err(Error::invalid(format!(
                "the username has a character that is not allowed (U+{code:04X}): use letters, digits, spaces and _ - . ' @ +"
            )));
        }
        if !display.contains(char::is_alphanumeric) {
            return Err(Error::invalid(
                "the username needs at least one letter or digit",
            ));
        }
        if display.contains("  ") {
            return Err(Error::invalid("the username may have single spaces only"));
        }
        if !marks_are_fine(display) {
            return Err(Error::invalid(
                "the username has accents where there is no letter, or too many on one",
            ));
        }
        if !scripts_are_fine(display) {
            return Err(Error::invalid(
                "the username mixes alphabets that look alike: keep to one",
            ));
        }
        let name = Self {
            canonical: canonical(display),
            display: display.to_owned(),
        };
        if is_reserved(&name.display) || is_reserved(&name.canonical) {
            return Err(Error::invalid(
                "this username is reserved, or looks like one that is",
            ));
        }
        Ok(name)
    }

    /// The name to show.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.display
    }

    /// The name to compare and store: see [`canonical`].
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The canonical form of the plain Latin name that this one looks like though it is written otherwise, as Cyrillic `сора`
    /// looks like `copa`. Whoever has that name already should not be imitated.
    #[must_use]
    pub fn twin(&self) -> Option<String> {
        let twin = canonical(&skeleton(&self.display).collect::<String>());
        (twin.is_ascii() && !self.display.is_ascii() && twin != self.canonical).then_some(twin)
    }
}

/// The form in which names are compared, for any text: two names of the same form are the same account.
///
/// NFKC without spaces around it, and without case: [`fold_name`] twice, with upper case in between, which also makes one of
/// `ß` and `ss`, `ς` and `σ`, `ı` and `i`. It depends on normalisation and case only, which Unicode promises not to change, and
/// not on which characters look alike, which it does not: a stored name is found for ever.
#[must_use]
pub fn canonical(name: &str) -> String {
    let upper: String = fold_name(name)
        .chars()
        .flat_map(char::to_uppercase)
        .collect();
    fold_name(&upper).trim_matches(' ').to_owned()
}

/// What to look up for somebody who logs in; `None` for what cannot be a name. The rules for new names do not count here: those
/// that the host gave out or brought from elsewhere are found, too.
pub(crate) fn lookup(input: &str) -> Option<String> {
    let name = (input.len() <= MAX_INPUT).then(|| canonical(input))?;
    let sound = !name.is_empty() && name.len() <= MAX_SUBJECT && !name.contains(char::is_control);
    sound.then_some(name)
}

fn too_long() -> Error {
    Error::invalid("the username may have at most 32 characters")
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

fn is_allowed(c: char) -> bool {
    // Two tables of two Unicode versions: a character must be known to both.
    let in_use = matches!(
        c.identifier_type(),
        Some(
            IdentifierType::Recommended
                | IdentifierType::Limited_Use
                | IdentifierType::Uncommon_Use
        )
    );
    JOINERS.contains(c) || (is_word(c) && in_use)
}

fn marks_are_fine(name: &str) -> bool {
    let mut marks = None;
    name.nfd().all(|c| {
        marks = match marks {
            Some(n) if is_combining_mark(c) => Some(n + 1),
            None if is_combining_mark(c) => return false,
            _ => c.is_alphanumeric().then_some(0),
        };
        marks.unwrap_or(0) <= MARKS
    })
}

fn scripts_are_fine(name: &str) -> bool {
    let words: String = name.chars().filter(|&c| is_word(c)).collect();
    words.is_single_script()
        || words.check_restriction_level(RestrictionLevel::ModeratelyRestrictive)
}

/// What somebody reads who does not look closely.
fn glimpse(name: &str) -> String {
    let letters: String = skeleton(name).filter(|c| c.is_alphanumeric()).collect();
    // Once more: `M` looks like nothing else, `m` like `rn`. And `l` looks like `I`, so it stands for `i`.
    let small = canonical(&letters);
    skeleton(&small)
        .map(|c| if c == 'l' { 'i' } else { c })
        .collect()
}

fn is_reserved(name: &str) -> bool {
    static RESERVED_GLIMPSES: LazyLock<HashSet<String>> =
        LazyLock::new(|| RESERVED.iter().map(|name| glimpse(name)).collect());
    RESERVED_GLIMPSES.contains(&glimpse(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_up_what_could_be_a_name_and_nothing_else() {
        for (input, name) in [(" ADMIN ", "admin"), ("Ünlü", "ünlü"), ("a/b", "a/b")] {
            assert_eq!(lookup(input).as_deref(), Some(name));
        }
        for input in [
            "",
            "  ",
            "a\0b",
            "a\nb",
            &"x".repeat(257),
            &" ".repeat(2000),
        ] {
            assert_eq!(lookup(input), None);
        }
    }
}
