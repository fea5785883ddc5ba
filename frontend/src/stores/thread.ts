import type { Message } from '../api/types'

/**
 * One conversation's loaded messages: a contiguous, ascending window without duplicates, and bounded.
 * Whichever end a full window grows at, the other end is let go and can be loaded again.
 */
export interface Thread {
  items: readonly ThreadMessage[]
  hasOlder: boolean
  hasNewer: boolean
  status: 'loading' | 'ready' | 'error' | 'missing'
  /** What is being fetched at either end. */
  older: EdgeState
  newer: EdgeState
}

export type EdgeState = 'idle' | 'loading' | 'error'

export interface ThreadMessage extends Message {
  /** The optimistic bubble this message replaced: keeps the row's identity on screen. */
  sendId?: number
}

export const WINDOW = 400

export const LOADING: Thread = {
  items: [],
  hasOlder: false,
  hasNewer: false,
  status: 'loading',
  older: 'idle',
  newer: 'idle',
}

export const newestId = (thread: Thread | undefined): number => thread?.items.at(-1)?.id ?? 0

/** Union by id; what is new wins, but the row's identity stays. */
function union(old: readonly ThreadMessage[], fresh: readonly ThreadMessage[]): ThreadMessage[] {
  const byId = new Map(old.map((message) => [message.id, message]))
  for (const message of fresh) {
    const known = byId.get(message.id)
    const sendId = message.sendId ?? known?.sendId
    byId.set(message.id, sendId === undefined ? message : { ...message, sendId })
  }
  return [...byId.values()].sort((a, b) => a.id - b.id)
}

function keepNewest(thread: Thread): Thread {
  if (thread.items.length <= WINDOW) return thread
  return { ...thread, items: thread.items.slice(-WINDOW), hasOlder: true }
}

function keepOldest(thread: Thread): Thread {
  if (thread.items.length <= WINDOW) return thread
  return { ...thread, items: thread.items.slice(0, WINDOW), hasNewer: true }
}

/** Whether nothing unknown lies between what is loaded and the latest page. */
function joins(thread: Thread, page: readonly Message[], full: boolean): boolean {
  const first = page[0]
  return !full || first === undefined || thread.items.some((message) => message.id === first.id)
}

/** The latest page becomes the window's end; what is loaded and does not join it is let go. */
export function withLatest(thread: Thread, page: readonly Message[], full: boolean): Thread {
  const first = page[0]?.id ?? 0
  const last = page.at(-1)?.id ?? 0
  const joined = thread.status === 'ready' && full && joins(thread, page, full)
  const before = joined ? thread.items.filter((message) => message.id < first) : []
  // Inside its span the page is the truth: what is missing there is gone. Live frames may have outrun it.
  const shown = new Set(page.map((message) => message.id))
  const after = thread.items.filter(
    (message) => shown.has(message.id) || (message.id > last && !thread.hasNewer),
  )
  return keepNewest({
    ...thread,
    items: union([...before, ...after], page),
    hasOlder: joined ? thread.hasOlder : full,
    hasNewer: false,
    status: 'ready',
    newer: 'idle',
    older: joined ? thread.older : 'idle',
  })
}

/** The same, without taking away what a reader is looking at: a hole is left for `withNewer` to fill. */
export function refreshed(thread: Thread, page: readonly Message[], full: boolean): Thread {
  // The server answers again, so what failed at the edges may be tried again.
  const edge = (state: EdgeState) => (state === 'error' ? 'idle' : state)
  const calm: Thread = { ...thread, older: edge(thread.older), newer: edge(thread.newer) }
  if (calm.status !== 'ready' || calm.items.length === 0) return withLatest(calm, page, full)
  if (calm.hasNewer) return calm
  return joins(calm, page, full) ? withLatest(calm, page, full) : { ...calm, hasNewer: true }
}

export function withOlder(thread: Thread, page: readonly Message[], full: boolean): Thread {
  const items = union(page, thread.items)
  return keepOldest({ ...thread, items, hasOlder: full, older: 'idle' })
}

export function withNewer(thread: Thread, page: readonly Message[], full: boolean): Thread {
  const items = union(thread.items, page)
  return keepNewest({ ...thread, items, hasNewer: full, newer: 'idle' })
}

/** Whether a live frame follows what is loaded without a hole. */
export function follows(thread: Thread, message: Message): boolean {
  return thread.status !== 'ready' || thread.hasNewer || message.id <= newestId(thread) + 1
}

/**
 * A live frame. A window that does not reach the end must not take it: that would leave a hole. One that is
 * still loading keeps it for when the page is there, which may have been read before the message was.
 */
export function withLive(thread: Thread, message: ThreadMessage): Thread {
  if (thread.hasNewer) return thread
  return keepNewest({ ...thread, items: union(thread.items, [message]) })
}
