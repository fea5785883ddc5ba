//! Keys as bytes. Within a table, byte order is the order of the key's parts, so a range of bytes is a range of rows.
//!
//! | tag | table | parts after the tag | value |
//! |---|---|---|---|
//! | `00` | format of this table | | [`FORMAT`] |
//! | `01` | [`RowKey::User`] | user | row |
//! | `02` | [`RowKey::Subject`] | provider, subject | row |
//! | `03` | [`RowKey::Suffix`] | suffix, user | row |
//! | `04` | [`RowKey::Credential`] | user | row |
//! | `05` | [`RowKey::Login`] | login | row |
//! | `06` | [`RowKey::Block`] | by, user | row |
//! | `07` | [`RowKey::Conversation`] | conversation | row |
//! | `08` | [`RowKey::Direct`] | lower user, higher user | row |
//! | `09` | [`RowKey::Named`] | name | row |
//! | `0a` | [`RowKey::Member`] | conversation, user | row |
//! | `0b` | [`RowKey::Head`] | log | row |
//! | `0c` | [`RowKey::Event`] | log, seq | row |
//! | `0d` | [`RowKey::Reactions`] | conversation, seq, user | row |
//! | `0e` | [`RowKey::Done`] | key, author | row |
//! | `0f` | [`RowKey::Counter`] | kind | row |
//! | `10` | [`RowKey::Secret`] | | row |
//! | `11` | [`RowKey::Moving`] | | row |
//! | `12` | [`RowKey::Parted`] | conversation, user | row |
//! | `13` | [`RowKey::Marks`] | conversation | row |
//! | `20` | conversations of a user | user, conversation | empty; the row is the member's |
//! | `21` | the feed | position | the key of the event |
//! | `22` | words, to find messages by | conversation, word, seq | position in the feed |
//! | `23` | words of a message | conversation, seq, number of the part from 0 | position in the feed, 8 bytes; then each word and a space, cut where a value ends |
//! | `24` | how far the words have come | | position in the feed, then what made them |
//! | `30` | further parts of a long value | the key it belongs to, number from 0 | bytes |
//!
//! How a part is written stands in [`super::parts`]; a row is [`Row::encode`](crate::rules::Row::encode). Tags are never given
//! to another table.

use std::ops::Range;

use super::parts::{Reader, Writer};
use crate::rules::{Counter, RowKey};
use crate::{ConversationId, Error, Key, LogId, LoginId, Seq, UserId};

/// The value under tag `00`: this layout. Another layout gets another value, so that no program reads what it does not know.
pub(super) const FORMAT: &[u8] = b"chat-core kv 1";

/// A key of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where [`FORMAT`] stands.
    Format,
    /// A row.
    Row(RowKey),
    /// That a user has a member row in a conversation.
    Membership(UserId, ConversationId),
    /// An event's place in the store-wide order.
    Feed(u64),
    /// That a word stands in a message.
    Word(ConversationId, String, Seq),
    /// A part of all words of a message.
    Words(ConversationId, Seq, u32),
    /// How far the index of words has come.
    Indexed,
    /// A part of the long value of a key.
    Part(Vec<u8>, u32),
}

mod tag {
    pub(super) const FORMAT: u8 = 0x00;
    pub(super) const USER: u8 = 0x01;
    pub(super) const SUBJECT: u8 = 0x02;
    pub(super) const SUFFIX: u8 = 0x03;
    pub(super) const CREDENTIAL: u8 = 0x04;
    pub(super) const LOGIN: u8 = 0x05;
    pub(super) const BLOCK: u8 = 0x06;
    pub(super) const CONVERSATION: u8 = 0x07;
    pub(super) const DIRECT: u8 = 0x08;
    pub(super) const NAMED: u8 = 0x09;
    pub(super) const MEMBER: u8 = 0x0a;
    pub(super) const HEAD: u8 = 0x0b;
    pub(super) const EVENT: u8 = 0x0c;
    pub(super) const REACTIONS: u8 = 0x0d;
    pub(super) const DONE: u8 = 0x0e;
    pub(super) const COUNTER: u8 = 0x0f;
    pub(super) const SECRET: u8 = 0x10;
    pub(super) const MOVING: u8 = 0x11;
    pub(super) const PARTED: u8 = 0x12;
    pub(super) const MARKS: u8 = 0x13;
    pub(super) const MEMBERSHIP: u8 = 0x20;
    pub(super) const FEED: u8 = 0x21;
    pub(super) const WORD: u8 = 0x22;
    pub(super) const WORDS: u8 = 0x23;
    pub(super) const INDEXED: u8 = 0x24;
    pub(super) const PART: u8 = 0x30;
}

