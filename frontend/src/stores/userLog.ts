import type { Event } from '../api/protocol'
import type { Connection } from '../realtime/connection'
import { withoutRole } from './applyEvent'
import type { Conversations } from './conversations'
import type { Inbox } from './inbox'
import type { Login } from './session'

interface Parts {
  connection: Pick<Connection, 'ask'>
  conversations: Conversations
  inbox: Inbox
  login: Readonly<Login>
  /** What was loaded of a conversation is no longer for these eyes. */
  cleared(conversation: number): void
  saveSoon(): void
}

/** Follows the log of the one who is logged in: what concerns them alone, on all their devices. */
export function createUserLog({ connection, conversations, inbox, login, cleared, saveSoon }: Parts) {
  /** The place in the log; null before the first list was loaded. */
  let cursor: number | null = null
  let blocked: ReadonlySet<number> = new Set()
  const listeners = new Set<() => void>()

  /** Whom one has blocked stands in one's own log alone. */
  async function learnBlocked() {
    const mine = login.generation
    const found = new Set(blocked)
    let after = 0
    for (;;) {
      const page = await connection
        .ask('log', { log: { user: login.user }, after, limit: 100 })
        .catch(() => null)
      if (mine !== login.generation || page === null) return
      for (const event of page.events)
        if (event.kind === 'blocked') event.on ? found.add(event.user) : found.delete(event.user)
      const last = page.events.at(-1)?.seq ?? page.resync
      if (last === undefined || last >= page.head) break
      after = last
    }
    setBlocked(found)
  }

  function setBlocked(users: ReadonlySet<number>) {
    blocked = users
    for (const listener of listeners) listener()
    saveSoon()
  }

  function event(event: Event) {
    if (cursor !== null && event.seq <= cursor) return
    cursor = event.seq
    saveSoon()
    switch (event.kind) {
      case 'added':
        void inbox.fetch(event.conversation)
        return
      case 'removed':
        return conversations.update(event.conversation, (entry) => ({ ...entry, me: withoutRole(entry.me) }))
      case 'hid':
        conversations.update(event.conversation, (entry) => ({
          ...entry,
          me: { ...entry.me, listed: (entry.last?.id ?? 0) > event.through, unread: 0, mentions: 0 },
        }))
        cleared(event.conversation)
        // What changed of its settings before that is told to nobody who was away.
        return void inbox.fetch(event.conversation)
      case 'muted':
        return conversations.update(event.conversation, (entry) => {
          const { muted_until: _, ...rest } = entry.me
          return { ...entry, me: { ...rest, ...(event.until !== undefined && { muted_until: event.until }) } }
        })
      case 'archived':
        return conversations.update(event.conversation, (entry) => ({
          ...entry,
          me: { ...entry.me, archived: event.on },
        }))
      case 'read':
        return readElsewhere(event.conversation, event.up_to)
      case 'blocked': {
        const next = new Set(blocked)
        if (event.on) next.add(event.user)
        else next.delete(event.user)
        return setBlocked(next)
      }
      default:
        return
    }
  }

  /** The server's cursor is the only one: what it leaves unread is counted where that is known, else asked. */
  function readElsewhere(id: number, upTo: number) {
    const entry = conversations.get(id)
    if (!entry || upTo <= entry.me.read) return
    const unread = upTo >= (entry.last?.id ?? 0) ? 0 : null
    if (unread === null) void inbox.fetch(id).then(() => undefined)
    else conversations.set({ ...entry, me: { ...entry.me, read: upTo, unread, mentions: 0 } })
  }

  return {
    cursor: () => cursor,
    blocked: () => blocked,
    onBlocked(listener: () => void) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    event,
    remember(place: number, users: readonly number[]) {
      cursor = place
      blocked = new Set(users)
    },
    async resume(): Promise<void> {
      if (cursor !== null) {
        await connection.ask('resume', { logs: [{ log: { user: login.user }, after: cursor }] })
        return
      }
      const mine = login.generation
      const { user } = await connection.ask('heads', { limit: 1 })
      if (mine !== login.generation) return
      cursor = user
      void learnBlocked()
    },
    /** The log cannot be told from the cursor on: what it says is loaded afresh. */
    resync(seq: number) {
      cursor = seq
      inbox.load().catch(() => {})
      void learnBlocked()
    },
    reset() {
      cursor = null
      blocked = new Set()
    },
  }
}

export type UserLog = ReturnType<typeof createUserLog>
