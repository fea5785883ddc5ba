/**
 * The frames of the native protocol `chat.v1`, as far as this client speaks it. Servers may add kinds and
 * fields: whatever is read here must cope with what it does not know.
 */

export const PROTOCOL = 'chat.v1'

export type Role = 'owner' | 'admin' | 'member'
export type HistoryFor = 'all' | 'joined'

export interface User {
  id: number
  name: string
  data?: unknown
  disabled?: boolean
}

export interface Reaction {
  emoji: string
  count: number
}

export interface Message {
  /** The seq of the event that made it: ascending and unique inside its conversation only. */
  id: number
  conversation: number
  /** 1, 2, 3 … among the messages of its conversation. */
  number: number
  /** null: the host itself. */
  sender: number | null
  at: string
  /** Left out once deleted. */
  text?: string
  reply_to?: number
  mentions: readonly number[]
  reactions: readonly Reaction[]
  revision: number
  edited_at?: string
  deleted?: boolean
}

export interface Conversation {
  id: number
  kind: 'direct' | 'group'
  pair?: readonly [number, number]
  title?: string
  managed: boolean
  history: HistoryFor
  members: number
  owner?: number
  pins: readonly number[]
}

export interface Me {
  /** Left out once one left or was removed. */
  role?: Role
  listed: boolean
  read: number
  delivered: number
  unread: number
  /** How many of the unread ones mention one; no more than 100 are counted. */
  mentions: number
  muted_until?: string
  archived: boolean
}

/** A conversation as it stands in one's own list. */
export interface Entry {
  conversation: Conversation
  me: Me
  /** The last seq of its log that one may know. */
  head: number
  messages: number
  at: string
  last?: Message
  peer?: User
}

export interface Member {
  user: number
  role?: Role
  /** Left out where receipts are not told. */
  read?: number
  delivered?: number
}

export type LogId = { conversation: number } | { user: number }

export interface Cursor {
  log: LogId
  after: number
}

interface By {
  at: string
  actor: number | null
}

/** What happened in a log. `hidden` tells its place alone. */
export type What =
  | { kind: 'hidden' }
  | ({ kind: 'created'; members: readonly Member[] } & By)
  | ({ kind: 'posted'; message: Message } & By)
  | ({ kind: 'edited'; message: Message } & By)
  | ({ kind: 'deleted'; message: number } & By)
  | ({ kind: 'reacted'; message: number; emoji: string; on: boolean; count: number } & By)
  | ({ kind: 'pinned'; message: number; on: boolean } & By)
  | ({ kind: 'joined'; user: number; role: Role; from: number } & By)
  | ({ kind: 'left'; user: number } & By)
  | ({ kind: 'role_changed'; user: number; role: Role } & By)
  | ({ kind: 'configured'; title?: string; history: HistoryFor } & By)
  | ({ kind: 'added'; conversation: number; at_seq: number } & By)
  | ({ kind: 'removed'; conversation: number; at_seq: number } & By)
  | ({ kind: 'hid'; conversation: number; through: number } & By)
  | ({ kind: 'muted'; conversation: number; until?: string } & By)
  | ({ kind: 'archived'; conversation: number; on: boolean } & By)
  | ({ kind: 'read'; conversation: number; up_to: number } & By)
  | ({ kind: 'blocked'; user: number; on: boolean } & By)
  | ({ kind: 'profile' } & By)
  | ({ kind: 'logins_revoked' } & By)

export type Event = { log: LogId; seq: number } & What

export interface Hello {
  version: number
  server: string
  user: number
  features: readonly string[]
  limits: {
    frame: number
    text: number
    name: number
    added: number
    mentions: number
    page: number
    cursors: number
    in_flight: number
  }
  heartbeat_ms: number
  expires_at?: string
}

export interface ErrorBody {
  code: string
  detail: string
  field?: string
  retry_after_ms?: number
}

export type Ref = number | string