impl From<RowKey> for Place {
    fn from(key: RowKey) -> Self {
        Self::Row(key)
    }
}

impl Place {
    /// Its bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Format => vec![tag::FORMAT],
            Self::Row(key) => row(key),
            Self::Membership(user, conversation) => {
                Writer::table(tag::MEMBERSHIP)
                    .int(user.get())
                    .int(conversation.get())
                    .0
            }
            Self::Feed(position) => Writer::table(tag::FEED).int(*position).0,
            Self::Word(conversation, text, seq) => word(*conversation, text, *seq),
            Self::Words(conversation, seq, number) => {
                Writer::table(tag::WORDS)
                    .int(conversation.get())
                    .int(*seq)
                    .raw(&number.to_be_bytes())
                    .0
            }
            Self::Indexed => vec![tag::INDEXED],
            Self::Part(key, number) => {
                let mut bytes = Writer::table(tag::PART).raw(key).0;
                bytes.extend_from_slice(&number.to_be_bytes());
                bytes
            }
        }
    }

    /// The key with these bytes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        reader
            .place()
            .filter(|_| reader.0.is_empty())
            .ok_or_else(|| Error::internal("a stored key cannot be read"))
    }
}

/// The bytes of a row's key.
pub(super) fn row(key: &RowKey) -> Vec<u8> {
    use Writer as W;
    match key {
        RowKey::User(user) => W::table(tag::USER).int(user.get()),
        RowKey::Subject(provider, subject) => W::table(tag::SUBJECT).text(provider).text(subject),
        RowKey::Suffix(suffix, user) => W::table(tag::SUFFIX).text(suffix).int(user.get()),
        RowKey::Credential(user) => W::table(tag::CREDENTIAL).int(user.get()),
        RowKey::Login(login) => W::table(tag::LOGIN).int(login.get()),
        RowKey::Block(by, user) => W::table(tag::BLOCK).int(by.get()).int(user.get()),
        RowKey::Conversation(id) => W::table(tag::CONVERSATION).int(id.get()),
        RowKey::Direct(a, b) => W::table(tag::DIRECT).int(a.get()).int(b.get()),
        RowKey::Named(name) => W::table(tag::NAMED).text(name),
        RowKey::Member(id, user) => W::table(tag::MEMBER).int(id.get()).int(user.get()),
        RowKey::Parted(id, user) => W::table(tag::PARTED).int(id.get()).int(user.get()),
        RowKey::Marks(id) => W::table(tag::MARKS).int(id.get()),
        RowKey::Head(log) => W::table(tag::HEAD).log(*log),
        RowKey::Event(log, seq) => W::table(tag::EVENT).log(*log).int(*seq),
        RowKey::Reactions(id, seq, user) => W::table(tag::REACTIONS)
            .int(id.get())
            .int(*seq)
            .int(user.get()),
        RowKey::Done(key, author) => W::table(tag::DONE).raw(&key.bytes()).actor(*author),
        RowKey::Counter(counter) => W::table(tag::COUNTER).raw(&[match counter {
            Counter::User => 0,
            Counter::Conversation => 1,
            Counter::Login => 2,
        }]),
        RowKey::Secret() => W::table(tag::SECRET),
        RowKey::Moving() => W::table(tag::MOVING),
    }
    .0
}

/// The bytes of [`Place::Word`].
pub(super) fn word(id: ConversationId, word: &str, seq: Seq) -> Vec<u8> {
    Writer::table(tag::WORD).int(id.get()).text(word).int(seq).0
}

/// All rows that are no events, after one of them.
pub(super) fn all_but_events(after: Option<&RowKey>) -> [Range<Vec<u8>>; 2] {
    let first = match after {
        // Nothing lies between a key and itself with a zero behind it.
        Some(key) => Writer(row(key)).raw(&[0]).0,
        None => vec![tag::USER],
    };
    let second = first.clone().max(vec![tag::EVENT + 1]);
    [first..vec![tag::EVENT], second..vec![tag::MEMBERSHIP]]
}

/// Entries of a log from `first` to `last`, both included.
pub(super) fn events(log: LogId, first: Seq, last: Seq) -> Range<Vec<u8>> {
    row(&RowKey::Event(log, first))..following(row(&RowKey::Event(log, last)))
}

