import { createStore } from 'zustand/vanilla'
import type { User } from '../api/types'

export type SessionState =
  | { status: 'checking' }
  /** The first question got no answer, so it is not known whether somebody is logged in. */
  | { status: 'unreachable' }
  | { status: 'anonymous'; notice: string | null }
  | { status: 'active'; user: User }

export const createSessionStore = () => createStore<SessionState>(() => ({ status: 'checking' }))

export type SessionStore = ReturnType<typeof createSessionStore>
