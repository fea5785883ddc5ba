//! What a request does: one write, or one read. The same for sockets and for HTTP.

use super::{
    ConversationReply, EventsPage, Head, HeadsPage, HistoryPage, InboxPage, Member, MembersPage,
    Nothing, Own, Post, Reply, Request, SearchPage, To, UserReply, UsersPage, Written,
};
use crate::{Actor, Change, Chat, Content, Error, Identity, Span, Target, UserId, Write};

/// Entries of a page when nothing else is asked for.
const PAGE: usize = 50;
/// Heads of a page; no page is longer.
const HEADS: usize = 1000;

/// What a search for users costs of one for messages.
const A_USER: f64 = 0.1;

/// Does what a request asks for. Marks are gathered, as those of a socket are: `done` says that they were taken.
///
/// # Errors
/// Those of [`Chat::commit`] and of the chat's reads; `Invalid` for what only a socket can do.
pub async fn execute(chat: &Chat, identity: &Identity, request: Request) -> Result<Reply, Error> {
    let request = match write(identity.user, request) {
        Ok(write) => return Ok(Written::from(chat.commit(write).await?).into()),
        Err(request) => request,
    };
    let (me, viewer) = (identity.user, identity.viewer());
    Ok(match request {
        Request::Inbox(ask) => {
            let after = ask.after.map(|after| after.parse()).transpose()?;
            let limit = page(ask.limit);
            let entries = chat.inbox(me, after, limit).await?;
            let last = entries
                .last()
                .filter(|_| is_full(chat, entries.len(), limit));
            let next = last.map(|last| last.cursor().to_string());
            let entries = entries.into_iter().map(Into::into).collect();
            InboxPage { entries, next }.into()
        }
        Request::Heads(ask) => {
            let all = chat.memberships(me).await?;
            let mut heads: Vec<Head> = all
                .conversations
                .into_iter()
                .filter(|(id, ..)| ask.after.is_none_or(|after| *id > after))
                .map(|(conversation, ranges, seq)| Head {
                    conversation,
                    seq: ranges.end(seq),
                })
                .collect();
            heads.sort_unstable_by_key(|head| head.conversation);
            let limit = ask
                .limit
                .map_or(HEADS, |limit| page(Some(limit)).clamp(1, HEADS));
            let more = heads.len() > limit;
            heads.truncate(limit);
            let next = heads.last().filter(|_| more).map(|last| last.conversation);
            let user = all.head;
            HeadsPage { user, heads, next }.into()
        }
        Request::Conversation(ask) => {
            let entry = chat.entry(me, ask.conversation).await?;
            let entry = Box::new(entry.into());
            ConversationReply { entry }.into()
        }
        Request::History(ask) => {
            let span = match (ask.before, ask.after) {
                (None, None) => Span::Latest,
                (Some(seq), None) => Span::Before(seq),
                (None, Some(seq)) => Span::After(seq),
                (Some(_), Some(_)) => {
                    return Err(Error::invalid(
                        "ask for what is `before` or `after` a message, not both",
                    ));
                }
            };
            let page = chat
                .history(viewer, ask.conversation, span, page(ask.limit))
                .await?;
            let own = chat.own_reactions(me, &page).await?.into_iter();
            let own = own.map(|(message, emoji)| Own { message, emoji });
            HistoryPage {
                messages: page.into_iter().map(Into::into).collect(),
                own: own.collect(),
            }
            .into()
        }
        Request::Log(ask) => {
            let viewer = identity.viewer_of(ask.log);
            let page = chat
                .log(viewer, ask.log, ask.after, page(ask.limit))
                .await?;
            EventsPage::new(ask.log, page).into()
        }
        Request::Members(ask) => {
            let limit = page(ask.limit);
            let members = chat
                .members(viewer, ask.conversation, ask.after, limit)
                .await?;
            let last = members
                .last()
                .filter(|_| is_full(chat, members.len(), limit));
            let next = last.map(|last| last.user);
            let marks = chat.tells_receipts(ask.conversation).await?;
            let members = members.iter().map(|member| Member::of(member, marks));
            let members = members.collect();
            MembersPage { members, next }.into()
        }
        Request::User(ask) => {
            let user = chat.known_user(viewer, ask.user).await?.into();
            UserReply { user }.into()
        }
        Request::Users(ask) => {
            chat.searching(me, A_USER)?;
            let users = chat.find_users(&ask.name).await?.into_iter();
            let users = users.filter(|user| user.id != me).map(Into::into).collect();
            UsersPage { users }.into()
        }
        Request::Search(ask) => {
            chat.searching(me, 1.0)?;
            let before = ask.before.map(|before| before.parse()).transpose()?;
            let found = chat
                .search(viewer, &ask.text, ask.conversation, before, page(ask.limit))
                .await?;
            SearchPage {
                messages: found.messages.into_iter().map(Into::into).collect(),
                next: found.next.map(|next| next.to_string()),
            }
            .into()
        }
        Request::Read(at) => {
            chat.mark(me, at.conversation, at.seq, 0).await?;
            Nothing {}.into()
        }
        Request::Delivered(at) => {
            chat.mark(me, at.conversation, 0, at.seq).await?;
            Nothing {}.into()
        }
        _ => return Err(Error::invalid("this needs a socket")),
    })
}

