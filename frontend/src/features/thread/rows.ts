import { dayKey } from '../../lib/time'
import type { Send } from '../../storage/local'
import type { ThreadMessage } from '../../stores/ranges'

/** What the log draws, one after the other. */
export type Row =
  | { type: 'day'; key: string; at: string }
  | { type: 'new'; key: string }
  | { type: 'message'; key: string; message: ThreadMessage; first: boolean; last: boolean }
  | { type: 'pending'; key: string; send: Send; first: boolean; last: boolean }

const GROUP_MS = 5 * 60_000

interface Entry {
  sender: number | null
  at: string
  day: string
}

/** One run of one sender: same day, no long silence between. */
const together = (a: Entry | undefined, b: Entry | undefined): boolean =>
  a !== undefined &&
  b !== undefined &&
  a.sender === b.sender &&
  a.day === b.day &&
  Date.parse(b.at) - Date.parse(a.at) < GROUP_MS

/** The first message that somebody else wrote after `read`; null when all is read, or that is not loaded. */
export function firstUnread(
  messages: readonly ThreadMessage[],
  read: number,
  unread: number,
  me: number,
): number | null {
  if (unread === 0) return null
  const at = messages.findIndex((message) => message.id > read && message.sender !== me)
  // What comes before may be unread too, and not loaded.
  return at > 0 || (messages[0]?.number ?? 0) === 1 ? (messages[at]?.id ?? null) : null
}

export function buildRows(
  messages: readonly ThreadMessage[],
  sends: readonly Send[],
  me: number,
  newFrom: number | null,
): Row[] {
  const entries: Entry[] = [
    ...messages.map(({ sender, at }) => ({ sender, at, day: dayKey(at) })),
    ...sends.map((send) => {
      const at = new Date(send.createdAt).toISOString()
      return { sender: me, at, day: dayKey(at) }
    }),
  ]
  const rows: Row[] = []
  entries.forEach((entry, index) => {
    const before = entries[index - 1]
    if (entry.day !== before?.day) rows.push({ type: 'day', key: `d${entry.day}`, at: entry.at })
    const message = messages[index]
    const startsNew = (at: number) => newFrom !== null && messages[at]?.id === newFrom
    if (startsNew(index)) rows.push({ type: 'new', key: 'new' })
    const first = startsNew(index) || !together(before, entry)
    const last = startsNew(index + 1) || !together(entry, entries[index + 1])
    const send = sends[index - messages.length]
    if (message) {
      // A message keeps the row of the bubble that it replaced.
      const key = message.sendKey === undefined ? `m${message.id}` : `p${message.sendKey}`
      rows.push({ type: 'message', key, message, first, last })
    } else if (send) rows.push({ type: 'pending', key: `p${send.key}`, send, first, last })
  })
  return rows
}