/** What a server sends. */
export type ServerFrame =
  | { type: 'hello'; body: Hello }
  | { type: 'event'; body: Event }
  | { type: 'live'; body: { log: LogId } }
  | { type: 'resync'; body: { log: LogId; seq: number } }
  | { type: 'reply'; ref: Ref; body: unknown }
  | { type: 'error'; ref?: Ref; body: ErrorBody }
  | { type: 'signal'; body: { conversation: number; user: number; kind: string } }
  | { type: 'receipt'; body: { conversation: number; user: number; read: number; delivered: number } }
  | { type: 'presence'; body: { user: number; online: boolean } }
  | { type: 'pong'; ref?: Ref }
  | { type: 'drain'; body: { reconnect_in_ms: number } }

export interface Written {
  conversation?: number
  seq: number
  count: number
  at: string
  replayed: boolean
}

/** Every write has a key: a retry with the same one is harmless. */
export interface Keyed {
  key: string
}

interface In {
  conversation: number
}

interface OfMessage extends In {
  message: number
}

export type To = { conversation: number } | { user: number }

/** The writes, by the type of their frame: each is answered by `Written`. */
export interface Writes {
  post: { to: To; text: string; reply_to?: number; mentions?: readonly number[] }
  edit: OfMessage & { revision?: number; text: string }
  delete: OfMessage
  react: OfMessage & { emoji: string; on: boolean }
  pin: OfMessage & { on: boolean }
  create: { title?: string; members: readonly { user: number; role?: Role }[] }
  configure: In & { title?: string }
  add: In & { users: readonly number[] }
  remove: In & { user: number }
  set_role: In & { user: number; role: Role }
  leave: In & { successor?: number }
  hide: In
  mute: In & { until: string | null }
  archive: In & { on: boolean }
  block: { user: number; on: boolean }
  profile: { name?: string }
}

/** What else is asked, with what it is answered by. */
export interface Reads {
  inbox: { ask: { after?: string; limit?: number }; reply: { entries: readonly Entry[]; next?: string } }
  heads: { ask: { after?: number; limit?: number }; reply: { user: number; next?: number } }
  conversation: { ask: In; reply: { entry: Entry } }
  history: {
    ask: In & { before?: number; after?: number; limit?: number }
    /** `own`: which of the reactions are one's own. */
    reply: { messages: readonly Message[]; own?: readonly { message: number; emoji: readonly string[] }[] }
  }
  log: {
    ask: Cursor & { limit?: number }
    reply: { events: readonly Event[]; head: number; resync?: number }
  }
  members: {
    ask: In & { after?: number; limit?: number }
    reply: { members: readonly Member[]; next?: number }
  }
  user: { ask: { user: number }; reply: { user: User } }
  users: { ask: { name: string }; reply: { users: readonly User[] } }
  search: {
    ask: { text: string; conversation?: number; before?: string; limit?: number }
    reply: { messages: readonly Message[]; next?: string }
  }
  renew: { ask: { token: string }; reply: unknown }
  resume: { ask: { logs: readonly Cursor[] }; reply: unknown }
  presence: { ask: { users: readonly number[] }; reply: unknown }
}

/** What has no reply. */
export interface Notices {
  read: In & { seq: number }
  delivered: In & { seq: number }
  signal: In & { kind: string }
}

const FRAMES = new Set([
  'hello',
  'event',
  'live',
  'resync',
  'reply',
  'error',
  'signal',
  'receipt',
  'presence',
  'pong',
  'drain',
])

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Anything that is not understood is null: a newer server may send what this client does not know. */
export function decode(data: unknown): ServerFrame | null {
  if (typeof data !== 'string') return null
  let frame: unknown
  try {
    frame = JSON.parse(data)
  } catch {
    return null
  }
  if (!isObject(frame) || typeof frame.type !== 'string' || !FRAMES.has(frame.type)) return null
  if (frame.type === 'pong') return frame as ServerFrame
  if (!isObject(frame.body)) return null
  if (frame.type === 'event' && !(isObject(frame.body.log) && Number.isSafeInteger(frame.body.seq)))
    return null
  return frame as unknown as ServerFrame
}
