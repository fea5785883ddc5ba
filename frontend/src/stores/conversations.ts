import { createStore } from 'zustand/vanilla'
import type { Entry, User } from '../api/protocol'

export interface ConversationsState {
  status: 'loading' | 'ready' | 'error'
  /** Latest activity first; cleared ones and those filed away included. */
  list: readonly Entry[]
  /** Where the list goes on; null at its end. */
  next: string | null
}

const EMPTY: ConversationsState = { status: 'loading', list: [], next: null }

export const byActivity = (a: Entry, b: Entry): number =>
  a.at === b.at ? b.conversation.id - a.conversation.id : a.at < b.at ? 1 : -1

/** The newer of two states of one conversation: a page may have been read before what came live. */
const newer = (old: Entry | undefined, fresh: Entry): Entry => (old && old.head > fresh.head ? old : fresh)

export function merged(list: readonly Entry[], fresh: readonly Entry[]): Entry[] {
  const byId = new Map(list.map((entry) => [entry.conversation.id, entry]))
  for (const entry of fresh) byId.set(entry.conversation.id, newer(byId.get(entry.conversation.id), entry))
  return [...byId.values()].sort(byActivity)
}

export const isListed = (entry: Entry): boolean => entry.me.listed

export const isMuted = (entry: Entry, now = Date.now()): boolean =>
  entry.me.muted_until !== undefined && Date.parse(entry.me.muted_until) > now

export function createConversations() {
  const state = createStore<ConversationsState>(() => EMPTY)
  const list = () => state.getState().list
  const get = (id: number) => list().find((entry) => entry.conversation.id === id)

  return {
    state,
    list,
    get,
    /** The direct conversation with somebody. */
    withPeer: (user: number) =>
      list().find((entry) => entry.conversation.kind === 'direct' && entry.conversation.pair?.includes(user)),
    page(entries: readonly Entry[], next: string | null) {
      state.setState({ status: 'ready', list: merged(list(), entries), next })
    },
    /** All there is to know now: what is not among `entries` is gone. */
    replace(entries: readonly Entry[], next: string | null) {
      const known = new Map(list().map((entry) => [entry.conversation.id, entry]))
      const fresh = entries.map((entry) => newer(known.get(entry.conversation.id), entry))
      state.setState({ status: 'ready', list: fresh.sort(byActivity), next })
    },
    failed: () => state.setState(({ status }) => ({ status: status === 'ready' ? 'ready' : 'error' })),
    set(entry: Entry) {
      const others = list().filter((other) => other.conversation.id !== entry.conversation.id)
      state.setState({ list: [...others, entry].sort(byActivity) })
    },
    update(id: number, change: (entry: Entry) => Entry) {
      const entry = get(id)
      if (entry) this.set(change(entry))
    },
    remove: (id: number) => state.setState({ list: list().filter((entry) => entry.conversation.id !== id) }),
    reset: () => state.setState(EMPTY, true),
  }
}

export type Conversations = ReturnType<typeof createConversations>

/** Who is met on the way: names for nothing. */
export const peersOf = (entries: readonly Entry[]): User[] =>
  entries.flatMap((entry) => (entry.peer ? [entry.peer] : []))
