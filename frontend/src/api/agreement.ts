/**
 * Holds the types that this client uses against those made from the server's OpenAPI document. Types only: when
 * the server changes what the client relies on, this file no longer compiles.
 */
import type * as mine from './protocol'
import type { components } from './schema'

type Schemas = components['schemas']

/** A type without optional and null, which both sides write differently. */
type Core<T> = T extends readonly (infer Item)[]
  ? readonly Core<Item>[]
  : T extends object
    ? { [Key in keyof T]-?: Core<Exclude<T[Key], null | undefined>> }
    : T

/** What the server tells has all that the client reads. */
type Told<Mine, Theirs> = Core<Theirs> extends Core<Mine> ? true : ['the server tells', Theirs]
/** What the client says is what the server takes; it may leave out what is optional. */
type Said<Mine, Theirs> = keyof Mine extends keyof Theirs
  ? Core<Mine> extends Core<Pick<Theirs, keyof Mine & keyof Theirs>>
    ? true
    : ['the server takes', Theirs]
  : ['the server does not know', Exclude<keyof Mine, keyof Theirs>]

type Write<Type extends keyof mine.Writes> = mine.Writes[Type] & mine.Keyed
type Ask<Type extends keyof mine.Reads> = mine.Reads[Type]['ask']
type Reply<Type extends keyof mine.Reads> = mine.Reads[Type]['reply']

type All<Checks extends readonly true[]> = Checks

export type Agreement = All<
  [
    Told<mine.User, Schemas['v1.User']>,
    Told<mine.Message, Schemas['v1.Message']>,
    Told<Omit<mine.Conversation, 'pair'>, Schemas['v1.Conversation']>,
    Told<mine.Me, Schemas['Me']>,
    Told<mine.Member, Schemas['v1.Member']>,
    Told<Omit<mine.Hello, 'limits'>, Schemas['Hello']>,
    Told<mine.Hello['limits'], Schemas['Limits']>,
    Told<mine.ErrorBody, Schemas['ErrorBody']>,
    Told<mine.Written, Schemas['Written']>,
    Told<Extract<mine.What, { kind: 'posted' }>['message'], Schemas['Posted']['message']>,
    Told<
      Pick<Extract<mine.What, { kind: 'reacted' }>, 'message' | 'emoji' | 'on' | 'count'>,
      Schemas['Reacted']
    >,
    Told<Pick<Extract<mine.What, { kind: 'pinned' }>, 'message' | 'on'>, Schemas['Pinned']>,
    Told<Pick<Extract<mine.What, { kind: 'joined' }>, 'user' | 'role' | 'from'>, Schemas['Joined']>,
    Told<Pick<Extract<mine.What, { kind: 'hid' }>, 'conversation' | 'through'>, Schemas['Hid']>,
    Told<Pick<Extract<mine.What, { kind: 'read' }>, 'conversation' | 'up_to'>, Schemas['ReadUpTo']>,
    Told<Reply<'history'>, Schemas['HistoryPage']>,
    Told<Reply<'members'>, Schemas['MembersPage']>,
    Told<Reply<'users'>, Schemas['UsersPage']>,
    Told<Reply<'search'>, Schemas['SearchPage']>,
    Told<Pick<Reply<'heads'>, 'user' | 'next'>, Schemas['HeadsPage']>,
    Said<Omit<Write<'post'>, 'to'>, Schemas['Post']>,
    Said<Write<'edit'>, Schemas['Edit']>,
    Said<Write<'delete'>, Schemas['Delete']>,
    Said<Write<'react'>, Schemas['React']>,
    Said<Write<'pin'>, Schemas['Pin']>,
    Said<Write<'create'>, Schemas['Create']>,
    Said<Write<'configure'>, Schemas['Configure']>,
    Said<Write<'add'>, Schemas['Add']>,
    Said<Write<'remove'>, Schemas['Remove']>,
    Said<Write<'set_role'>, Schemas['SetRole']>,
    Said<Write<'leave'>, Schemas['Leave']>,
    Said<Write<'hide'>, Schemas['Hide']>,
    Said<Write<'mute'>, Schemas['Mute']>,
    Said<Write<'archive'>, Schemas['Archive']>,
    Said<Write<'block'>, Schemas['Block']>,
    Said<Write<'profile'>, Schemas['Profile']>,
    Said<Ask<'inbox'>, Schemas['Inbox']>,
    Said<Ask<'heads'>, Schemas['Heads']>,
    Said<Ask<'conversation'>, Schemas['OfConversation']>,
    Said<Ask<'history'>, Schemas['GetHistory']>,
    Said<Omit<Ask<'log'>, 'log'>, Schemas['GetLog']>,
    Said<Ask<'members'>, Schemas['GetMembers']>,
    Said<Ask<'user'>, Schemas['GetUser']>,
    Said<Ask<'users'>, Schemas['FindUsers']>,
    Said<Ask<'search'>, Schemas['Search']>,
    Said<Ask<'presence'>, Schemas['Watch']>,
    Said<Ask<'renew'>, Schemas['Renew']>,
    Said<mine.Notices['read'], Schemas['Mark']>,
    Said<mine.Notices['signal'], Schemas['SendSignal']>,
  ]
>