/// Members of a conversation, after one of them.
pub(super) fn members(id: ConversationId, after: Option<UserId>) -> Range<Vec<u8>> {
    let all = Writer::table(tag::MEMBER).int(id.get()).0;
    beginning_with(all, after.map(|user| row(&RowKey::Member(id, user))))
}

/// Conversations of a user.
pub(super) fn memberships(user: UserId) -> Range<Vec<u8>> {
    beginning_with(Writer::table(tag::MEMBERSHIP).int(user.get()).0, None)
}

/// Suffixes that begin with a text, after one of them.
pub(super) fn suffixes(part: &str, after: Option<&(String, UserId)>) -> Range<Vec<u8>> {
    let all = Writer::table(tag::SUFFIX).escaped(part).0;
    let after = after.map(|(suffix, user)| row(&RowKey::Suffix(suffix.clone(), *user)));
    beginning_with(all, after)
}

/// The feed after a position.
pub(super) fn feed(after: u64) -> Range<Vec<u8>> {
    beginning_with(vec![tag::FEED], Some(Place::Feed(after).encode()))
}

/// The whole index of words, but for how far it has come.
pub(super) fn index() -> Range<Vec<u8>> {
    vec![tag::WORD]..vec![tag::INDEXED]
}

/// Messages of a conversation with a word, from `first` to `last`, both included.
pub(super) fn messages_with(
    id: ConversationId,
    word: &str,
    first: Seq,
    last: Seq,
) -> Range<Vec<u8>> {
    self::word(id, word, first)..following(self::word(id, word, last))
}

/// Words of a conversation that begin so, each with its messages.
pub(super) fn words_beginning(id: ConversationId, part: &str) -> Range<Vec<u8>> {
    let all = Writer::table(tag::WORD).int(id.get()).escaped(part).0;
    beginning_with(all, None)
}

/// The parts of a message's words.
pub(super) fn words_of(id: ConversationId, seq: Seq) -> Range<Vec<u8>> {
    beginning_with(Writer::table(tag::WORDS).int(id.get()).int(seq).0, None)
}

/// All keys that begin with these bytes, after one of them.
fn beginning_with(prefix: Vec<u8>, after: Option<Vec<u8>>) -> Range<Vec<u8>> {
    let mut end = prefix.clone();
    // No tag is `ff`, so a byte that can be raised is left.
    while end.last() == Some(&u8::MAX) {
        end.pop();
    }
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    let start = after.map_or_else(|| prefix.clone(), following).max(prefix);
    start..end
}

/// The lowest bytes above these.
pub(super) fn following(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

impl Reader<'_> {
    fn place(&mut self) -> Option<Place> {
        let key = match self.byte()? {
            tag::FORMAT => return Some(Place::Format),
            tag::MEMBERSHIP => return Some(Place::Membership(self.user()?, self.conversation()?)),
            tag::FEED => return self.int().map(Place::Feed),
            tag::WORD => {
                return Some(Place::Word(self.conversation()?, self.text()?, self.int()?));
            }
            tag::WORDS => {
                return Some(Place::Words(
                    self.conversation()?,
                    self.int()?,
                    self.array().map(u32::from_be_bytes)?,
                ));
            }
            tag::INDEXED => return Some(Place::Indexed),
            tag::PART => return self.part(),
            tag::USER => RowKey::User(self.user()?),
            tag::SUBJECT => RowKey::Subject(self.text()?, self.text()?),
            tag::SUFFIX => RowKey::Suffix(self.text()?, self.user()?),
            tag::CREDENTIAL => RowKey::Credential(self.user()?),
            tag::LOGIN => RowKey::Login(LoginId::new(self.int()?).ok()?),
            tag::BLOCK => RowKey::Block(self.user()?, self.user()?),
            tag::CONVERSATION => RowKey::Conversation(self.conversation()?),
            tag::DIRECT => RowKey::Direct(self.user()?, self.user()?),
            tag::NAMED => RowKey::Named(self.text()?),
            tag::MEMBER => RowKey::Member(self.conversation()?, self.user()?),
            tag::PARTED => RowKey::Parted(self.conversation()?, self.user()?),
            tag::MARKS => RowKey::Marks(self.conversation()?),
            tag::HEAD => RowKey::Head(self.log()?),
            tag::EVENT => RowKey::Event(self.log()?, self.int()?),
            tag::REACTIONS => RowKey::Reactions(self.conversation()?, self.int()?, self.user()?),
            tag::DONE => RowKey::Done(Key::new(self.array()?), self.actor()?),
            tag::COUNTER => RowKey::Counter(match self.byte()? {
                0 => Counter::User,
                1 => Counter::Conversation,
                2 => Counter::Login,
                _ => return None,
            }),
            tag::SECRET => RowKey::Secret(),
            tag::MOVING => RowKey::Moving(),
            _ => return None,
        };
        Some(Place::Row(key))
    }

    fn part(&mut self) -> Option<Place> {
        let (key, number) = self.0.split_last_chunk()?;
        self.0 = &[];
        Some(Place::Part(key.to_vec(), u32::from_be_bytes(*number)))
    }
}

