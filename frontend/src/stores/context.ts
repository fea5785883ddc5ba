import { createContext, useContext } from 'react'
import type { Api } from '../api/client'
import type { User } from '../api/protocol'
import type { Connection } from '../realtime/connection'
import type { Actions } from './actions'
import type { Announcer } from './announcer'
import type { Chat } from './chat'
import type { Conversations } from './conversations'
import type { Drafts } from './drafts'
import type { Live } from './live'
import type { Members } from './members'
import type { Notes } from './notes'
import type { Outbox } from './outbox'
import type { People } from './people'
import type { PreferencesStore } from './preferences'
import type { Quotes } from './quotes'
import type { SessionStore } from './session'
import type { Threads } from './threads'
import type { Toasts } from './toasts'

export interface Unsent {
  messages: number
  drafts: number
}

/** What the screens may reach. Built once by the app. */
export interface Services {
  api: Api
  session: SessionStore
  preferences: PreferencesStore
  connection: Connection
  conversations: Conversations
  threads: Threads
  outbox: Outbox
  drafts: Drafts
  quotes: Quotes
  members: Members
  notes: Notes
  people: People
  live: Live
  announcer: Announcer
  toasts: Toasts
  chat: Chat
  actions: Actions
  account: {
    /** Asks the server who is logged in. */
    check(): Promise<void>
    login(username: string, password: string): Promise<void>
    /** What this device alone has, of all tabs: lost by logging out. */
    unsent(): Promise<Unsent>
    logout(): Promise<void>
  }
}

export const ServicesContext = createContext<Services | null>(null)

export function useServices(): Services {
  const services = useContext(ServicesContext)
  if (!services) throw new Error('ServicesContext is missing')
  return services
}

/** Screens below the log in exist only with a user. */
export const UserContext = createContext<User | null>(null)

export function useMe(): User {
  const user = useContext(UserContext)
  if (!user) throw new Error('UserContext is missing')
  return user
}
