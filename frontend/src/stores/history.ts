import type { Event } from '../api/protocol'
import { type Connection, Disconnected, Refused } from '../realtime/connection'
import { applyToRanges } from './applyEvent'
import type { Conversations } from './conversations'
import { firstId, lastId, type Page, rangeWith, type ThreadMessage, tailOf, withOwn } from './ranges'
import type { Login } from './session'
import { loaded, shownRange, type Thread, type Threads, trimmed } from './threads'

const PAGE_SIZE = 50

interface Parts {
  connection: Pick<Connection, 'ask'>
  conversations: Conversations
  threads: Threads
  login: Readonly<Login>
  saveSoon(): void
}

/** A page may have been read before what came while it was on its way: that is applied to it afterwards. */
interface UnderWay {
  id: number
  events: [Event, string | undefined][]
}

/** Brings the messages of threads: pages where somebody looks, and then every event of the log. */
export function createHistory({ connection, conversations, threads, login, saveSoon }: Parts) {
  const loads = new Set<UnderWay>()
  const mending = new Set<number>()

  /** Runs one page load; its failure belongs to the thread and is shown there. */
  async function load(
    id: number,
    at: { before?: number; after?: number; limit?: number },
    done: (messages: readonly ThreadMessage[], full: boolean) => void,
    failed: (missing: boolean) => void,
  ): Promise<void> {
    const mine = login.generation
    const limit = at.limit ?? PAGE_SIZE
    const underWay: UnderWay = { id, events: [] }
    loads.add(underWay)
    try {
      const { messages, own } = await connection.ask('history', { conversation: id, ...at, limit })
      if (mine !== login.generation) return
      done(withOwn(messages, own), messages.length >= limit)
      threads.update(id, (thread) => {
        const apply = (ranges: Thread['ranges'], [event, sendKey]: [Event, string | undefined]) =>
          applyToRanges(ranges, event, login.user, sendKey)
        const ranges = underWay.events.reduce(apply, thread.ranges)
        const last = underWay.events.at(-1)?.[0].seq ?? 0
        return { ...thread, ranges, through: thread.through > 0 ? Math.max(thread.through, last) : 0 }
      })
      saveSoon()
    } catch (error) {
      if (mine !== login.generation) return
      failed(error instanceof Refused && error.code === 'not_found')
      if (error instanceof Disconnected) throw error
    } finally {
      loads.delete(underWay)
    }
  }

  function page(messages: readonly ThreadMessage[], more: Partial<Page>): Page {
    return { items: messages, atStart: false, atEnd: false, ...more }
  }

  async function loadLatest(id: number): Promise<void> {
    const through = conversations.get(id)?.head ?? 0
    await load(
      id,
      {},
      (messages, full) =>
        threads.update(id, (thread) => {
          const next = loaded(thread, page(messages, { atStart: !full, atEnd: true }), 'end')
          // Older runs may have missed edits: they are loaded again when somebody goes there.
          const tail = tailOf(next.ranges)
          return { ...next, ranges: tail ? [tail] : next.ranges, through: Math.max(next.through, through) }
        }),
      (missing) =>
        threads.update(id, (thread) =>
          thread.status === 'ready' && !missing
            ? thread
            : { ...thread, status: missing ? 'missing' : 'error' },
        ),
    )
  }

  async function loadOlder(id: number): Promise<void> {
    const thread = threads.get(id)
    const shown = shownRange(thread)
    if (!thread || !shown || shown.atStart || thread.older === 'loading' || shown.items.length === 0) return
    threads.set(id, { ...thread, older: 'loading' })
    const before = firstId(shown)
    await load(
      id,
      { before },
      (messages, full) =>
        threads.update(id, (now) => trimmed(loaded(now, page(messages, { atStart: !full, before })), 'old')),
      () => threads.update(id, (now) => ({ ...now, older: 'error' })),
    ).catch(() => {})
  }

  async function loadNewer(id: number): Promise<void> {
    const thread = threads.get(id)
    const shown = shownRange(thread)
    if (!thread || !shown || shown.atEnd || thread.newer === 'loading' || shown.items.length === 0) return
    threads.set(id, { ...thread, newer: 'loading' })
    const after = lastId(shown)
    await load(
      id,
      { after },
      (messages, full) =>
        threads.update(id, (now) => trimmed(loaded(now, page(messages, { atEnd: !full, after })), 'new')),
      () => threads.update(id, (now) => ({ ...now, newer: 'error' })),
    ).catch(() => {})
  }

  /** Shows a message, wherever it is; false when there is none. */
  async function jumpTo(id: number, message: number): Promise<boolean> {
    threads.touch(id)
    const thread = threads.get(id) as Thread
    if (rangeWith(thread.ranges, message)?.items.some((item) => item.id === message)) {
      threads.set(id, { ...thread, focus: message, older: 'idle', newer: 'idle' })
      return true
    }
    return (await loadAround(id, message, true)) !== null
  }

  /** Shows what follows a place of the log; the first message there, or null. */
  async function showAfter(id: number, seq: number): Promise<number | null> {
    threads.touch(id)
    return loadAround(id, seq, false)
  }

  /**
   * Loads half a page on either side of a place of the log and shows it: the message that is there, or the first one
   * after it. Its id, or null when there is none.
   */
  async function loadAround(id: number, seq: number, exactly: boolean): Promise<number | null> {
    const found: { page: Page | null; first: number | null } = { page: null, first: null }
    const half = PAGE_SIZE / 2
    await load(
      id,
      { before: seq + 1, limit: half },
      (messages, full) => {
        found.page = page(messages, { atStart: !full })
      },
      () => {},
    ).catch(() => {})
    if (!found.page || (exactly && found.page.items.at(-1)?.id !== seq)) return null
    await load(
      id,
      { after: seq, limit: half },
      (messages, full) => {
        const { items, atStart } = found.page as Page
        const around = page([...items, ...messages], { atStart, atEnd: !full })
        const focus = exactly ? seq : messages[0]?.id
        if (focus === undefined) return
        found.first = focus
        threads.update(id, (now) => ({ ...loaded(now, around, focus), older: 'idle', newer: 'idle' }))
      },
      () => {},
    ).catch(() => {})
    return found.first
  }

  async function showLatest(id: number): Promise<void> {
    const thread = threads.get(id)
    if (!thread) return
    if (tailOf(thread.ranges)) threads.set(id, { ...thread, focus: 'end', older: 'idle', newer: 'idle' })
    else await loadLatest(id).catch(() => {})
  }

  /** Has the server tell again what follows the last event that was not missed. */
  function mend(conversation: number, after: number) {
    if (mending.has(conversation)) return
    mending.add(conversation)
    connection
      .ask('resume', { logs: [{ log: { conversation }, after }] })
      .catch(() => {})
      .finally(() => mending.delete(conversation))
  }

  /** `sendKey` is that of the send that the event acknowledges. */
  function event(id: number, event: Event, sendKey: string | undefined) {
    for (const load of loads) if (load.id === id) load.events.push([event, sendKey])
    const thread = threads.get(id)
    if (!thread) return
    // A thread follows its log step by step: what it has is left alone, and nothing is put behind a hole.
    const follows = thread.status === 'ready' && thread.through > 0
    if (follows && event.seq > thread.through + 1) mend(id, thread.through)
    else if (!follows || event.seq > thread.through) {
      const ranges = applyToRanges(thread.ranges, event, login.user, sendKey)
      threads.set(id, { ...thread, ranges, through: follows ? event.seq : thread.through })
    }
  }

  return {
    event,
    loadLatest,
    loadOlder,
    loadNewer,
    jumpTo,
    showAfter,
    showLatest,
  }
}
