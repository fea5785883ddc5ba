import { createStore } from 'zustand/vanilla'
import type { Conversation, Message, User } from '../api/types'

export interface ConversationsState {
  status: 'loading' | 'ready' | 'error'
  /** Latest activity first. */
  list: readonly Conversation[]
}

const byActivity = (a: Conversation, b: Conversation) =>
  a.updated_at === b.updated_at ? b.id - a.id : a.updated_at < b.updated_at ? 1 : -1

/** The list with one more message in it, or null when its conversation is not in the list. */
export function withMessage(
  list: readonly Conversation[],
  message: Message,
  countsAsUnread: boolean,
): Conversation[] | null {
  const entry = list.find((conversation) => conversation.id === message.conversation_id)
  if (!entry) return null
  // A frame seen before, or older than what the list knows, changes nothing.
  if (entry.last_message && entry.last_message.id >= message.id) return [...list]
  const changed: Conversation = {
    ...entry,
    last_message: message,
    updated_at: [entry.updated_at, message.timestamp].sort().at(-1) ?? entry.updated_at,
    unread: countsAsUnread ? entry.unread + 1 : entry.unread,
  }
  return [changed, ...list.filter((conversation) => conversation !== entry)].sort(byActivity)
}

/** A loaded list, without losing what live frames told while it was on its way. */
export function withLoaded(list: readonly Conversation[], loaded: readonly Conversation[]): Conversation[] {
  const known = new Map(list.map((conversation) => [conversation.id, conversation]))
  return loaded
    .map((fresh) => {
      const old = known.get(fresh.id)
      const newer = (old?.last_message?.id ?? 0) > (fresh.last_message?.id ?? 0)
      return old && newer
        ? { ...fresh, last_message: old.last_message, updated_at: old.updated_at, unread: old.unread }
        : fresh
    })
    .sort(byActivity)
}

export function createConversationsStore() {
  const state = createStore<ConversationsState>(() => ({ status: 'loading', list: [] }))
  const setList = (list: readonly Conversation[]) => state.setState({ list })
  return {
    state,
    get: (id: number) => state.getState().list.find((conversation) => conversation.id === id),
    withPeer: (userId: number) => directWith(state.getState().list, userId),
    loaded: (loaded: readonly Conversation[]) =>
      state.setState(({ list }) => ({ status: 'ready', list: withLoaded(list, loaded) })),
    failed: () => state.setState(({ status }) => ({ status: status === 'ready' ? 'ready' : 'error' })),
    reset: () => state.setState({ status: 'loading', list: [] }),
    /** False when the conversation is not known yet. */
    message(message: Message, countsAsUnread: boolean): boolean {
      const list = withMessage(state.getState().list, message, countsAsUnread)
      if (list) setList(list)
      return list !== null
    },
    /** A conversation that the first message to `peer` just made. */
    started(peer: User, message: Message) {
      const entry: Conversation = {
        id: message.conversation_id,
        kind: 'direct',
        title: null,
        peer,
        updated_at: message.timestamp,
        unread: 0,
        last_message: message,
      }
      setList([entry, ...state.getState().list.filter((other) => other.id !== entry.id)])
    },
    read: (id: number) =>
      setList(
        state
          .getState()
          .list.map((entry) => (entry.id === id && entry.unread ? { ...entry, unread: 0 } : entry)),
      ),
    remove: (id: number) => setList(state.getState().list.filter((entry) => entry.id !== id)),
  }
}

export const directWith = (list: readonly Conversation[], userId: number) =>
  list.find((conversation) => conversation.kind === 'direct' && conversation.peer?.id === userId)

export type ConversationsStore = ReturnType<typeof createConversationsStore>
