//! What is not as it was.

use std::collections::BTreeMap;

/// How many of a kind are named.
const NAMED: usize = 1000;

/// What can be odd, changes before losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Odd {
    Renamed,
    Password,
    Missing,
    Merged,
    OfOne,
    Time,
    Long,
    Mended,
    UserId,
    Conversation,
    Nowhere,
    Sender,
    Empty,
}

impl Odd {
    fn sentence(self) -> &'static str {
        match self {
            Self::Renamed => {
                "Users who have another name now, as theirs cannot be one or counts as another's"
            }
            Self::Password => "Users who cannot log in, for want of a bcrypt_sha256 hash",
            Self::Missing => {
                "Users who were missing and are there now, disabled and named by their id"
            }
            Self::Merged => "Conversations that were merged with the pair's first",
            Self::OfOne => "Conversations of one user that are groups now, titled Notes",
            Self::Time => {
                "Messages without a readable time that have the time of the one before now"
            }
            Self::Long => "Messages of more than 8192 bytes that are several now",
            Self::Mended => {
                "Messages whose text had NUL or broken characters, or was none, and is mended now"
            }
            Self::UserId => "Users left out, for their id is none from 1 to 2^53-1",
            Self::Conversation => {
                "Conversations left out with their messages, for want of an id or two users"
            }
            Self::Nowhere => "Messages left out, for their conversation is not there",
            Self::Sender => "Messages left out, for their sender is none of the two",
            Self::Empty => "Messages left out, for they are empty",
        }
    }
}

/// Counts and names what was changed or left out.
#[derive(Debug, Default)]
pub(super) struct Report(BTreeMap<Odd, (u64, Vec<String>)>);

impl Report {
    pub(super) fn note(&mut self, odd: Odd, name: impl ToString) {
        let (count, names) = self.0.entry(odd).or_default();
        *count += 1;
        if names.len() < NAMED {
            names.push(name.to_string());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One line for each kind.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(odd, (count, names))| {
            let more = match count - names.len() as u64 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{} ({count}): {}{more}", odd.sentence(), names.join(", "))
        })
    }
}