fn page(limit: Option<u32>) -> usize {
    limit.map_or(PAGE, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Whether more may follow a page.
fn is_full(chat: &Chat, length: usize, limit: usize) -> bool {
    length >= limit.clamp(1, chat.limits().page)
}

/// The write that a request asks for, or the request when it asks for none.
///
/// # Errors
/// The request.
pub(crate) fn write(me: UserId, request: Request) -> Result<Write, Request> {
    let of = Target::Conversation;
    let (key, target, changes) = match request {
        Request::Post(ask) => return Ok(post(me, ask)),
        Request::Edit(ask) => {
            let content = Content {
                text: ask.text,
                data: ask.data,
            };
            let (message, revision) = (ask.message, ask.revision);
            let change = Change::Edit {
                message,
                revision,
                content,
            };
            (ask.key, of(ask.conversation), vec![change])
        }
        Request::Delete(ask) => {
            let change = Change::Delete {
                message: ask.message,
            };
            (ask.key, of(ask.conversation), vec![change])
        }
        Request::React(ask) => {
            let (message, emoji, on) = (ask.message, ask.emoji, ask.on);
            let change = Change::React { message, emoji, on };
            (ask.key, of(ask.conversation), vec![change])
        }
        Request::Pin(ask) => {
            let change = Change::Pin {
                message: ask.message,
                on: ask.on,
            };
            (ask.key, of(ask.conversation), vec![change])
        }
        Request::Create(ask) => {
            let members = ask.members.into_iter();
            let change = Change::Create {
                title: ask.title,
                data: ask.data,
                managed: false,
                history: ask.history,
                members: members.map(|member| (member.user, member.role)).collect(),
            };
            (ask.key, Target::Group, vec![change])
        }
        Request::Configure(ask) => {
            let (title, data, history) = (ask.title, ask.data, ask.history);
            let change = Change::Configure {
                title,
                data,
                history,
            };
            (ask.key, of(ask.conversation), vec![change])
        }
        Request::Add(ask) => {
            let role = ask.role;
            let changes = ask.users.into_iter().map(|user| Change::Add { user, role });
            (ask.key, of(ask.conversation), changes.collect())
        }
        Request::Remove(ask) => {
            let change = Change::Remove { user: ask.user };
            (ask.key, of(ask.conversation), vec![change])
        }
        Request::SetRole(ask) => {
            let change = Change::SetRole {
                user: ask.user,
                role: ask.role,
            };
            (ask.key, of(ask.conversation), vec![change])
        }
        Request::Leave(ask) => {
            let change = Change::Leave {
                successor: ask.successor,
            };
            (ask.key, of(ask.conversation), vec![change])
        }
        Request::Hide(ask) => (ask.key, of(ask.conversation), vec![Change::Hide]),
        Request::Mute(ask) => {
            let change = Change::Mute {
                until: ask.until.map(|until| until.0),
            };
            (ask.key, of(ask.conversation), vec![change])
        }
        Request::Archive(ask) => {
            let change = Change::Archive { on: ask.on };
            (ask.key, of(ask.conversation), vec![change])
        }
        Request::Block(ask) => {
            let change = Change::Block {
                user: ask.user,
                on: ask.on,
            };
            (ask.key, Target::User(me), vec![change])
        }
        Request::Profile(ask) => {
            let change = Change::Profile {
                name: ask.name,
                data: ask.data,
            };
            (ask.key, Target::User(me), vec![change])
        }
        other => return Err(other),
    };
    let (actor, key) = (Actor::User(me), Some(key.0));
    Ok(Write {
        actor,
        target,
        key,
        changes,
    })
}

fn post(me: UserId, ask: Post) -> Write {
    let target = match ask.to {
        To::Conversation(id) => Target::Conversation(id),
        To::User(user) => Target::Direct(me, user),
        To::Key(key) => Target::Key(key),
    };
    let change = Change::Post {
        content: Content {
            text: ask.text,
            data: ask.data,
        },
        reply_to: ask.reply_to,
        mentions: ask.mentions,
    };
    Write {
        actor: Actor::User(me),
        target,
        key: Some(ask.key.0),
        changes: vec![change],
    }
}
