import type { Conversation, Message } from '../api/types'

const START = Date.parse('2026-01-01T00:00:00.000Z')

export function message(id: number, more: Partial<Message> = {}): Message {
  return {
    id,
    conversation_id: 1,
    sender_id: 2,
    content: `text ${id}`,
    timestamp: new Date(START + id * 1000).toISOString(),
    ...more,
  }
}

/** Messages `from` to `to`, both included. */
export const run = (from: number, to: number): Message[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => message(from + index))

export function conversation(
  id: number,
  last: Message | null,
  more: Partial<Conversation> = {},
): Conversation {
  return {
    id,
    kind: 'direct',
    title: null,
    peer: { id: 100 + id, username: `peer${id}` },
    updated_at: last?.timestamp ?? new Date(START).toISOString(),
    unread: 0,
    last_message: last,
    ...more,
  }
}