#[cfg(test)]
mod tests {
    use std::mem::discriminant;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::Actor;
    use crate::MAX_ID;

    /// Small ones often, so that two keys share their first parts.
    fn int() -> impl Strategy<Value = u64> {
        prop_oneof![1..4_u64, 254..259_u64, Just(MAX_ID), 1..=MAX_ID]
    }

    fn text() -> impl Strategy<Value = String> {
        let letter = prop_oneof![
            Just('\0'),
            Just('\u{1}'),
            Just('a'),
            Just('\u{ff}'),
            any::<char>()
        ];
        vec(letter, 0..5).prop_map(String::from_iter)
    }

    fn user() -> impl Strategy<Value = UserId> {
        int().prop_map(|id| UserId::new(id).unwrap())
    }

    fn conversation() -> impl Strategy<Value = ConversationId> {
        int().prop_map(|id| ConversationId::new(id).unwrap())
    }

    fn log() -> impl Strategy<Value = LogId> {
        prop_oneof![
            conversation().prop_map(LogId::from),
            user().prop_map(LogId::from)
        ]
    }

    fn row_key() -> impl Strategy<Value = RowKey> {
        let login = int().prop_map(|id| LoginId::new(id).unwrap());
        let key = prop_oneof![
            (0..3_u8).prop_map(|last| Key::new([last; 16])),
            any::<[u8; 16]>().prop_map(Key::new)
        ];
        let author = prop_oneof![Just(Actor::Host), user().prop_map(Actor::User)];
        let counter = prop_oneof![
            Just(Counter::User),
            Just(Counter::Conversation),
            Just(Counter::Login)
        ];
        prop_oneof![
            user().prop_map(RowKey::User),
            (text(), text()).prop_map(|(a, b)| RowKey::Subject(a, b)),
            (text(), user()).prop_map(|(a, b)| RowKey::Suffix(a, b)),
            user().prop_map(RowKey::Credential),
            login.prop_map(RowKey::Login),
            (user(), user()).prop_map(|(a, b)| RowKey::Block(a, b)),
            conversation().prop_map(RowKey::Conversation),
            (user(), user()).prop_map(|(a, b)| RowKey::Direct(a, b)),
            text().prop_map(RowKey::Named),
            (conversation(), user()).prop_map(|(a, b)| RowKey::Member(a, b)),
            (conversation(), user()).prop_map(|(a, b)| RowKey::Parted(a, b)),
            conversation().prop_map(RowKey::Marks),
            log().prop_map(RowKey::Head),
            (log(), int()).prop_map(|(a, b)| RowKey::Event(a, b)),
            (conversation(), int(), user()).prop_map(|(a, b, c)| RowKey::Reactions(a, b, c)),
            (key, author).prop_map(|(a, b)| RowKey::Done(a, b)),
            counter.prop_map(RowKey::Counter),
            Just(RowKey::Secret()),
            Just(RowKey::Moving()),
        ]
    }

    fn place() -> impl Strategy<Value = Place> {
        prop_oneof![
            8 => row_key().prop_map(Place::Row),
            1 => Just(Place::Format),
            1 => (user(), conversation()).prop_map(|(a, b)| Place::Membership(a, b)),
            1 => any::<u64>().prop_map(Place::Feed),
            1 => (conversation(), text(), int()).prop_map(|(a, b, c)| Place::Word(a, b, c)),
            1 => (conversation(), int(), any::<u32>()).prop_map(|(a, b, c)| Place::Words(a, b, c)),
            1 => Just(Place::Indexed),
            1 => (vec(any::<u8>(), 0..9), any::<u32>()).prop_map(|(a, b)| Place::Part(a, b)),
        ]
    }

    /// Two keys of one table, twice as often as chance would have it.
    fn of_one_table() -> impl Strategy<Value = (RowKey, RowKey)> {
        vec(row_key(), 2..40).prop_map(|keys| {
            let first = keys[0].clone();
            let second = keys[1..]
                .iter()
                .find(|key| discriminant(*key) == discriminant(&first))
                .unwrap_or(&first)
                .clone();
            (first, second)
        })
    }

