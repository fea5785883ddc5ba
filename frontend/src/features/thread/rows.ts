import { dayKey } from '../../lib/time'
import type { PendingSend } from '../../stores/outbox'
import type { ThreadMessage } from '../../stores/thread'

/** What the log draws, one after the other. */
export type Row =
  | { type: 'day'; key: string; timestamp: string }
  | { type: 'new'; key: string }
  | { type: 'message'; key: string; message: ThreadMessage; first: boolean; last: boolean }
  | { type: 'pending'; key: string; send: PendingSend; first: boolean; last: boolean }

const GROUP_MS = 5 * 60_000

interface Entry {
  senderId: number
  timestamp: string
  day: string
}

/** One run of one sender: same day, no long silence between. */
const together = (a: Entry | undefined, b: Entry | undefined): boolean =>
  a !== undefined &&
  b !== undefined &&
  a.senderId === b.senderId &&
  a.day === b.day &&
  Date.parse(b.timestamp) - Date.parse(a.timestamp) < GROUP_MS

/** Where `unread` messages of others begin; null when that is not loaded. */
export function firstUnread(
  messages: readonly ThreadMessage[],
  unread: number,
  ownId: number,
): number | null {
  if (unread === 0) return null
  const others = messages.filter((message) => message.sender_id !== ownId)
  return others.at(-unread)?.id ?? null
}

export function buildRows(
  messages: readonly ThreadMessage[],
  sends: readonly PendingSend[],
  ownId: number,
  newFrom: number | null,
): Row[] {
  const entries: Entry[] = [
    ...messages.map((message) => ({
      senderId: message.sender_id,
      timestamp: message.timestamp,
      day: dayKey(message.timestamp),
    })),
    ...sends.map((send) => {
      const timestamp = new Date(send.createdAt).toISOString()
      return { senderId: ownId, timestamp, day: dayKey(timestamp) }
    }),
  ]
  const rows: Row[] = []
  entries.forEach((entry, index) => {
    const before = entries[index - 1]
    if (entry.day !== before?.day)
      rows.push({ type: 'day', key: `d${entry.day}`, timestamp: entry.timestamp })
    const message = messages[index]
    const startsNew = (at: number) => newFrom !== null && messages[at]?.id === newFrom
    if (startsNew(index)) rows.push({ type: 'new', key: 'new' })
    const first = startsNew(index) || !together(before, entry)
    const last = startsNew(index + 1) || !together(entry, entries[index + 1])
    const send = sends[index - messages.length]
    if (message) {
      // A message keeps the row of the optimistic bubble that it replaced.
      const key = message.sendId === undefined ? `m${message.id}` : `p${message.sendId}`
      rows.push({ type: 'message', key, message, first, last })
    } else if (send) rows.push({ type: 'pending', key: `p${send.id}`, send, first, last })
  })
  return rows
}
