import type { Message } from '../api/protocol'
import type { Connection } from '../realtime/connection'
import type { Conversations } from './conversations'

const READ_MS = 100
const DELIVERED_MS = 1_000

/** How far one has read and got each conversation's messages: gathered, and told at most so often. */
export function createMarks(connection: Pick<Connection, 'offers' | 'tell'>, conversations: Conversations) {
  const marks = { read: new Map<number, number>(), delivered: new Map<number, number>() }
  let timer: ReturnType<typeof setTimeout> | undefined

  function mark(kind: 'read' | 'delivered', id: number, seq: number) {
    if ((marks[kind].get(id) ?? 0) >= seq) return
    marks[kind].set(id, seq)
    timer ??= setTimeout(tell, kind === 'read' ? READ_MS : DELIVERED_MS)
  }

  function tell() {
    clearTimeout(timer)
    timer = undefined
    for (const kind of ['delivered', 'read'] as const) {
      if (!connection.offers(kind)) continue
      for (const [conversation, seq] of marks[kind])
        if (connection.tell(kind, { conversation, seq })) marks[kind].delete(conversation)
    }
  }

  function read(id: number) {
    const last = conversations.get(id)?.last
    if (last) readTo(id, last)
  }

  function readTo(id: number, { id: seq, number }: Pick<Message, 'id' | 'number'>) {
    const entry = conversations.get(id)
    if (!entry || (entry.me.read >= seq && entry.me.unread === 0)) return
    const last = entry.last?.id ?? 0
    if (seq < last && entry.me.read >= seq) return
    const unread = seq >= last ? 0 : Math.min(entry.me.unread, Math.max(0, entry.messages - number))
    const mentions = Math.min(entry.me.mentions, unread)
    conversations.set({ ...entry, me: { ...entry.me, read: seq, unread, mentions } })
    mark('read', id, seq)
  }

  return {
    /** All that is known of conversation `id` was seen. */
    read,
    /** So far it was seen, and no farther. */
    readTo,
    delivered: (id: number, seq: number) => mark('delivered', id, seq),
    /** What was marked while there was no socket stays until this is called with one. */
    tell,
    reset() {
      clearTimeout(timer)
      timer = undefined
      marks.read.clear()
      marks.delivered.clear()
    },
  }
}
