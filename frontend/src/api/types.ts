/** The wire types of the documented API. Servers may add fields, so nothing here is exhaustive. */

export interface User {
  id: number
  username: string
}

export interface Message {
  /** Ascending and unique inside its conversation only. */
  id: number
  conversation_id: number
  sender_id: number
  content: string
  timestamp: string
  edited_at?: string | null
  deleted?: boolean
}

export interface Conversation {
  id: number
  kind: 'direct' | 'group'
  title: string | null
  peer: User | null
  updated_at: string
  unread: number
  last_message: Message | null
}

export interface Session {
  user: User
  expires_at: string
}

export interface FieldError {
  field: string
  detail: string
}
