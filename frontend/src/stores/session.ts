import { createStore } from 'zustand/vanilla'
import type { User } from '../api/protocol'

export type SessionState =
  | { status: 'checking' }
  /** The first question got no answer, and the device remembers nobody. */
  | { status: 'unreachable' }
  | { status: 'anonymous'; notice: string | null }
  | { status: 'active'; user: User }

export const createSessionStore = () => createStore<SessionState>(() => ({ status: 'checking' }))

export type SessionStore = ReturnType<typeof createSessionStore>

/** Who asks the server. What is on its way when a login ends is recognised by its generation, and dropped. */
export interface Login {
  /** 0 while nobody is logged in. */
  user: number
  /** Another one for every login that begins or ends. */
  generation: number
}

const KEY = 'chat.user'

/** Who was logged in here last, for opening the page without a network. A name and a number, no secret. */
export const lastUser = {
  get(): User | null {
    try {
      const { id, name } = JSON.parse(localStorage.getItem(KEY) ?? '{}')
      return Number.isSafeInteger(id) && typeof name === 'string' ? { id, name } : null
    } catch {
      return null
    }
  },
  set(user: User | null) {
    try {
      if (user) localStorage.setItem(KEY, JSON.stringify({ id: user.id, name: user.name }))
      else localStorage.removeItem(KEY)
    } catch {
      // Refused: then the page needs the network to open.
    }
  },
}
