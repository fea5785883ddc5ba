import { createStore } from 'zustand/vanilla'
import { cut, fewest, firstId, lastId, type Page, type Range, rangeWith, tailOf, withPage } from './ranges'

export type EdgeState = 'idle' | 'loading' | 'error'

/** One conversation's loaded messages, and where its reader is. */
export interface Thread {
  ranges: readonly Range[]
  status: 'loading' | 'ready' | 'error' | 'missing'
  /** The end, or a message of the run that is shown. */
  focus: 'end' | number
  /** What is being fetched at either edge of the shown run. */
  older: EdgeState
  newer: EdgeState
  /** Events of the log up to here are in the loaded messages. */
  through: number
}

export const LOADING: Thread = {
  ranges: [],
  status: 'loading',
  focus: 'end',
  older: 'idle',
  newer: 'idle',
  through: 0,
}

export const MAX_THREADS = 12

export const shownRange = (thread: Thread | undefined): Range | undefined =>
  thread && (thread.focus === 'end' ? tailOf(thread.ranges) : rangeWith(thread.ranges, thread.focus))

/** A page at an edge of the shown run, or the last one, or one around a message that is jumped to. */
export function loaded(thread: Thread, page: Page, focus: Thread['focus'] = thread.focus): Thread {
  const ranges = withPage(thread.ranges, page)
  const next: Thread = { ...thread, ranges, status: 'ready', focus }
  if (page.before !== undefined) next.older = 'idle'
  if (page.after !== undefined) next.newer = 'idle'
  const at = focus === 'end' ? lastId(tailOf(ranges)) : focus
  next.ranges = fewest(ranges, at)
  return next
}

/** After the run grew on one side, the other is let go when it is too much. */
export function trimmed(thread: Thread, grew: 'old' | 'new'): Thread {
  const shown = shownRange(thread)
  if (!shown) return thread
  const range = cut(shown, grew === 'old' ? 'new' : 'old')
  if (range === shown) return thread
  const focus =
    thread.focus === 'end' && range.atEnd ? 'end' : grew === 'old' ? firstId(range) : lastId(range)
  return { ...thread, focus, ranges: thread.ranges.map((other) => (other === shown ? range : other)) }
}

export function createThreads() {
  const store = createStore<{ threads: Readonly<Record<number, Thread>> }>(() => ({ threads: {} }))
  /** Least recently opened first. */
  let recent: number[] = []

  const get = (id: number): Thread | undefined => store.getState().threads[id]
  const set = (id: number, thread: Thread) =>
    store.setState(({ threads }) => ({ threads: { ...threads, [id]: thread } }))

  function remove(id: number) {
    recent = recent.filter((other) => other !== id)
    store.setState(({ threads }) => {
      const { [id]: _, ...rest } = threads
      return { threads: rest }
    })
  }

  return {
    state: store,
    get,
    set,
    update(id: number, change: (thread: Thread) => Thread) {
      const thread = get(id)
      if (thread) set(id, change(thread))
    },
    ids: () => recent,
    /** Marks as in use, and forgets what was not used for long. */
    touch(id: number) {
      recent = [...recent.filter((other) => other !== id), id]
      if (!get(id)) set(id, LOADING)
      while (recent.length > MAX_THREADS) remove(recent[0] as number)
    },
    remove,
    reset() {
      recent = []
      store.setState({ threads: {} })
    },
  }
}

export type Threads = ReturnType<typeof createThreads>
