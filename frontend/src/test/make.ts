import type { Entry, Event, Message } from '../api/protocol'

const START = Date.parse('2026-01-01T00:00:00.000Z')
export const at = (seq: number) => new Date(START + seq * 1000).toISOString()

export function message(id: number, more: Partial<Message> = {}): Message {
  return {
    id,
    conversation: 1,
    number: id,
    sender: 2,
    at: at(id),
    text: `text ${id}`,
    mentions: [],
    reactions: [],
    revision: 0,
    ...more,
  }
}

/** Messages `from` to `to`, both included. */
export const run = (from: number, to: number): Message[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => message(from + index))

export function posted(message: Message): Event {
  const { conversation, id, at, sender } = message
  return { log: { conversation }, seq: id, at, actor: sender, kind: 'posted', message }
}

export function entry(id: number, last?: Message, more: Partial<Entry> = {}): Entry {
  return {
    conversation: {
      id,
      kind: 'direct',
      pair: [1, 100 + id],
      managed: false,
      history: 'all',
      members: 2,
      pins: [],
    },
    me: { role: 'member', listed: true, read: 0, delivered: 0, unread: 0, mentions: 0, archived: false },
    head: last?.id ?? 1,
    messages: last?.number ?? 0,
    at: last?.at ?? at(0),
    ...(last && { last }),
    peer: { id: 100 + id, name: `peer${id}` },
    ...more,
  }
}
