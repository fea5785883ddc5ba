import { createContext, useContext } from 'react'
import type { Api } from '../api/client'
import type { User } from '../api/types'
import type { Connection } from '../realtime/connection'
import type { Announcer } from './announcer'
import type { Chat } from './chat'
import type { ConversationsStore } from './conversations'
import type { Drafts } from './drafts'
import type { MessagesStore } from './messages'
import type { Outbox } from './outbox'
import type { People } from './people'
import type { SessionStore } from './session'

/** What the screens may reach. Built once by the app. */
export interface Services {
  api: Api
  session: SessionStore
  conversations: ConversationsStore
  messages: MessagesStore
  outbox: Outbox
  people: People
  announcer: Announcer
  drafts: Drafts
  chat: Chat
  connection: Connection
  account: {
    /** Asks the server who is logged in. */
    check(): Promise<void>
    login(username: string, password: string): Promise<void>
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
