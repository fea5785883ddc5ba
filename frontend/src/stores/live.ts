import { createStore } from 'zustand/vanilla'

/** What is true only now, and stored nowhere: who types, who is there, how far others have read. */
export interface LiveState {
  typing: Readonly<Record<number, readonly number[]>>
  online: Readonly<Record<number, boolean>>
  receipts: Readonly<Record<number, Readonly<Record<number, Receipt>>>>
}

export interface Receipt {
  read: number
  delivered: number
}

/** A signal holds for this long; whoever goes on typing repeats it before. */
export const TYPING_MS = 6_000
export const REPEAT_MS = 3_000

const NOTHING: LiveState = { typing: {}, online: {}, receipts: {} }

export function createLive() {
  const state = createStore<LiveState>(() => NOTHING)
  const timers = new Map<string, ReturnType<typeof setTimeout>>()

  function setTyping(conversation: number, user: number, on: boolean) {
    const { typing } = state.getState()
    const others = (typing[conversation] ?? []).filter((other) => other !== user)
    state.setState({ typing: { ...typing, [conversation]: on ? [...others, user] : others } })
  }

  function stopped(conversation: number, user: number) {
    const name = `${conversation}.${user}`
    const timer = timers.get(name)
    if (timer === undefined) return
    clearTimeout(timer)
    timers.delete(name)
    setTyping(conversation, user, false)
  }

  return {
    state,
    typed(conversation: number, user: number) {
      const name = `${conversation}.${user}`
      clearTimeout(timers.get(name))
      if (!timers.has(name)) setTyping(conversation, user, true)
      timers.set(
        name,
        setTimeout(() => stopped(conversation, user), TYPING_MS),
      )
    },
    stopped,
    presence: (user: number, online: boolean) =>
      state.setState((now) => ({ online: { ...now.online, [user]: online } })),
    receipt(conversation: number, user: number, { read, delivered }: Receipt) {
      const { receipts } = state.getState()
      const here = receipts[conversation] ?? {}
      const old = here[user]
      // Highest wins: receipts may overtake each other.
      const now = {
        read: Math.max(read, old?.read ?? 0),
        delivered: Math.max(delivered, read, old?.delivered ?? 0),
      }
      state.setState({ receipts: { ...receipts, [conversation]: { ...here, [user]: now } } })
    },
    /** Nobody tells any more who is there or typing. */
    disconnected() {
      for (const timer of timers.values()) clearTimeout(timer)
      timers.clear()
      state.setState({ typing: {}, online: {} })
    },
    reset() {
      this.disconnected()
      state.setState(NOTHING, true)
    },
  }
}

export type Live = ReturnType<typeof createLive>
