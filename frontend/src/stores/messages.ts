import { createStore } from 'zustand/vanilla'
import type { Thread } from './thread'

export interface MessagesState {
  threads: Readonly<Record<number, Thread>>
}

const MAX_THREADS = 12

export function createMessagesStore() {
  const store = createStore<MessagesState>(() => ({ threads: {} }))
  /** Least recently opened first. */
  let recent: number[] = []

  function set(id: number, thread: Thread) {
    store.setState(({ threads }) => ({ threads: { ...threads, [id]: thread } }))
  }

  return {
    state: store,
    get: (id: number): Thread | undefined => store.getState().threads[id],
    set,
    update(id: number, change: (thread: Thread) => Thread) {
      const thread = store.getState().threads[id]
      if (thread) set(id, change(thread))
    },
    /** Marks as in use, and forgets what was not used for long. */
    touch(id: number) {
      recent = [...recent.filter((other) => other !== id), id]
      while (recent.length > MAX_THREADS) this.remove(recent[0] as number)
    },
    remove(id: number) {
      recent = recent.filter((other) => other !== id)
      store.setState(({ threads }) => {
        const { [id]: _, ...rest } = threads
        return { threads: rest }
      })
    },
    /** After a gap in the connection only the thread on screen is worth mending. */
    retainOnly(id: number | null) {
      const kept = id === null ? undefined : store.getState().threads[id]
      recent = kept && id !== null ? [id] : []
      store.setState({ threads: kept && id !== null ? { [id]: kept } : {} })
    },
  }
}

export type MessagesStore = ReturnType<typeof createMessagesStore>