    proptest! {
        #[test]
        fn a_key_survives_the_round_trip(place in place()) {
            prop_assert_eq!(Place::decode(&place.encode()).unwrap(), place);
        }

        #[test]
        fn different_keys_have_different_bytes(a in place(), b in place()) {
            prop_assert_eq!(a == b, a.encode() == b.encode());
        }

        #[test]
        fn byte_order_is_key_order_within_a_table((a, b) in of_one_table()) {
            prop_assert_eq!(row(&a).cmp(&row(&b)), a.cmp(&b));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in vec(any::<u8>(), 0..40)) {
            if let Ok(place) = Place::decode(&bytes) {
                prop_assert_eq!(place.encode(), bytes);
            }
        }

        #[test]
        fn a_range_of_events_holds_just_those(log in log(), other in log(), ends in (int(), int()), seq in int()) {
            let (first, last) = (ends.0.min(ends.1), ends.0.max(ends.1));
            let found = events(log, first, last).contains(&row(&RowKey::Event(other, seq)));
            prop_assert_eq!(found, other == log && (first..=last).contains(&seq));
        }

        #[test]
        fn a_range_of_members_holds_just_those(
            at in conversation(), other in conversation(), user in user(), after in proptest::option::of(user())
        ) {
            let found = members(at, after).contains(&row(&RowKey::Member(other, user)));
            prop_assert_eq!(found, other == at && after.is_none_or(|after| user > after));
        }

        #[test]
        fn a_range_of_suffixes_holds_just_those(
            part in text(), text in text(), user in user(), after in proptest::option::of((text(), user()))
        ) {
            for text in [text.clone(), format!("{part}{text}")] {
                let found = suffixes(&part, after.as_ref())
                    .contains(&row(&RowKey::Suffix(text.clone(), user)));
                let key = (text.clone(), user);
                let wanted = text.starts_with(&part) && after.as_ref().is_none_or(|after| key > *after);
                prop_assert_eq!(found, wanted);
            }
        }

        #[test]
        fn other_ranges_hold_just_theirs(a in user(), b in user(), id in conversation(), at in any::<u64>(), after in any::<u64>()) {
            prop_assert_eq!(memberships(a).contains(&Place::Membership(b, id).encode()), a == b);
            prop_assert_eq!(feed(after).contains(&Place::Feed(at).encode()), at > after);
        }
    }

    proptest! {
        #[test]
        fn ranges_of_words_hold_just_theirs(
            ids in (conversation(), conversation()), seqs in (int(), int(), int()), texts in (text(), text()), part in any::<u32>()
        ) {
            let ((a, b), (first, last, seq)) = (ids, (seqs.0.min(seqs.1), seqs.0.max(seqs.1), seqs.2));
            for word in [texts.1.clone(), format!("{}{}", texts.0, texts.1)] {
                let at = Place::Word(b, word.clone(), seq).encode();
                let begins = word.starts_with(&texts.0);
                let found = messages_with(a, &texts.0, first, last).contains(&at);
                prop_assert_eq!(found, a == b && word == texts.0 && (first..=last).contains(&seq));
                prop_assert_eq!(words_beginning(a, &texts.0).contains(&at), a == b && begins);
                let of = Place::Words(b, seq, part).encode();
                prop_assert_eq!(words_of(a, first).contains(&of), a == b && first == seq);
                prop_assert!(index().contains(&at) && index().contains(&of));
            }
            prop_assert!(!index().contains(&Place::Indexed.encode()));
        }
    }

    /// The layout is a file format: what it is must not drift.
    #[test]
    fn the_bytes_are_the_documented_ones() {
        let user = UserId::new(0x0102).unwrap();
        let log = LogId::from(ConversationId::new(3).unwrap());
        assert_eq!(
            row(&RowKey::Suffix("a\0".into(), user)),
            [0x03, b'a', 0x00, 0xff, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 1, 2]
        );
        assert_eq!(
            row(&RowKey::Event(log, 5)),
            [0x0c, 0x00, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5]
        );
        assert_eq!(
            Place::Part(vec![0xaa], 7).encode(),
            [0x30, 0xaa, 0, 0, 0, 7]
        );
        assert_eq!(Place::Feed(9).encode(), [0x21, 0, 0, 0, 0, 0, 0, 0, 9]);
    }
}
